//! The key-value store of the index, and opening it anew while the pond goes on.
//!
//! Role: the store takes no more writes once one of its own has failed (a full disk, no descriptor); it has
//! to be closed and opened again. In: the folder of the index. Out: the store, held for as long as one read
//! or write takes. Holds always: nobody has the store while it is opened anew, and what they then find has
//! everything that was committed.

use super::bulk::Bulk;
use super::disk::Disk;
use super::rebuild::{OLD, beside, remove_strays};
use super::{IndexError, VersionInfo};
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
    /// Empty where it could not be opened anew.
    disk: RwLock<Option<Disk>>,
}

/// The store, for one read or write.
pub(super) type Held<'a> = MappedRwLockReadGuard<'a, Disk>;

/// Takes in one commit that is read back.
pub(super) type Replay<'a> = dyn FnMut(&VersionInfo, &Changes) -> Result<(), IndexError> + 'a;

impl Slot {
    pub(super) fn open(dir: &Path, pond: Uuid) -> Result<Slot, IndexError> {
        remove_strays(dir)?;
        Ok(Slot {
            dir: dir.to_owned(),
            pond,
            disk: RwLock::new(Some(Disk::open(dir, pond)?)),
        })
    }

    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// The store. May be asked by who has it already.
    pub(super) fn get(&self) -> Result<Held<'_>, IndexError> {
        RwLockReadGuard::try_map(self.disk.read_recursive(), Option::as_ref)
            .map_err(|_| IndexError::Closed)
    }

    /// The store as it is now, whatever is committed later.
    pub(super) fn view(&self) -> Result<View<'_>, IndexError> {
        let disk = self.get()?;
        let snapshot = disk.snapshot();
        Ok(View { disk, snapshot })
    }

    /// Closes the store, in order or as a crash would.
    pub(super) fn close(&self, in_order: bool) {
        let disk = self.disk.write().take();
        // One that is closed already was not closed in order.
        if let Some(disk) = disk.filter(|_| in_order) {
            disk.close_in_order();
        }
    }

    /// Closes the store and opens it anew, from nothing where it is damaged. `catch_up` is told the newest
    /// version that it has, and gives it the later ones.
    pub(super) fn reopen<E: From<IndexError>>(
        &self,
        next_id: u64,
        catch_up: impl FnOnce(Option<Version>, &mut Replay<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut slot = self.disk.write();
        drop(slot.take());
        let disk = match Disk::open(&self.dir, self.pond) {
            Err(error) if error.is_damage() => {
                tracing::warn!("the index is rebuilt from the oplog: {}", describe(&error));
                fs::remove_dir_all(&self.dir).map_err(IndexError::files("remove", &self.dir))?;
                Disk::open(&self.dir, self.pond)
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
    /// Closes the store and opens the one in folder `new`, which takes its name. A crash leaves one of them
    /// under that name, or none.
    pub(super) fn exchange(&self, new: &Path) -> Result<(), IndexError> {
        let mut slot = self.disk.write();
        drop(slot.take());
        let old = beside(&self.dir, OLD);
        let rename = |from: &Path, to: &Path| {
            fs::rename(from, to).map_err(IndexError::files("rename", from))
        };
        rename(&self.dir, &old)?;
        rename(new, &self.dir)?;
        *slot = Some(Disk::open(&self.dir, self.pond)?);
        drop(slot);
        fs::remove_dir_all(&old).map_err(IndexError::files("remove", &old))
    }
}

/// All keyspaces as they are at one moment.
pub(super) struct View<'a> {
    disk: Held<'a>,
    snapshot: Snapshot,
}

impl View<'_> {
    /// Visits the entries in `from..to` at version `at`, in order.
    pub(super) fn scan<M: Map>(
        &self,
        at: Version,
        from: &M::Key,
        to: &M::Key,
        visit: &mut dyn FnMut(M::Key, M::Value) -> ControlFlow<()>,
    ) -> FsResult<()> {
        Ok(self.disk.scan::<M>(&self.snapshot, at, from, to, visit)?)
    }

    /// The last entry in `from..=to` at version `at`, of those that `skip` does not pass over.
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
