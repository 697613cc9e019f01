//! Errors of reading, joining, computing and writing rows: one sentence each.

use datafusion::arrow::error::ArrowError;
use datafusion::error::DataFusionError;
use datafusion::parquet::errors::ParquetError;
use std::io;

/// An error of this module.
#[derive(Debug, thiserror::Error)]
pub enum QueryError {
    /// An input is invalid.
    #[error("{name}: {why}")]
    Input {
        /// The name of the input for errors.
        name: String,
        /// What is wrong.
        why: String,
    },
    /// A value has another type than the values before it. See
    /// [`Source::learn`](super::Source::learn).
    #[error("{name}: {why}")]
    Mistyped {
        /// The name of the input for errors.
        name: String,
        /// The value and its position.
        why: String,
    },
    /// The recipe asks for something impossible.
    #[error("{0}")]
    Recipe(String),
    /// The query failed.
    #[error("the query failed: {0}")]
    Sql(String),
    /// An input could not be read, or the result not written.
    #[error("{what}: {source}")]
    Io {
        /// What was attempted.
        what: String,
        /// Cause.
        source: io::Error,
    },
}

impl QueryError {
    /// Returns a function that adds to an I/O error what was attempted.
    pub fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> QueryError {
        let what = what.into();
        move |source| QueryError::Io { what, source }
    }

    /// Returns an error about an input.
    pub(super) fn input(name: &str, why: impl ToString) -> QueryError {
        QueryError::Input {
            name: name.into(),
            why: why.to_string(),
        }
    }
}

impl From<DataFusionError> for QueryError {
    fn from(error: DataFusionError) -> QueryError {
        // A `QueryError` that passed through the library is unwrapped again.
        match error {
            DataFusionError::External(inner) => match inner.downcast::<QueryError>() {
                Ok(ours) => *ours,
                Err(other) => QueryError::Sql(line(&other.to_string())),
            },
            DataFusionError::Context(_, inner) => QueryError::from(*inner),
            DataFusionError::ArrowError(inner, _) => QueryError::from(*inner),
            other => QueryError::Sql(line(&other.strip_backtrace())),
        }
    }
}

/// Joins several lines into one.
fn line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

impl From<ArrowError> for QueryError {
    fn from(error: ArrowError) -> QueryError {
        match error {
            ArrowError::ExternalError(inner) => match inner.downcast::<QueryError>() {
                Ok(ours) => *ours,
                Err(other) => QueryError::Sql(other.to_string()),
            },
            other => QueryError::Sql(other.to_string()),
        }
    }
}

impl From<ParquetError> for QueryError {
    fn from(error: ParquetError) -> QueryError {
        QueryError::Sql(error.to_string())
    }
}

impl From<QueryError> for DataFusionError {
    fn from(error: QueryError) -> DataFusionError {
        DataFusionError::External(Box::new(error))
    }
}
