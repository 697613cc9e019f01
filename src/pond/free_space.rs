//! Reserves free space of the disk for acknowledged operations.
//!
//! Before an operation is acknowledged, it asks for the bytes of the disk that it will take until
//! it is committed, and gets `ENOSPC` if they would come out of the reserve. The part of the
//! reserve that an operation may not use depends on its kind ([`Kept`]): on a full disk, names can
//! still be changed. Removals do not ask: their number is bounded by the number of files.
//!
//! Invariant: acknowledged operations can be committed, as long as no other process fills the
//! disk. A commit needs what the open version takes
//! ([`Index::disk_bytes`](crate::index::Index::disk_bytes)) and [`FOR_A_COMMIT`]; at least half of
//! the reserve is left then. The formula of the reserve is in `docs/durability.md`.

use super::PondError;
use crate::disk::{Disk, Space};
use crate::tinyfs::{Errno, FsResult};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The smallest disk of a pond in bytes.
pub(super) const SMALLEST_DISK: u64 = 16 << 20;
/// The reserve in bytes on a large disk, and the divisor that sets it on a smaller one.
const RESERVE: u64 = 32 << 20;
const RESERVE_SHARE: u64 = 8;
/// The most bytes that are kept for the working space of the index.
const WORKING_SPACE: u64 = 32 << 20;
/// Bytes that a commit takes besides its data: whole blocks, the log, new files of the index.
pub(super) const FOR_A_COMMIT: u64 = 256 << 10;
/// The most bytes granted between two checks of the disk, and the divisor for a small disk.
const LOOK_EVERY: u64 = 1 << 20;
const LOOK_SHARE: u64 = 256;

/// The part of the reserve that an operation may not use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kept {
    /// All of it: operations that add content or names.
    All,
    /// Half: operations that change existing data.
    Half,
}

impl Kept {
    fn of(self, reserve: u64) -> u64 {
        match self {
            Kept::All => reserve,
            Kept::Half => reserve / 2,
        }
    }
}

/// The free space for users, and the reserve.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Free {
    /// Bytes that can still be written.
    pub writable: u64,
    /// Bytes that are kept for commits and removals.
    pub reserve: u64,
}

/// Bytes that are acknowledged and not on the disk yet.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Promised {
    /// Bytes that a commit of the open version takes.
    pub(super) open: u64,
    /// Bytes that the index may take temporarily.
    pub(super) working: u64,
}

pub(super) struct FreeSpace {
    disk: Arc<dyn Disk>,
    path: PathBuf,
    /// Bytes that may be granted before the next check, for each [`Kept`].
    credit: [AtomicU64; 2],
}

impl FreeSpace {
    pub(super) fn new(disk: Arc<dyn Disk>, path: &Path) -> FreeSpace {
        FreeSpace {
            disk,
            path: path.to_owned(),
            credit: Default::default(),
        }
    }

    /// Returns the space of the disk as users see it: without the reserve, and without the bytes
    /// that the open version will take.
    pub(super) fn space(&self, promised: Promised) -> Result<Space, PondError> {
        let disk = self.look()?;
        let writable = writable(&disk, Kept::All, promised) / disk.block;
        let kept = disk.available.saturating_sub(writable);
        Ok(Space {
            available: writable,
            // What the disk keeps for root is not used either.
            free: disk.free.saturating_sub(kept),
            ..disk
        })
    }

    pub(super) fn free(&self, promised: Promised) -> Result<Free, PondError> {
        let disk = self.look()?;
        Ok(Free {
            writable: writable(&disk, Kept::All, promised),
            reserve: reserve(&disk, promised),
        })
    }

    /// Fails with `ENOSPC` if fewer than `bytes` are free, including the reserve. For use before a
    /// write that cannot be retried.
    pub(super) fn must_have(&self, bytes: u64) -> Result<(), PondError> {
        match self.has(bytes)? {
            true => Ok(()),
            false => {
                let full = std::io::Error::from_raw_os_error(libc::ENOSPC);
                Err(PondError::io("make a version in", &self.path)(full))
            }
        }
    }

    /// Returns whether `bytes` are free on the disk, including the reserve.
    pub(super) fn has(&self, bytes: u64) -> Result<bool, PondError> {
        let disk = self.look()?;
        Ok(disk.free.saturating_mul(disk.block) >= bytes)
    }

    /// Returns `most`, or the size of the disk divided by `share` if that is less.
    pub(super) fn in_proportion(&self, most: u64, share: u64) -> Result<u64, PondError> {
        Ok(most.min(size(&self.look()?) / share))
    }

    fn look(&self) -> Result<Space, PondError> {
        (self.disk.space(&self.path)).map_err(PondError::io("look at", &self.path))
    }

    /// Makes the next operation check the disk.
    pub(super) fn look_again(&self) {
        (self.credit.iter()).for_each(|credit| credit.store(0, Ordering::Relaxed));
    }

    /// Grants `bytes` more, or fails with `ENOSPC`. `promised` is called only if the disk has to be
    /// checked.
    pub(super) fn take(
        &self,
        bytes: u64,
        kept: Kept,
        promised: impl FnOnce() -> FsResult<Promised>,
    ) -> FsResult<()> {
        let [all, half] = &self.credit;
        let credit = match kept {
            Kept::All => all,
            Kept::Half => half,
        };
        let spent = credit.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |credit| {
            credit.checked_sub(bytes)
        });
        if spent.is_ok() {
            return Ok(());
        }
        // In this order, bytes that a spill writes meanwhile count twice at most, never not at all.
        let promised = promised()?;
        let disk = self.look().map_err(crate::tinyfs::FsError::store)?;
        let left = writable(&disk, kept, promised).checked_sub(bytes);
        let left = left.ok_or(Errno::ENOSPC)?;
        let most = LOOK_EVERY.min(size(&disk) / LOOK_SHARE);
        credit.store(left.min(most), Ordering::Relaxed);
        Ok(())
    }
}

/// Fails if the disk at `path` is too small or too full for a new pond.
pub(super) fn must_hold_a_pond(disk: &dyn Disk, path: &Path) -> Result<(), PondError> {
    let space = disk.space(path).map_err(PondError::io("look at", path))?;
    let writable = writable(&space, Kept::All, Promised::default());
    match size(&space) >= SMALLEST_DISK && writable > 0 {
        true => Ok(()),
        false => Err(PondError::SmallDisk {
            path: path.to_owned(),
            size: size(&space),
            free: space.available.saturating_mul(space.block),
        }),
    }
}

fn size(disk: &Space) -> u64 {
    disk.blocks.saturating_mul(disk.block)
}

fn reserve(disk: &Space, promised: Promised) -> u64 {
    let working = promised.working.min(WORKING_SPACE);
    RESERVE.min(size(disk) / RESERVE_SHARE) + working
}

fn writable(disk: &Space, kept: Kept, promised: Promised) -> u64 {
    let available = disk.available.saturating_mul(disk.block);
    available
        .saturating_sub(kept.of(reserve(disk, promised)))
        .saturating_sub(promised.open)
}
