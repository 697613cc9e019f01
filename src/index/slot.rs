//! Holds the key-value store of the index, and reopens it while the pond stays in use.
//!
//! fjall takes no more writes once one has failed (disk full, no file descriptor): it must be
//! closed and opened again. `Index` takes the store for the time of one read or write.
//!
//! Invariant: no thread has the store while it is being reopened, and the store that threads then
//! get holds everything that was committed.

use super::bulk::Bulk;
use super::disk::Disk;
use super::rebuild::{OLD, beside, remove_strays};
use super::{IndexError, VersionInfo};
use crate::limits::Limits;
use crate::tinyfs::{Changes, Entry, FsResult, Map, Version, describe};
use fjall::Snapshot;
use parking_lot::{MappedRwLockReadGuard, RwLock, RwLockReadGuard};
use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use uuid::Uuid;

pub(super) struct Slot {
    dir: PathBuf,
    pond: Uuid,
    limits: Limits,
    /// `None` after a close, and after a reopen that failed.
    disk: RwLock<Option<Disk>>,
}

/// The store, locked for one read or write.
pub(super) type Held<'a> = MappedRwLockReadGuard<'a, Disk>;

/// Applies one commit that is read back from the oplog.
pub(super) type Replay<'a> = dyn FnMut(&VersionInfo, &Changes) -> Result<(), IndexError> + 'a;

impl Slot {
    pub(super) fn open(dir: &Path, pond: Uuid, limits: &Limits) -> Result<Slot, IndexError> {
        remove_strays(dir)?;
        Ok(Slot {
            dir: dir.to_owned(),
            pond,
            limits: *limits,
            disk: RwLock::new(Some(Disk::open(dir, pond, limits)?)),
        })
    }

    pub(super) fn limits(&self) -> &Limits {
        &self.limits
    }

    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Locks the store. A thread that has it locked may call this again.
    pub(super) fn get(&self) -> Result<Held<'_>, IndexError> {
        RwLockReadGuard::try_map(self.disk.read_recursive(), Option::as_ref)
            .map_err(|_| IndexError::Closed)
    }

    /// Returns a view of the store that later commits do not change.
    pub(super) fn view(&self) -> Result<View<'_>, IndexError> {
        let disk = self.get()?;
        let snapshot = disk.snapshot();
        Ok(View { disk, snapshot })
    }

    /// Closes the store, in order or as a crash would.
    pub(super) fn close(&self, in_order: bool) {
        let disk = self.disk.write().take();
        // A store that could not be reopened was not closed in order.
        if let Some(disk) = disk.filter(|_| in_order) {
            disk.close_in_order();
        }
    }

    /// Closes the store and opens it again; deletes it first if it is damaged. `catch_up` is called
    /// with the newest version that the store has, and must pass it all later ones.
    pub(super) fn reopen<E: From<IndexError>>(
        &self,
        next_id: u64,
        catch_up: impl FnOnce(Option<Version>, &mut Replay<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut slot = self.disk.write();
        drop(slot.take());
        let disk = match Disk::open(&self.dir, self.pond, &self.limits) {
            Err(error) if error.is_damage() => {
                tracing::warn!("the index is rebuilt from the oplog: {}", describe(&error));
                fs::remove_dir_all(&self.dir).map_err(IndexError::files("remove", &self.dir))?;
                Disk::open(&self.dir, self.pond, &self.limits)
            }
            opened => opened,
        }?;
        let mut bulk = Bulk::default();
        catch_up(disk.applied()?, &mut |info, changes| {
            bulk.take(&disk, info, changes, next_id)
        })?;
        bulk.finish(&disk)?;
        *slot = Some(disk);
        Ok(())
    }
}

impl Slot {
    /// Closes the store and opens the one in folder `new`, which takes over its name. After a crash
    /// the name leads to one of the two, or to nothing.
    pub(super) fn exchange(&self, new: &Path) -> Result<(), IndexError> {
        let mut slot = self.disk.write();
        drop(slot.take());
        let old = beside(&self.dir, OLD);
        let rename = |from: &Path, to: &Path| {
            fs::rename(from, to).map_err(IndexError::files("rename", from))
        };
        rename(&self.dir, &old)?;
        rename(new, &self.dir)?;
        *slot = Some(Disk::open(&self.dir, self.pond, &self.limits)?);
        drop(slot);
        fs::remove_dir_all(&old).map_err(IndexError::files("remove", &old))
    }
}

/// A snapshot of all keyspaces.
pub(super) struct View<'a> {
    disk: Held<'a>,
    snapshot: Snapshot,
}

impl View<'_> {
    /// Visits the entries in `from..to` at version `at`, in order of their keys.
    pub(super) fn scan<M: Map>(
        &self,
        at: Version,
        from: &M::Key,
        to: &M::Key,
        visit: &mut dyn FnMut(M::Key, M::Value) -> ControlFlow<()>,
    ) -> FsResult<()> {
        Ok(self.disk.scan::<M>(&self.snapshot, at, from, to, visit)?)
    }

    /// Returns the last entry in `from..=to` at version `at` for whose key `skip` is false.
    pub(super) fn last<M: Map>(
        &self,
        at: Version,
        from: &M::Key,
        to: &M::Key,
        skip: &dyn Fn(&M::Key) -> bool,
    ) -> FsResult<Option<Entry<M>>> {
        Ok(self.disk.last::<M>(&self.snapshot, at, from, to, skip)?)
    }
}
