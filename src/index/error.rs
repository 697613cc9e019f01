//! Errors of the index and of the journal.

use super::Damage;
use crate::disk::display_path;
use crate::tinyfs::{FsError, Malformed};
use std::io;
use std::path::{Path, PathBuf};

/// An error of the index or the journal. Errors of the index never mean data loss: it can be
/// rebuilt.
#[derive(Debug, thiserror::Error)]
pub enum IndexError {
    /// The key-value store failed.
    #[error("the index cannot be read or written")]
    Database(#[from] fjall::Error),
    /// The files of the index do not hold what was written.
    #[error("the index is damaged: {0}")]
    Damaged(&'static str),
    /// The index is closed, or could not be reopened after a failed write.
    #[error(
        "the index is closed: it could not be opened again after a write of its own had failed"
    )]
    Closed,
    /// An entry cannot be decoded.
    #[error("the index holds an entry that no pond can hold")]
    Malformed(#[from] Malformed),
    /// The index belongs to another pond or has another format.
    #[error("the index is of another pond or another format")]
    Foreign,
    /// A file of the index could not be read or written.
    #[error("cannot {what} {}", path.display())]
    Files {
        /// The operation, as a verb.
        what: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The error of the operating system.
        #[source]
        source: io::Error,
    },
    /// A file of the journal could not be read or written. The records are not durable, and can be
    /// written again.
    #[error("cannot {what} {}", path.display())]
    Journal {
        /// The operation, as a verb.
        what: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The error of the operating system.
        #[source]
        source: io::Error,
    },
    /// A sync of the journal failed: the records that it should make durable may be lost.
    #[error("cannot sync {}", path.display())]
    JournalSync {
        /// The file.
        path: PathBuf,
        /// The error of the operating system.
        #[source]
        source: io::Error,
    },
    /// An entry has an id that no pond reaches. The next ids would be too great to be read again.
    #[error(
        "the pond cannot be opened: it has an entry with id {0}, and a pond that this program wrote has none greater \
         than {max}",
        max = super::MAX_USED_ID
    )]
    OutOfIds(u64),
    /// The journal does not hold what was written to it.
    #[error("{0}")]
    JournalDamaged(Damage),
}

impl IndexError {
    /// Returns whether the index is damaged, so that rebuilding it helps.
    pub fn is_damage(&self) -> bool {
        use fjall::Error as Store;
        match self {
            IndexError::Damaged(_) | IndexError::Malformed(_) | IndexError::Foreign => true,
            IndexError::Database(Store::Io(e) | Store::Storage(fjall::LsmError::Io(e))) => {
                // An error without errno comes from fjall's own checks. ENOENT and EEXIST mean that
                // the files and the list of them disagree.
                matches!(e.raw_os_error(), None | Some(libc::ENOENT | libc::EEXIST))
            }
            IndexError::Database(Store::Locked | Store::Poisoned) => false,
            IndexError::Database(_) => true,
            _ => false,
        }
    }

    /// Returns whether the index takes no more writes until it is reopened.
    pub fn is_stuck(&self) -> bool {
        matches!(
            self,
            IndexError::Closed | IndexError::Database(fjall::Error::Poisoned)
        )
    }

    pub(super) fn files(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> IndexError {
        let path = path.to_owned();
        move |source| IndexError::Files {
            what,
            path: display_path(&path),
            source,
        }
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
