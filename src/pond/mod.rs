//! One open pond: the index, the segments and the oplog, tied together.
//!
//! Role: make operations of the tree durable and versions of what they leave. In: operations
//! ([`ops`]), calls to flush, commit and close. Out: the tree at any version, and its state. Holds
//! always: after a crash the tree is the state after some prefix of the acknowledged operations, never
//! older than the last flush that returned; a version is made only if something changed.
//!
//! - [`open`], [`identity`], [`shape`], [`lock`]: making a pond, and being its one writer.
//! - [`ops`], [`pins`], [`room`]: operations; who holds on to removed nodes; room on the disk.
//! - [`saves`]: what must not be cut in two by a version. [`gate`]: short changes and long ones.
//! - [`fsync`], [`flush`]: who waits for stable storage, and what puts it there. [`spill`]: what bounds memory. [`commit`]: versions, and the thread that makes them.
//! - [`housekeeping`]: joining files of the oplog, and cleaning it up.
//! - [`history`]: which version is meant, and when what changed. [`clock`]: a clock that is wrong.
//! - [`prune`]: forgetting versions, and paths.
//! - [`check`], [`repair`], [`scrub`]: what is wrong, mending it, and looking for it meanwhile.
//! - [`status`], [`health`]: what is going on, whether changes are taken.

mod check;
mod clock;
mod commit;
mod error;
mod fingerprint;
mod flush;
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
mod room;
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
pub use gate::{LongChange, ShortChange};
pub use history::{
    Change, Comparison, Difference, Edit, Event, HistoryCursor, OnChange, PathHistory, Reference,
    Return, Tag, Watcher,
};
pub use open::{Damaged, OpenOptions, Progress};
pub use prune::{Policy, Pruned, Within};
pub use repair::Repaired;
pub use room::Free;
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
use fsync::Group;
use gate::ChangeGate;
use health::Health;
use history::Timeline;
use housekeeping::Keeper;
use lock::{Lock, MountNote};
use parking_lot::{Mutex, RwLock};
use pins::Pins;
use room::Room;
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
    /// Held while a large change of a file is prepared beside other operations.
    preparing: Mutex<()>,
    gate: ChangeGate,
    pins: Pins,
    room: Room,
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
    group: Group,
    scrubber: Scrubber,
    keeper: Keeper,
    /// How often content was moved since the pond was opened.
    rewrites: AtomicU64,
    /// Versions that were forgotten since the pond was opened.
    forgotten: Mutex<HashSet<Version>>,
    committer: Arc<Committer>,
    commit_on_sync: bool,
    /// What of the journal cannot be read.
    damage: Option<Damage>,
    /// Files that the pond could not make sense of when it was opened, by their new names.
    set_aside: Vec<PathBuf>,
    /// Who is told of changes that do not come through the mount.
    watcher: Mutex<Option<Watcher>>,
    /// What is called after each change of the present.
    on_change: RwLock<Option<OnChange>>,
    /// What is asked for requests that wait.
    late: RwLock<Option<Late>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    lock: Mutex<Option<Lock>>,
    closed: AtomicBool,
}

impl Pond {
    /// The path of the pond's folder when it was opened.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns where the folder of the pond is now.
    pub fn location(&self) -> Location {
        match &self.folder {
            Some(folder) => folder.location(),
            None => Location::At(self.path.clone()),
        }
    }

    /// Returns a path by which system calls reach `name` in the folder of the pond, wherever that
    /// is moved.
    pub fn access_path(&self, name: &str) -> PathBuf {
        let path = self.path.join(name);
        self.folder
            .as_ref()
            .map_or(path.clone(), |folder| folder.access_path(&path))
    }

    /// The identity of the pond.
    pub fn id(&self) -> Uuid {
        self.id
    }

    /// The limits that the pond was opened with.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Each limit with its value, and what `pond.toml` sets now.
    pub fn settings(&self) -> Result<Vec<Setting>, PondError> {
        let table = self.identity()?.limits;
        let settings = self.limits.settings(table.as_ref());
        settings.map_err(|source| PondError::Limits {
            path: self.access_path(identity::Identity::FILE),
            source,
        })
    }

    /// The newest version.
    pub fn latest(&self) -> VersionInfo {
        *self.latest.lock()
    }

    /// The versions in `from..=to`, oldest first.
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

    /// Notes for other processes where the pond is mounted.
    pub fn mounted_at(&self, mount: Option<MountNote<'_>>) -> Result<(), PondError> {
        self.lock
            .lock()
            .as_ref()
            .map_or(Ok(()), |lock| lock.note(mount))
    }

    /// How much room there is.
    pub fn statfs(&self) -> FsResult<Space> {
        self.room.space(self.promised()?).map_err(FsError::store)
    }

    /// Makes the last version and lets go of the pond. Later changes are refused. May be called
    /// more than once; what could not be committed is said, and stands in the journal if it was
    /// flushed.
    pub fn close(&self) -> Result<(), PondError> {
        self.committer.stop();
        self.spiller.stop();
        self.group.stop();
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
        // Who only read has nothing to commit but what the last writer left in the journal, and there
        // it stays.
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
