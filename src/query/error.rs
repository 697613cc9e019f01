//! Why rows could not be read, joined, computed or written: one sentence each.

use datafusion::arrow::error::ArrowError;
use datafusion::error::DataFusionError;
use datafusion::parquet::errors::ParquetError;
use std::io;

/// A failure of a question about rows.
#[derive(Debug, thiserror::Error)]
pub enum QueryError {
    /// An input is not what it must be.
    #[error("{name}: {why}")]
    Input {
        /// What the caller calls the input.
        name: String,
        /// What is wrong with it.
        why: String,
    },
    /// A value in an input is of another type than those before it.
    #[error("{name}: {why}")]
    Mistyped {
        /// What the caller calls the input.
        name: String,
        /// The value and where it stands.
        why: String,
    },
    /// What is asked cannot be answered.
    #[error("{0}")]
    Recipe(String),
    /// The query failed.
    #[error("the query failed: {0}")]
    Sql(String),
    /// An input could not be read, or the result not written.
    #[error("{what}: {source}")]
    Io {
        /// What was to be done.
        what: String,
        /// Why it failed.
        source: io::Error,
    },
}

impl QueryError {
    /// A function that tells what an I/O error is about.
    pub fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> QueryError {
        let what = what.into();
        move |source| QueryError::Io { what, source }
    }

    /// Something wrong with an input.
    pub(super) fn input(name: &str, why: impl ToString) -> QueryError {
        QueryError::Input {
            name: name.into(),
            why: why.to_string(),
        }
    }
}

impl From<DataFusionError> for QueryError {
    fn from(error: DataFusionError) -> QueryError {
        // One of ours comes back through the library as it was.
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

/// One line of what may be several.
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
