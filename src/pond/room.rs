//! How much room the disk has, and that enough of it stays for what was promised.
//!
//! What is acknowledged has to find room when it is flushed. So new bytes and names are refused while
//! there is still room to flush, to commit and to delete.

use super::PondError;
use crate::tinyfs::{Errno, FsResult};
use rustix::fs::StatVfs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// Bytes that are kept free for flushes and commits, on a disk that is large enough.
const RESERVE: u64 = 32 << 20;
/// The share of a small disk that is kept free instead: one in this many bytes.
const RESERVE_SHARE: u64 = 8;
/// How many bytes may be written between two looks at the disk.
const LOOK_EVERY: u64 = 1 << 20;

/// The room of a pond, as `statfs` tells it.
#[derive(Clone, Copy, Debug)]
pub struct Space {
    /// Bytes of a block.
    pub block_size: u32,
    /// Blocks in all.
    pub blocks: u64,
    /// Blocks that are free.
    pub free: u64,
    /// Blocks that are free for all users.
    pub available: u64,
    /// Nodes that the disk could hold.
    pub files: u64,
    /// Of them, free.
    pub files_free: u64,
}

pub(super) struct Room {
    path: PathBuf,
    /// Bytes that may still be taken before the next look.
    credit: AtomicU64,
}

impl Room {
    pub(super) fn new(path: &Path) -> Room {
        Room {
            path: path.to_owned(),
            credit: AtomicU64::new(0),
        }
    }

    pub(super) fn space(&self) -> Result<Space, PondError> {
        let disk = self.look()?;
        let block = disk.f_frsize.max(1);
        Ok(Space {
            block_size: u32::try_from(block).unwrap_or(u32::MAX),
            blocks: disk.f_blocks,
            free: disk.f_bfree,
            available: disk.f_bavail.saturating_sub(reserve(&disk) / block),
            files: disk.f_files,
            files_free: disk.f_ffree,
        })
    }

    fn look(&self) -> Result<StatVfs, PondError> {
        rustix::fs::statvfs(&self.path).map_err(|e| PondError::io("look at", &self.path)(e.into()))
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
        let free = disk.f_bavail.saturating_mul(disk.f_frsize);
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

fn reserve(disk: &StatVfs) -> u64 {
    RESERVE.min(disk.f_blocks.saturating_mul(disk.f_frsize) / RESERVE_SHARE)
}
