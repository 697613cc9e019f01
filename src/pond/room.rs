//! How much room the disk has, and that enough of it stays for what was promised.
//!
//! What is acknowledged has to find room when it is flushed. So new bytes and names are refused while
//! there is still room to flush, to commit and to delete.

use super::PondError;
use crate::disk::{Disk, Space};
use crate::tinyfs::{Errno, FsResult};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Bytes that are kept free for flushes and commits, on a disk that is large enough.
const RESERVE: u64 = 32 << 20;
/// The share of a small disk that is kept free instead: one in this many bytes.
const RESERVE_SHARE: u64 = 8;
/// How many bytes may be written between two looks at the disk.
const LOOK_EVERY: u64 = 1 << 20;

pub(super) struct Room {
    disk: Arc<dyn Disk>,
    path: PathBuf,
    /// Bytes that may still be taken before the next look.
    credit: AtomicU64,
}

impl Room {
    pub(super) fn new(disk: Arc<dyn Disk>, path: &Path) -> Room {
        Room {
            disk,
            path: path.to_owned(),
            credit: AtomicU64::new(0),
        }
    }

    /// The room for users: what is kept free is not theirs.
    pub(super) fn space(&self) -> Result<Space, PondError> {
        let disk = self.look()?;
        let kept = reserve(&disk) / disk.block;
        Ok(Space {
            available: disk.available.saturating_sub(kept),
            ..disk
        })
    }

    /// Fails with `ENOSPC` where the disk has not even `bytes` left for ourselves. To be asked before
    /// something is written that cannot be tried again.
    pub(super) fn must_have(&self, bytes: u64) -> Result<(), PondError> {
        let disk = self.look()?;
        match disk.free.saturating_mul(disk.block) >= bytes {
            true => Ok(()),
            false => {
                let full = std::io::Error::from_raw_os_error(libc::ENOSPC);
                Err(PondError::io("make a version in", &self.path)(full))
            }
        }
    }

    fn look(&self) -> Result<Space, PondError> {
        (self.disk.space(&self.path)).map_err(PondError::io("look at", &self.path))
    }

    /// Takes room for `bytes` more, or answers `ENOSPC`. `waiting` tells the bytes that were
    /// acknowledged and have no place on the disk yet.
    pub(super) fn take(&self, bytes: u64, waiting: impl FnOnce() -> u64) -> FsResult<()> {
        let spent = self
            .credit
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |credit| {
                credit.checked_sub(bytes)
            });
        if spent.is_ok() {
            return Ok(());
        }
        let disk = self.look().map_err(crate::tinyfs::FsError::store)?;
        let free = disk.available.saturating_mul(disk.block);
        let room = free
            .saturating_sub(reserve(&disk))
            .saturating_sub(waiting());
        if room < bytes {
            return Err(Errno::ENOSPC.into());
        }
        self.credit
            .store((room - bytes).min(LOOK_EVERY), Ordering::Relaxed);
        Ok(())
    }
}

fn reserve(disk: &Space) -> u64 {
    RESERVE.min(disk.blocks.saturating_mul(disk.block) / RESERVE_SHARE)
}
