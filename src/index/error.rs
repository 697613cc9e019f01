//! Why the index could not be read or written.

use crate::tinyfs::{FsError, Malformed};
use std::error::Error;
use std::io;

/// A failure of the index. It never means that committed data is lost: the index can be rebuilt.
#[derive(Debug, thiserror::Error)]
pub enum IndexError {
    /// The key-value store failed.
    #[error("the index cannot be read or written")]
    Database(#[from] fjall::Error),
    /// Its files are not what they were.
    #[error("the index is damaged: {0}")]
    Damaged(&'static str),
    /// An entry is not what its map can hold.
    #[error("the index holds an entry that no pond can hold")]
    Malformed(#[from] Malformed),
    /// The index is not this pond's, or not of this format.
    #[error("the index is of another pond or another format")]
    Foreign,
}

impl IndexError {
    /// Whether its files are not what was written to them, rather than out of reach for a reason of
    /// the system's.
    pub fn is_damage(&self) -> bool {
        let IndexError::Database(error) = self else {
            return true;
        };
        let mut causes = std::iter::successors(Some(error as &dyn Error), |e| (*e).source());
        let system = causes.find_map(|cause| cause.downcast_ref::<io::Error>());
        // A file has been lost that is named, or that would tell that the others are there.
        let lost = |e: &io::Error| {
            e.raw_os_error()
                .is_none_or(|n| [libc::ENOENT, libc::EEXIST].contains(&n))
        };
        system.is_none_or(lost) && !matches!(error, fjall::Error::Locked)
    }
}

impl From<IndexError> for FsError {
    fn from(error: IndexError) -> FsError {
        FsError::store(error)
    }
}
