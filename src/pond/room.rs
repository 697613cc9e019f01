//! Free space of the disk, and that enough of it stays for what was acknowledged.
//!
//! Every operation asks for the bytes of the disk that it will take until it is committed, before it is
//! acknowledged, and gets `ENOSPC` if they would come out of the reserve. How much of the reserve stays
//! out of reach depends on the operation ([`Kept`]): on a full disk, names can still be changed. What
//! removes something does not ask: there is no more of that than there are files.
//!
//! Invariant: what was acknowledged can be committed, as long as nobody else fills the disk. A commit
//! needs what the open version takes ([`Index::disk_bytes`](crate::index::Index::disk_bytes)) and
//! [`FOR_A_COMMIT`]; at least half of the reserve is left then. The formula of the reserve is in
//! `docs/durability.md`.

use super::PondError;
use crate::disk::{Disk, Space};
use crate::tinyfs::{Errno, FsResult};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The smallest disk of a pond in bytes.
pub(super) const SMALLEST_DISK: u64 = 16 << 20;
/// The reserve in bytes on a disk that is large enough, and the share of a smaller one.
const RESERVE: u64 = 32 << 20;
const RESERVE_SHARE: u64 = 8;
/// The most bytes that are kept for the working space of the index.
const WORKING_SPACE: u64 = 32 << 20;
/// Bytes that a commit takes besides what it holds: whole blocks, the log, new files of the index.
pub(super) const FOR_A_COMMIT: u64 = 256 << 10;
/// The most bytes that are granted between two looks at the disk, and the share of a small disk.
const LOOK_EVERY: u64 = 1 << 20;
const LOOK_SHARE: u64 = 256;

/// How much of the reserve an operation leaves alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kept {
    /// All of it: operations that add content or names.
    All,
    /// Half: operations that change what is there.
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

/// What the disk has for users, and what is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Free {
    /// Bytes that can still be written.
    pub writable: u64,
    /// Bytes that are kept for commits and removals.
    pub reserve: u64,
}

/// What is acknowledged and not on the disk yet, in bytes.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Promised {
    /// What a commit of the open version takes.
    pub(super) open: u64,
    /// What the index may take for a moment.
    pub(super) working: u64,
}

pub(super) struct Room {
    disk: Arc<dyn Disk>,
    path: PathBuf,
    /// Bytes that may be granted before the next look, for each [`Kept`].
    credit: [AtomicU64; 2],
}

impl Room {
    pub(super) fn new(disk: Arc<dyn Disk>, path: &Path) -> Room {
        Room {
            disk,
            path: path.to_owned(),
            credit: Default::default(),
        }
    }

    /// Returns the space of the disk as users see it: without the reserve, and without what the open
    /// version will take.
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

    /// Fails with `ENOSPC` if the disk has fewer than `bytes` for ourselves. To be called before a
    /// write that cannot be tried again.
    pub(super) fn must_have(&self, bytes: u64) -> Result<(), PondError> {
        match self.has(bytes)? {
            true => Ok(()),
            false => {
                let full = std::io::Error::from_raw_os_error(libc::ENOSPC);
                Err(PondError::io("make a version in", &self.path)(full))
            }
        }
    }

    /// Returns whether the disk has `bytes` for ourselves.
    pub(super) fn has(&self, bytes: u64) -> Result<bool, PondError> {
        let disk = self.look()?;
        Ok(disk.free.saturating_mul(disk.block) >= bytes)
    }

    /// Returns `most` bytes, or that share of a small disk.
    pub(super) fn in_proportion(&self, most: u64, share: u64) -> Result<u64, PondError> {
        Ok(most.min(size(&self.look()?) / share))
    }

    fn look(&self) -> Result<Space, PondError> {
        (self.disk.space(&self.path)).map_err(PondError::io("look at", &self.path))
    }

    /// Has the next operation look at the disk.
    pub(super) fn look_again(&self) {
        (self.credit.iter()).for_each(|credit| credit.store(0, Ordering::Relaxed));
    }

    /// Grants `bytes` more, or fails with `ENOSPC`. `promised` is called only if the disk has to be
    /// looked at.
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
        // First what is promised: what a spill writes meanwhile counts twice then, and never not at all.
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
