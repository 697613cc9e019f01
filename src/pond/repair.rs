//! Mending a pond: what can be made anew is, and what cannot be read is set aside, never deleted.
//!
//! In: the path of a pond that nobody has open. Out: what was done, and what is still wrong. Holds always:
//! nothing that a version holds, and nothing that can be read of what was flushed, is lost by it.

use super::check::Findings;
use super::open::{INDEX, REBUILD};
use super::{Damaged, OpenOptions, Pond, PondError, Problem};
use std::fs;
use std::path::Path;
use std::sync::Arc;

/// What came of a repair.
#[derive(Debug, Default)]
pub struct Repaired {
    /// What was done, each in a sentence.
    pub done: Vec<String>,
    /// What is still wrong.
    pub problems: Vec<Problem>,
}

impl Pond {
    /// Mends what can be mended of the pond at `path`, which is opened for that.
    pub fn repair(path: &Path, read_data: bool) -> Result<Repaired, PondError> {
        let options = OpenOptions {
            damaged_journal: Damaged::SetAside,
            ..OpenOptions::default()
        };
        let mut done = Vec::new();
        let pond = Pond::open(path, &options)?;
        for file in &pond.set_aside {
            done.push(format!(
                "{} is what could not be read of changes that no version held; those before it are kept",
                file.display()
            ));
        }
        let mut found = pond.look_for_damage(read_data)?;
        let mut pond = Some(pond);
        if found.log {
            found = again(path, &options, read_data, &mut pond, |pond| {
                pond.log.lock().oplog().forget_checkpoints()?;
                Ok(())
            })?;
            done.push("the checkpoints were set aside, and are made anew".into());
        }
        if found.index {
            found = again(path, &options, read_data, &mut pond, |pond| {
                let dir = pond.access_path(INDEX);
                fs::write(dir.join(REBUILD), "").map_err(PondError::io("write to", &dir))
            })?;
            done.push("the index was made anew from the oplog".into());
        }
        // What cannot be read cannot be written anew.
        if found.links > 0 && !found.log {
            found = again(path, &options, read_data, &mut pond, Pond::correct_links)?;
            done.push("the link counts of all versions were counted anew".into());
        }
        if let Some(pond) = pond {
            pond.close()?;
        }
        Ok(Repaired {
            done,
            problems: found.problems,
        })
    }
}

/// Changes something while the pond is open, opens it anew, and checks it.
fn again(
    path: &Path,
    options: &OpenOptions,
    read_data: bool,
    pond: &mut Option<Arc<Pond>>,
    change: impl FnOnce(&Pond) -> Result<(), PondError>,
) -> Result<Findings, PondError> {
    if let Some(pond) = pond.take() {
        change(&pond)?;
        pond.close()?;
    }
    let reopened = Pond::open(path, options)?;
    let checked = reopened.look_for_damage(read_data)?;
    *pond = Some(reopened);
    Ok(checked)
}
