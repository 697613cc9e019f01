//! Errors of resources: one sentence each, with the error number for the kernel.

use crate::tinyfs::{Errno, FsError};
use std::fmt;
use std::io;
use std::sync::Arc;

/// The reason why a resource cannot be read, written or used.
#[derive(Clone, Debug)]
pub struct ResourceError {
    errno: Errno,
    why: Arc<str>,
}

impl ResourceError {
    /// Returns an error with the number EIO.
    pub(crate) fn new(why: impl fmt::Display) -> ResourceError {
        ResourceError {
            errno: Errno::EIO,
            why: why.to_string().into(),
        }
    }

    /// Returns the error number for the kernel.
    pub fn errno(&self) -> Errno {
        self.errno
    }
}

impl fmt::Display for ResourceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.why)
    }
}

impl std::error::Error for ResourceError {}

impl From<FsError> for ResourceError {
    fn from(error: FsError) -> ResourceError {
        ResourceError {
            errno: error.errno(),
            why: crate::tinyfs::describe(&error).into(),
        }
    }
}

impl From<io::Error> for ResourceError {
    fn from(error: io::Error) -> ResourceError {
        ResourceError::new(error)
    }
}
