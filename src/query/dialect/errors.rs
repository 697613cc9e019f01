//! Errors of the functions of the dialect. A function returns them with one sentence that says what
//! to write instead, or which value of the data it cannot compute.

use datafusion::arrow::datatypes::DataType;
use datafusion::error::DataFusionError;

/// Returns an error in the query, from one sentence.
pub(super) fn refuse(sentence: &str) -> DataFusionError {
    DataFusionError::Plan(sentence.to_string())
}

/// Returns an error in the data, from one sentence.
pub(super) fn fail(sentence: String) -> DataFusionError {
    DataFusionError::Execution(sentence)
}

/// Returns the error for a wrong number of arguments.
pub(super) fn count(expected: &str, types: &[DataType]) -> DataFusionError {
    refuse(&format!("takes {expected}, not {} arguments", types.len()))
}
