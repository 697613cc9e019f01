//! Scalar functions that DataFusion lacks, or has with other results than DuckDB.
//!
//! Each file has the functions of one subject and their tests, as values of
//! [`function::ScalarFunction`]. `timestamps` has what several of them share.

use datafusion::logical_expr::ScalarUDF;

mod date_parts;
mod epoch;
mod function;
mod intervals;
mod make_timestamp;
mod numbers;
mod strftime;
mod strings;
mod time_bucket;
mod timestamps;

/// Returns all scalar functions of the dialect.
pub(super) fn functions() -> Vec<ScalarUDF> {
    let subjects = [
        epoch::functions(),
        make_timestamp::functions(),
        date_parts::functions(),
        time_bucket::functions(),
        intervals::functions(),
        strftime::functions(),
        strings::functions(),
        numbers::functions(),
    ];
    let functions = subjects.into_iter().flatten();
    functions.map(ScalarUDF::new_from_impl).collect()
}
