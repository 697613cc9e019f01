//! Removes commits, checkpoints and data files that no reader of recent versions needs.
//!
//! Run by `pond`'s housekeeping thread after each checkpoint. Delta's own clean-up is disabled: it
//! depends on the clock and on file times.
//!
//! Invariants: the two newest checkpoints stay, with all later commits and the data files that
//! these name, so that one damaged checkpoint is harmless. No row is lost: a removed data file was
//! replaced by a merge. After a crash the log is complete, and the next clean-up continues.

use super::error::OplogError;
use super::source::store_path;
use super::table::{Table, commit_path};
use super::{Oplog, actions, tail};
use crate::tinyfs::Version;
use std::collections::HashSet;
use std::sync::Arc;

/// A clean-up that is due. It needs only the store.
pub struct CleanUp {
    table: Arc<Table>,
    /// Data files of the newest version. They are kept whatever a commit says.
    live: HashSet<String>,
}

impl Oplog {
    /// Returns the clean-up if one is due: once after each checkpoint.
    pub fn clean_up_due(&mut self) -> Result<Option<CleanUp>, OplogError> {
        if !self.cleanable {
            return Ok(None);
        }
        let live = self.live_files()?.iter().map(|file| file.path.clone());
        let live = live.collect();
        self.cleanable = false;
        let table = self.table.clone();
        Ok(Some(CleanUp { table, live }))
    }
}

impl CleanUp {
    /// Runs the clean-up. Returns the number of removed files.
    pub fn run(self) -> Result<u64, OplogError> {
        let table = &self.table;
        let mut removed = 0;
        let checkpoints = tail::whole_checkpoints(table, 2)?;
        let [_, older] = checkpoints[..] else {
            return Ok(0);
        };
        let names = table.list_log(Version(0))?;
        // Oldest first, so that a crash leaves no gap; each commit after the files that it removed.
        for version in names.iter().filter_map(tail::commit_version) {
            let version = Version(version);
            if version >= older {
                break;
            }
            let actions = match actions::read(table, version)? {
                Ok(actions) => actions,
                // No reader needs the commit. The files that it removed remain as garbage.
                Err(why) => {
                    tracing::warn!(%version, why, "a damaged commit is removed from the log");
                    Default::default()
                }
            };
            for path in actions
                .removes
                .iter()
                .filter(|path| !self.live.contains(*path))
            {
                let at = store_path(path)?;
                if table.size(&at)?.is_some() {
                    table.delete(at.as_ref())?;
                    removed += 1;
                }
            }
            table.delete(&commit_path(version))?;
            removed += 1;
        }
        for meta in &names {
            if tail::version_of_checkpoint_file(meta).is_some_and(|version| version < older) {
                table.delete(meta.location.as_ref())?;
                removed += 1;
            }
        }
        Ok(removed)
    }
}
