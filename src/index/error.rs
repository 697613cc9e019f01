//! Why the index could not be read or written.

use crate::tinyfs::{FsError, Malformed};

/// A failure of the index. It never means that committed data is lost: the index can be rebuilt.
#[derive(Debug, thiserror::Error)]
pub enum IndexError {
    /// The key-value store failed.
    #[error("the index cannot be read or written")]
    Database(#[from] fjall::Error),
    /// An entry is not what its map can hold.
    #[error("the index holds an entry that no pond can hold")]
    Malformed(#[from] Malformed),
    /// The index is not this pond's, or not of this format.
    #[error("the index is of another pond or another format")]
    Foreign,
}

impl From<IndexError> for FsError {
    fn from(error: IndexError) -> FsError {
        FsError::store(error)
    }
}
