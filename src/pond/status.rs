//! Status of an open pond, as shown by `pondmount status`.

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
    /// Changes that are in no version yet.
    pub dirty: Dirty,
    /// By how much the clock is behind the versions, if it is.
    pub clock_behind: Option<String>,
    /// The free space and the reserve; `None` if the disk does not report it.
    pub free: Option<Free>,
    /// Why the last due version was not made, if it failed. It is retried.
    pub commit_failed: Option<String>,
    /// Why the pond takes no changes, if it does not.
    pub read_only: Option<String>,
    /// Requests without a reply, as the server describes them.
    pub late: Vec<String>,
}

/// Describes requests that have waited for too long. May be called at any time; does not block.
pub type Late = Box<dyn Fn() -> Vec<String> + Send + Sync>;

impl Pond {
    /// Returns the status of the pond.
    pub fn status(&self) -> Status {
        let clock_behind = match self.clock_behind() {
            Ok(behind) => behind.map(|behind| behind.to_string()),
            Err(error) => Some(format!("it cannot be told: {error}")),
        };
        let free = self.promised().ok();
        let free = free.and_then(|promised| self.free_space.free(promised).ok());
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

    /// Registers `late` as the source of [`Status::late`].
    pub fn report_late(&self, late: Late) {
        *self.late.write() = Some(late);
    }
}
