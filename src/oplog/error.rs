//! Errors of the oplog: what failed, where and why, in one sentence.
//!
//! Invariant: an error number of the operating system travels with the error that it caused, as an
//! [`io::Error`] in the chain of causes, so that `ENOSPC` can be distinguished from other failures,
//! and a failing disk from a damaged table. If a library turned the chain into text, the number is
//! parsed from that text: an error never gets the number of another call.

use super::record::RecordError;
use crate::tinyfs::Version;
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
        /// The mismatch.
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
        /// The reason.
        why: String,
    },
    /// A data file does not have the content that was written.
    #[error("the data file {path} is damaged: {why}")]
    DamagedFile {
        /// Path of the file within the table.
        path: String,
        /// The reason.
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
    /// The outcome of an earlier commit is unknown; the next commit determines it.
    #[error("cannot {what}: a commit before it is not finished")]
    Unfinished {
        /// The operation.
        what: &'static str,
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

/// An error whose chain of causes a library turned into text, with the error number that the text
/// contains.
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

    /// Builds an error of the store or of a library while doing `what`. If the chain of causes has
    /// no error of the operating system, but the text of one, its number is added to the chain.
    pub(super) fn storage(what: impl Into<String>, source: impl Into<Cause>) -> OplogError {
        let source = source.into();
        let os = match has_os_error(source.as_ref()) {
            true => None,
            false => os_error_in_text(source.as_ref()),
        };
        let source = match os {
            Some(os) => Box::new(Flattened {
                message: source.to_string(),
                os,
            }),
            None => source,
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

/// Returns the operating system's error whose text is in the text of an error in this chain.
fn os_error_in_text(mut cause: &(dyn StdError + 'static)) -> Option<io::Error> {
    /// The standard library's suffix of such an error, before the number.
    const MARK: &str = "(os error ";
    loop {
        let text = cause.to_string();
        let number = text.rsplit_once(MARK).and_then(|(_, rest)| {
            let (number, _) = rest.split_once(')')?;
            number.parse::<i32>().ok()
        });
        if let Some(number) = number.filter(|number| *number > 0) {
            return Some(io::Error::from_raw_os_error(number));
        }
        cause = cause.source()?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tinyfs::{Errno, FsError};

    use parquet::errors::ParquetError;

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
        let error = OplogError::storage("commit version 7", from_kernel(kernel));
        assert_eq!(FsError::store(error).errno(), Errno::ENOSPC);
    }

    #[test]
    fn an_error_that_a_library_turned_into_text_keeps_its_number() {
        let arrow = arrow::error::ArrowError::from(ParquetError::from(full()));
        let flattened = [
            KernelError::CheckpointWrite(full().to_string()),
            KernelError::Arrow(arrow),
        ];
        for kernel in flattened {
            let error = OplogError::storage("write a checkpoint", from_kernel(kernel));
            assert!(error.to_string().starts_with("cannot write a checkpoint: "));
            assert!(!error.is_damage(), "{error}");
            assert_eq!(FsError::store(error).errno(), Errno::ENOSPC);
        }
    }

    #[test]
    fn text_without_an_error_number_is_damage() {
        for text in ["no sense", "(os error x)", "(os error ", "(os error 0)"] {
            let error = OplogError::storage("read the log", text);
            assert!(error.is_damage(), "{text}");
        }
    }
}
