//! Errors of the oplog: what failed, where and why, in one sentence.
//!
//! Invariant: an error of the operating system stays in the chain of causes, so that `ENOSPC` can
//! be distinguished from other failures.

use super::record::RecordError;
use crate::tinyfs::{Errno, Version};
use buoyant_kernel::Error as KernelError;
use std::error::Error as StdError;
use std::io;
use uuid::Uuid;

/// Any error, boxed.
pub(super) type Cause = Box<dyn StdError + Send + Sync>;

/// An error of creating, opening, reading or extending the oplog.
#[derive(Debug, thiserror::Error)]
pub enum OplogError {
    /// The folder has no oplog.
    #[error("there is no oplog in {place}")]
    Absent {
        /// The folder.
        place: String,
    },
    /// The folder has an oplog already.
    #[error("there is an oplog in {place} already")]
    Exists {
        /// The folder.
        place: String,
    },
    /// The table was not created by pondmount, or belongs to another pond.
    #[error("the oplog is not that of pond {pond}: {why}")]
    Foreign {
        /// The pond that was opened.
        pond: Uuid,
        /// What does not match.
        why: String,
    },
    /// An acknowledged version is missing.
    #[error("the oplog ends at version {latest}, but version {known} was committed before")]
    Lost {
        /// The newest acknowledged version.
        known: Version,
        /// The newest version in the table.
        latest: Version,
    },
    /// A commit does not have the content that was written.
    #[error("the commit of version {version} (_delta_log/{:020}.json) is damaged: {why}", version.0)]
    Damaged {
        /// The version.
        version: Version,
        /// What is wrong with it.
        why: String,
    },
    /// A data file does not have the content that was written.
    #[error("the data file {path} is damaged: {why}")]
    DamagedFile {
        /// Path of the file within the table.
        path: String,
        /// What is wrong with it.
        why: String,
    },
    /// A record cannot be encoded or decoded.
    #[error("{record} records cannot be {done}: {source}")]
    Record {
        /// The record type.
        record: String,
        /// `read` or `written`.
        done: &'static str,
        /// The reason.
        #[source]
        source: RecordError,
    },
    /// Another writer has committed. This one must stop, reopen and read the new versions.
    #[error("another writer committed version {version}")]
    Conflict {
        /// The version that was taken.
        version: Version,
    },
    /// The generation is older than the last one that was committed.
    #[error("generation {generation} cannot be committed after generation {newest}")]
    Stale {
        /// The given generation.
        generation: u64,
        /// The last committed generation.
        newest: u64,
    },
    /// A commit without changes.
    #[error("a commit must change something")]
    Empty,
    /// A number or a time is out of the range of the table's columns.
    #[error("{0} is beyond what the oplog can hold")]
    Range(&'static str),
    /// The store, or a library that reads and writes the table, failed.
    #[error("cannot {what}: {source}")]
    Storage {
        /// The operation.
        what: String,
        /// The cause.
        #[source]
        source: Cause,
    },
}

/// An error that lost its chain of causes in a library, with the last error number that the store
/// saw.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
struct Flattened {
    message: String,
    #[source]
    os: io::Error,
}

impl OplogError {
    /// Returns whether files are damaged, as opposed to an error of the operating system.
    pub fn is_damage(&self) -> bool {
        match self {
            OplogError::Absent { .. }
            | OplogError::Foreign { .. }
            | OplogError::Lost { .. }
            | OplogError::Damaged { .. }
            | OplogError::DamagedFile { .. }
            | OplogError::Record { done: "read", .. } => true,
            OplogError::Storage { source, .. } => !has_os_error(source.as_ref()),
            _ => false,
        }
    }

    /// Returns what the user can do about damage.
    pub fn hint(&self) -> Option<&'static str> {
        Some(match self {
            OplogError::Foreign { .. } => {
                "pond.toml and the folder `oplog` do not belong together: put back the one that \
                 does; nothing was changed"
            }
            error if error.is_damage() => {
                "put the file back from a copy of the pond, or let `pondmount check --repair` repair what it can"
            }
            _ => return None,
        })
    }

    /// Builds an error of the store or of a library while doing `what`. `os` is the last error
    /// number that the store saw; it is attached if the chain of causes has none.
    pub(super) fn storage(
        what: impl Into<String>,
        source: impl Into<Cause>,
        os: Option<Errno>,
    ) -> OplogError {
        let source = source.into();
        let source = match os {
            Some(Errno(n)) if !has_os_error(source.as_ref()) => Box::new(Flattened {
                message: source.to_string(),
                os: io::Error::from_raw_os_error(n),
            }),
            _ => source,
        };
        let what = what.into();
        OplogError::Storage { what, source }
    }
}

/// Unwraps the kernel's wrappers around the cause of an error.
pub(super) fn from_kernel(error: KernelError) -> Cause {
    match error {
        KernelError::Backtraced { source, .. } => from_kernel(*source),
        KernelError::ObjectStore(error) => Box::new(error),
        KernelError::IOError(error) => Box::new(error),
        KernelError::GenericError { source } => source,
        error => Box::new(error),
    }
}

fn has_os_error(mut cause: &(dyn StdError + 'static)) -> bool {
    loop {
        let io = cause.downcast_ref::<io::Error>();
        if io.is_some_and(|e| e.raw_os_error().is_some()) {
            return true;
        }
        match cause.source() {
            Some(source) => cause = source,
            None => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tinyfs::FsError;

    fn full() -> object_store::Error {
        object_store::Error::Generic {
            store: "local",
            source: Box::new(io::Error::from_raw_os_error(libc::ENOSPC)),
        }
    }

    #[test]
    fn a_full_disk_is_found_through_the_kernels_error() {
        let kernel = KernelError::Backtraced {
            source: Box::new(KernelError::ObjectStore(full())),
            backtrace: Box::new(std::backtrace::Backtrace::disabled()),
        };
        let error = OplogError::storage("commit version 7", from_kernel(kernel), None);
        assert_eq!(FsError::store(error).errno(), Errno::ENOSPC);
    }

    #[test]
    fn a_flattened_error_gets_the_last_error_of_the_store() {
        let kernel = KernelError::CheckpointWrite("no space".into());
        let os = Some(Errno::ENOSPC);
        let error = OplogError::storage("write a checkpoint", from_kernel(kernel), os);
        assert!(error.to_string().starts_with("cannot write a checkpoint: "));
        assert_eq!(FsError::store(error).errno(), Errno::ENOSPC);
    }

    #[test]
    fn an_os_error_in_the_chain_is_not_replaced() {
        let error = OplogError::storage("write", full(), Some(Errno::EIO));
        assert_eq!(FsError::store(error).errno(), Errno::ENOSPC);
    }
}
