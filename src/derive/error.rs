//! Errors of rendering: one sentence each.
//!
//! Inside `derive` a sentence has [`mark`]s in place of its inputs' paths, since it is shared by
//! all readers of equal content. [`named`](DeriveError::named) replaces them for one reader.

use super::mark;
use super::node::Input;
use super::recipes::Recipe;
use crate::query::QueryError;
use crate::resource::ResourceError;
use crate::tinyfs::{Errno, FsError};
use std::fmt;
use std::io;
use std::sync::Arc;

/// The text for an input in a directory that the reader may not list.
pub(super) const HIDDEN: &str = "(hidden input)";

/// An error of rendering, which all requests for the same result share.
#[derive(Clone, Debug)]
pub struct DeriveError {
    /// The error number for the kernel.
    pub errno: Errno,
    why: Arc<str>,
}

impl DeriveError {
    /// Returns an error with the number `EIO`.
    pub(super) fn new(why: impl fmt::Display) -> DeriveError {
        DeriveError {
            errno: Errno::EIO,
            why: why.to_string().into(),
        }
    }

    /// Returns the error for an input that changed meanwhile.
    pub(super) fn stale() -> DeriveError {
        DeriveError {
            errno: Errno::ESTALE,
            why: "its inputs have changed meanwhile".into(),
        }
    }

    /// Returns the error of a recipe that has the failed file as input `n`.
    pub(super) fn within(self, n: usize) -> DeriveError {
        let why = format!("{}: {}", mark::mark(n), mark::within(&self.why, n));
        DeriveError {
            why: why.into(),
            ..self
        }
    }

    /// Replaces marks by the paths of those inputs of `recipe` that the reader `sees`.
    pub(super) fn named(self, recipe: &dyn Recipe, sees: &dyn Fn(&Input) -> bool) -> DeriveError {
        let name = |place: &[usize]| {
            let input = recipe.input_at(place)?;
            Some(match sees(input) {
                true => input.path(),
                false => HIDDEN.to_owned(),
            })
        };
        DeriveError {
            why: mark::named(&self.why, &name).into(),
            ..self
        }
    }

    /// Replaces a path by a mark.
    pub(super) fn marked(self, path: &str, mark: &str) -> DeriveError {
        DeriveError {
            why: self.why.replace(path, mark).into(),
            ..self
        }
    }

    /// Adds the operation to the message.
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

impl From<ResourceError> for DeriveError {
    fn from(error: ResourceError) -> DeriveError {
        DeriveError {
            errno: error.errno(),
            why: error.to_string().into(),
        }
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
