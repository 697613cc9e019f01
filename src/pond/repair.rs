//! Repairs a pond: rebuilds what can be rebuilt, and sets unreadable files aside, never deletes
//! them.
//!
//! In: the path of a pond that is not open. Out: the repairs, and the remaining problems.
//! Invariant: a repair loses nothing that a version holds, and no flushed data that can be read.

use super::check::Findings;
use super::open::{INDEX, REBUILD};
use super::{Damaged, OpenOptions, Pond, PondError, Problem};
use std::fs;
use std::path::Path;
use std::sync::Arc;

/// The result of a repair.
#[derive(Debug, Default)]
pub struct Repaired {
    /// The repairs, each as a sentence.
    pub done: Vec<String>,
    /// The remaining problems.
    pub problems: Vec<Problem>,
}

impl Pond {
    /// Opens the pond at `path` and repairs it as far as possible.
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
        // A rewrite needs a readable log.
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

/// Changes something while the pond is open, reopens it, and checks it.
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
