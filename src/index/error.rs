//! Why the index could not be read or written.

use super::Damage;
use crate::tinyfs::{FsError, Malformed};
use std::io;
use std::path::{Path, PathBuf};

/// A failure of the index, or of the journal of what no commit holds yet. One of the index never means
/// that anything is lost: it can be rebuilt.
#[derive(Debug, thiserror::Error)]
pub enum IndexError {
    /// The key-value store failed.
    #[error("the index cannot be read or written")]
    Database(#[from] fjall::Error),
    /// Its files are not what they were.
    #[error("the index is damaged: {0}")]
    Damaged(&'static str),
    /// After a write that failed it could not be opened again.
    #[error(
        "the index is closed: it could not be opened again after a write of its own had failed"
    )]
    Closed,
    /// An entry is not what its map can hold.
    #[error("the index holds an entry that no pond can hold")]
    Malformed(#[from] Malformed),
    /// The index is not this pond's, or not of this format.
    #[error("the index is of another pond or another format")]
    Foreign,
    /// A file of the index could not be read or written.
    #[error("cannot {what} {}", path.display())]
    Files {
        /// What was tried.
        what: &'static str,
        /// With which file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A file of the journal could not be read or written; what was to be written is not kept yet, and
    /// can be written again.
    #[error("cannot {what} {}", path.display())]
    Journal {
        /// What was tried.
        what: &'static str,
        /// With which file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The journal could not be synced: what it was to keep may be lost.
    #[error("cannot sync {}", path.display())]
    JournalSync {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The journal does not hold what was written to it.
    #[error("{0}")]
    JournalDamaged(Damage),
}

impl IndexError {
    /// Whether it is the index that is damaged, so that making it anew helps.
    pub fn is_damage(&self) -> bool {
        use fjall::Error as Store;
        match self {
            IndexError::Damaged(_) | IndexError::Malformed(_) | IndexError::Foreign => true,
            IndexError::Database(Store::Io(e) | Store::Storage(fjall::LsmError::Io(e))) => {
                // Without a number it was the library that did not like what it read; and a file that is
                // made anew and is there shows that the one that tells of it was lost.
                matches!(e.raw_os_error(), None | Some(libc::ENOENT | libc::EEXIST))
            }
            IndexError::Database(Store::Locked | Store::Poisoned) => false,
            IndexError::Database(_) => true,
            _ => false,
        }
    }

    /// Whether the index takes no more writes until it is opened anew.
    pub fn is_stuck(&self) -> bool {
        matches!(
            self,
            IndexError::Closed | IndexError::Database(fjall::Error::Poisoned)
        )
    }

    pub(super) fn files(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> IndexError {
        let path = path.to_owned();
        move |source| IndexError::Files { what, path, source }
    }

    pub(super) fn journal(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> IndexError {
        let path = path.to_owned();
        move |source| IndexError::Journal { what, path, source }
    }

    pub(super) fn journal_sync(path: &Path) -> impl FnOnce(io::Error) -> IndexError {
        let path = path.to_owned();
        move |source| IndexError::JournalSync { path, source }
    }
}

impl From<IndexError> for FsError {
    fn from(error: IndexError) -> FsError {
        FsError::store(error)
    }
}
