//! Why something could not be derived: one sentence each.

use crate::query::QueryError;
use crate::tinyfs::{Errno, FsError};
use std::fmt;
use std::io;
use std::sync::Arc;

/// A failure to derive something. It can be told to all who wait for the same result.
#[derive(Clone, Debug)]
pub struct DeriveError {
    /// The number that the kernel gets.
    pub errno: Errno,
    why: Arc<str>,
}

impl DeriveError {
    /// What is asked for cannot be derived.
    pub(super) fn new(why: impl fmt::Display) -> DeriveError {
        DeriveError {
            errno: Errno::EIO,
            why: why.to_string().into(),
        }
    }

    /// What it would be derived of is not what it was.
    pub(super) fn stale() -> DeriveError {
        DeriveError {
            errno: Errno::ESTALE,
            why: "its inputs have changed meanwhile".into(),
        }
    }

    /// Adds what was done.
    pub(super) fn about(self, what: &str) -> DeriveError {
        DeriveError {
            why: format!("{what}: {}", self.why).into(),
            ..self
        }
    }
}

impl fmt::Display for DeriveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.why)
    }
}

impl std::error::Error for DeriveError {}

impl From<QueryError> for DeriveError {
    fn from(error: QueryError) -> DeriveError {
        DeriveError::new(error)
    }
}

impl From<FsError> for DeriveError {
    fn from(error: FsError) -> DeriveError {
        DeriveError {
            errno: error.errno(),
            why: crate::tinyfs::describe(&error).into(),
        }
    }
}

impl From<io::Error> for DeriveError {
    fn from(error: io::Error) -> DeriveError {
        DeriveError::new(error)
    }
}

impl From<DeriveError> for FsError {
    fn from(error: DeriveError) -> FsError {
        match error.errno {
            Errno::EIO => FsError::store(error),
            other => other.into(),
        }
    }
}
