//! Taking away what no reader of the newest versions needs of the log.
//!
//! Role: keep the log short. In: its folder. Out: commits, checkpoints and data files that are gone. Holds
//! always: the last two checkpoints stay, each with all commits since and all data files that these name, so
//! that a damaged checkpoint can be done without; rows are never lost, since what is removed here was replaced
//! by a merge; what is left after any crash is a whole log, and the next clean-up goes on.
//!
//! Delta's own clean-up is switched off: it would go by the clock, and by files' times.

use super::error::OplogError;
use super::source::store_path;
use super::table::{Table, commit_path};
use super::{Oplog, actions, tail};
use crate::tinyfs::Version;
use std::collections::HashSet;
use std::sync::Arc;

/// A clean-up that can be made. It needs nothing but the store.
pub struct CleanUp {
    table: Arc<Table>,
    /// Data files of the newest version, which stay whatever a commit says.
    live: HashSet<String>,
}

impl Oplog {
    /// The clean-up that is to be made now: once after each checkpoint.
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
    /// Makes it. Answers how many files are gone.
    pub fn run(self) -> Result<u64, OplogError> {
        let table = &self.table;
        let mut removed = 0;
        let checkpoints = tail::whole_checkpoints(table, 2)?;
        let [_, older] = checkpoints[..] else {
            return Ok(0);
        };
        let names = table.list_log(Version(0))?;
        // The oldest first, so that the log has no gap after a crash; and each after what it removed.
        for version in names.iter().filter_map(tail::commit_version) {
            let version = Version(version);
            if version >= older {
                break;
            }
            let actions = match actions::read(table, version)? {
                Ok(actions) => actions,
                // Nothing needs it, and what it removed stays behind.
                Err(why) => {
                    tracing::warn!(%version, why, "a damaged commit is cleaned away");
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
