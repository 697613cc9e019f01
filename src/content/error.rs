//! Errors of storing and reading content.

use crate::tinyfs::{FsError, SegmentId, Stored};
use std::io;
use std::path::{Path, PathBuf};

/// An error of reading, writing or compressing content.
#[derive(Debug, thiserror::Error)]
pub enum ContentError {
    /// A file or folder could not be read or written.
    #[error("cannot {what} {}", path.display())]
    Io {
        /// The operation, as a verb.
        what: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The error of the operating system.
        #[source]
        source: io::Error,
    },
    /// The compressor failed.
    #[error("cannot compress content")]
    Packing(#[source] io::Error),
    /// A segment does not hold what a record says.
    #[error("segment {segment} is damaged at offset {offset}: {why}")]
    Corrupt {
        /// The segment.
        segment: SegmentId,
        /// The offset of the stored extent in the segment, in bytes.
        offset: u64,
        /// The mismatch.
        why: &'static str,
    },
}

impl ContentError {
    /// Returns whether a sync failed, so that the state of stable storage is unknown. A sync that
    /// could not begin for want of a file descriptor is not lost: it can be repeated.
    pub fn is_lost_sync(&self) -> bool {
        match self {
            ContentError::Io { what, source, .. } => {
                let no_descriptor =
                    matches!(source.raw_os_error(), Some(libc::EMFILE | libc::ENFILE));
                *what == "sync" && !no_descriptor
            }
            ContentError::Packing(_) | ContentError::Corrupt { .. } => false,
        }
    }

    pub(super) fn io(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> ContentError {
        let path = path.to_owned();
        move |source| ContentError::Io { what, path, source }
    }

    pub(super) fn packing(error: io::Error) -> ContentError {
        ContentError::Packing(error)
    }

    pub(super) fn corrupt(run: &Stored, why: &'static str) -> ContentError {
        ContentError::Corrupt {
            segment: run.segment,
            offset: run.offset,
            why,
        }
    }
}

impl From<ContentError> for FsError {
    fn from(error: ContentError) -> FsError {
        FsError::store(error)
    }
}
