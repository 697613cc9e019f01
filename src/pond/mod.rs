//! One open pond: ties together the index, the segments and the oplog.
//!
//! Role: make operations of the tree durable, and commit their results as versions. In:
//! operations ([`ops`]), calls to flush, commit and close. Out: the tree at any version, and its
//! state. Invariant: after a crash the tree is the state after some prefix of the acknowledged
//! operations, never older than the last flush that returned; a version is made only if something
//! changed.
//!
//! - [`open`], [`identity`], [`shape`], [`lock`]: making and opening a pond with one writer.
//! - [`ops`], [`pins`], [`free_space`]: operations; pins on removed nodes; free space of the disk.
//! - [`saves`]: files that a version must not cut in two. [`gate`]: short and long changes.
//! - [`fsync`]: group commit. [`flush`]: writes to stable storage. [`spill`]: bounds memory.
//!   [`commit`]: versions, and the thread that commits them.
//! - [`housekeeping`]: joins files of the oplog, and cleans it up.
//! - [`history`]: references to versions, and the changes of each. [`clock`]: a wrong clock.
//! - [`prune`]: forgets versions, and paths.
//! - [`check`], [`repair`], [`scrub`]: find damage, repair it, and scan for it in the background.
//! - [`status`], [`health`]: the state of a pond, and whether it takes changes.

mod check;
mod clock;
mod commit;
mod error;
mod fingerprint;
mod flush;
mod free_space;
mod fsync;
mod gate;
mod health;
mod history;
mod housekeeping;
mod identity;
pub mod lock;
mod open;
mod ops;
mod pins;
mod prune;
mod repair;
mod saves;
mod scrub;
mod shape;
mod spill;
mod status;
mod tails;

pub use check::Problem;
pub use clock::Behind;
pub use error::PondError;
pub use flush::OneChange;
pub use free_space::Free;
pub use gate::{LongChange, ShortChange};
pub use history::{
    Change, Comparison, Difference, Edit, Event, HistoryCursor, OnChange, PathHistory, Reference,
    Return, Tag, Watcher,
};
pub use open::{Damaged, OpenOptions, Progress};
pub use prune::{Policy, Pruned, Within};
pub use repair::Repaired;
pub use scrub::Scrub;
pub use status::{Late, Status};

use crate::content::Content;
use crate::disk::{AnchoredDir, Location, Space};
use crate::index::{Damage, Index, VersionInfo};
use crate::limits::{Limits, Setting};
use crate::tinyfs::{FsError, FsResult, Time, Version, describe};
use clock::Leaps;
use commit::{Committer, Log};
use flush::Flusher;
use free_space::FreeSpace;
use fsync::GroupCommit;
use gate::ChangeGate;
use health::Health;
use history::Timeline;
use housekeeping::Keeper;
use lock::{Lock, MountNote};
use parking_lot::{Mutex, RwLock};
use pins::Pins;
use saves::Saves;
use scrub::Scrubber;
use spill::Spiller;
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use tails::Tails;
use uuid::Uuid;

/// One open pond. It has to be closed: [`Pond::close`] makes the last version.
pub struct Pond {
    /// The path of its folder when it was opened.
    path: PathBuf,
    /// The folder, held open; `None` on a simulated disk.
    folder: Option<Arc<AnchoredDir>>,
    id: Uuid,
    limits: Limits,
    index: Index,
    content: Content,
    log: Mutex<Log>,
    latest: Mutex<VersionInfo>,
    /// Held while an operation looks up, decides and applies.
    changing: Mutex<()>,
    /// Held while a large change of a file is prepared concurrently with other operations.
    preparing: Mutex<()>,
    gate: ChangeGate,
    pins: Pins,
    free_space: FreeSpace,
    clock: fn() -> Time,
    leaps: Leaps,
    /// Whether it was logged that the clock is behind.
    told_behind: AtomicBool,
    timeline: Mutex<Timeline>,
    health: Health,
    saves: Saves,
    flusher: Flusher,
    spiller: Spiller,
    tails: Tails,
    group_commit: GroupCommit,
    scrubber: Scrubber,
    keeper: Keeper,
    /// How many times content was moved since the pond was opened.
    rewrites: AtomicU64,
    /// Versions that were forgotten since the pond was opened.
    forgotten: Mutex<HashSet<Version>>,
    committer: Arc<Committer>,
    commit_on_sync: bool,
    /// The unreadable part of the journal.
    damage: Option<Damage>,
    /// Unusable files that were renamed when the pond was opened, by their new names.
    set_aside: Vec<PathBuf>,
    /// The callback for changes that do not come through the mount.
    watcher: Mutex<Option<Watcher>>,
    /// The callback after each change of the present.
    on_change: RwLock<Option<OnChange>>,
    /// The callback that lists requests without a reply.
    late: RwLock<Option<Late>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    lock: Mutex<Option<Lock>>,
    closed: AtomicBool,
}

impl Pond {
    /// Returns the path of the pond's folder when it was opened.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the current location of the pond's folder.
    pub fn location(&self) -> Location {
        match &self.folder {
            Some(folder) => folder.location(),
            None => Location::At(self.path.clone()),
        }
    }

    /// Returns a path by which system calls reach `name` in the folder of the pond, wherever the
    /// folder is moved.
    pub fn access_path(&self, name: &str) -> PathBuf {
        let path = self.path.join(name);
        self.folder
            .as_ref()
            .map_or(path.clone(), |folder| folder.access_path(&path))
    }

    /// Returns the unique id of the pond.
    pub fn id(&self) -> Uuid {
        self.id
    }

    /// Returns the limits that the pond was opened with.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Returns each limit with its value, and the current setting in `pond.toml`.
    pub fn settings(&self) -> Result<Vec<Setting>, PondError> {
        let table = self.identity()?.limits;
        let settings = self.limits.settings(table.as_ref());
        settings.map_err(|source| PondError::Limits {
            path: self.access_path(identity::Identity::FILE),
            source,
        })
    }

    /// Returns the newest version.
    pub fn latest(&self) -> VersionInfo {
        *self.latest.lock()
    }

    /// Returns the versions in `from..=to`, oldest first.
    pub fn versions(&self, from: Version, to: Version) -> Result<Vec<VersionInfo>, PondError> {
        Ok(self.index.versions(from, to)?)
    }

    /// Returns up to `limit` versions before `end`, newest first.
    pub fn versions_before(
        &self,
        end: Version,
        limit: usize,
    ) -> Result<Vec<VersionInfo>, PondError> {
        Ok(self.index.versions_before(end, limit)?)
    }

    /// Writes where the pond is mounted, for other processes.
    pub fn mounted_at(&self, mount: Option<MountNote<'_>>) -> Result<(), PondError> {
        self.lock
            .lock()
            .as_ref()
            .map_or(Ok(()), |lock| lock.note(mount))
    }

    /// Returns the size and the free space of the disk.
    pub fn statfs(&self) -> FsResult<Space> {
        self.free_space
            .space(self.promised()?)
            .map_err(FsError::store)
    }

    /// Commits the last version and releases the pond. Later changes are refused. May be called
    /// more than once. Changes that could not be committed are reported, and remain in the journal
    /// if they were flushed.
    pub fn close(&self) -> Result<(), PondError> {
        self.committer.stop();
        self.spiller.stop();
        self.group_commit.stop();
        self.keeper.stop();
        let threads = std::mem::take(&mut *self.threads.lock());
        let own = std::thread::current().id();
        for thread in threads
            .into_iter()
            .filter(|thread| thread.thread().id() != own)
        {
            if thread.join().is_err() {
                self.health.fail("a thread of the pond died".into());
            }
        }
        if self.closed.swap(true, Ordering::AcqRel) {
            return Ok(());
        }
        // A read-only pond has nothing to commit except journaled changes of the last writer, and
        // they stay in the journal.
        let only_read = self.health.is_read_only() && !self.health.has_failed();
        let closed = match only_read {
            true => Ok(()),
            false => self
                .commit()
                .and_then(|_| Ok(self.index.compact_journal()?)),
        };
        self.health.read_only("it is closed");
        self.index.close(closed.is_ok());
        if let Some(lock) = self.lock.lock().take() {
            let failure = closed.as_ref().err().map(|error| describe(error));
            lock.end(failure);
        }
        closed
    }
}

#[cfg(test)]
mod sim_tests;
#[cfg(test)]
mod tests;
