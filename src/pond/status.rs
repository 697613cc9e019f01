//! What is going on in a pond.

use super::{Free, Pond};
use crate::index::{Dirty, VersionInfo};
use std::path::PathBuf;
use uuid::Uuid;

/// The state of an open pond.
#[derive(Clone, Debug)]
pub struct Status {
    /// Its folder.
    pub path: PathBuf,
    /// Its identity.
    pub id: Uuid,
    /// Its newest version.
    pub latest: VersionInfo,
    /// What no version holds yet.
    pub dirty: Dirty,
    /// By what the clock is behind the versions, if it is.
    pub clock_behind: Option<String>,
    /// What can still be written, and what is kept; `None` if the disk does not tell.
    pub free: Option<Free>,
    /// Why the last version that was due was not made, if it was not. It is tried again.
    pub commit_failed: Option<String>,
    /// Why it takes no changes, if it does not.
    pub read_only: Option<String>,
    /// What whoever serves it says of requests that have no reply.
    pub late: Vec<String>,
}

/// Tells in words what has waited for too long. It may be asked at any time, and waits for nothing.
pub type Late = Box<dyn Fn() -> Vec<String> + Send + Sync>;

impl Pond {
    /// What is going on.
    pub fn status(&self) -> Status {
        let clock_behind = match self.clock_behind() {
            Ok(behind) => behind.map(|behind| behind.to_string()),
            Err(error) => Some(format!("it cannot be told: {error}")),
        };
        let free = self.promised().ok();
        let free = free.and_then(|promised| self.room.free(promised).ok());
        Status {
            path: self.path.clone(),
            id: self.id,
            latest: self.latest(),
            dirty: self.index.dirty(),
            clock_behind,
            free,
            commit_failed: self.committer.reason(),
            read_only: self.health.reason(),
            late: self.late.read().as_ref().map_or(Vec::new(), |late| late()),
        }
    }

    /// Has `late` asked for what [`Status::late`] says.
    pub fn report_late(&self, late: Late) {
        *self.late.write() = Some(late);
    }
}
