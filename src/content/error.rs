//! Why content could not be kept or given back.

use crate::tinyfs::{FsError, SegmentId, Stored};
use std::io;
use std::path::{Path, PathBuf};

/// A failure of the segments.
#[derive(Debug, thiserror::Error)]
pub enum ContentError {
    /// A segment could not be read or written.
    #[error("cannot {what} {}", path.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// With which file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The compressor gave up.
    #[error("cannot pack content")]
    Packing(#[source] io::Error),
    /// A segment does not hold what was written to it.
    #[error("segment {segment} is damaged at offset {offset}: {why}")]
    Corrupt {
        /// The segment.
        segment: SegmentId,
        /// Where the stored extent begins.
        offset: u64,
        /// What is wrong.
        why: &'static str,
    },
}

impl ContentError {
    /// Whether a sync was tried and failed, so that nobody knows what is on stable storage. One that could not
    /// even begin, for want of a descriptor, can be made later.
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
