//! DuckDB's functions and grammar for DataFusion.
//!
//! [`register`] adds the functions to a session, [`translate`] rewrites a query so that DataFusion
//! parses it. A function does what DuckDB documents, and returns null if an argument is null. What
//! DataFusion has under the same name stays DataFusion's, also `/` of integers, `^` and `~`. Times
//! may have any unit, with or without a zone; days and months begin in UTC.
//!
//! The session must be set as in [`session`](super::session): names keep their case, nulls sort
//! last, and TIMESTAMPTZ has a zone.
//!
//! Scalars are in `epoch`, `make`, `parts`, `bucket`, `spans`, `format`, `text` and `numbers`, over
//! `plain`. Aggregates are in `extreme` and `ranked`, second names in `aliases`. The translation is
//! in [`dialect`], over `grammar` (what parses), `types`, `units` and `select`.

mod aliases;
mod bucket;
pub mod dialect;
#[cfg(test)]
mod dialect_tests;
mod epoch;
mod extreme;
mod format;
mod grammar;
mod make;
mod numbers;
mod parts;
mod plain;
mod ranked;
mod select;
mod spans;
mod text;
mod types;
mod units;

pub use dialect::translate;

use datafusion::error::DataFusionError;
use datafusion::logical_expr::{AggregateUDF, ScalarUDF};
use datafusion::prelude::SessionContext;

/// Registers all functions in a session.
///
/// A second registration replaces the first. Fails only if the session lacks a function of
/// DataFusion's that gets a second name here.
pub fn register(session: &SessionContext) -> Result<(), DataFusionError> {
    let scalars = [
        epoch::functions(),
        make::functions(),
        parts::functions(),
        bucket::functions(),
        spans::functions(),
        format::functions(),
        text::functions(),
        numbers::functions(),
    ];
    for function in scalars.into_iter().flatten() {
        session.register_udf(ScalarUDF::new_from_impl(function));
    }
    for function in extreme::functions() {
        session.register_udaf(AggregateUDF::new_from_impl(function));
    }
    session.register_udaf(AggregateUDF::new_from_impl(ranked::Mode::new()));
    session.register_udaf(AggregateUDF::new_from_impl(ranked::Quantile::new()));
    aliases::register(session)
}

/// Shared by the tests of the functions: evaluates SQL to text.
#[cfg(test)]
pub(crate) mod testing {
    use datafusion::arrow::array::Array;
    use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};
    use datafusion::prelude::SessionContext;

    /// Returns the rows of a translated query or the error. Cells are separated by `|`, null is
    /// `NULL`.
    pub(crate) fn try_rows(query: &str) -> Result<Vec<String>, String> {
        rows_in(&SessionContext::new(), query)
    }

    /// Does the same as [`try_rows`] in a given session.
    pub(crate) fn rows_in(session: &SessionContext, query: &str) -> Result<Vec<String>, String> {
        super::register(session).map_err(|error| error.to_string())?;
        let query = super::translate(query)?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        let batches = runtime
            .block_on(async { session.sql(&query).await?.collect().await })
            .map_err(|error| error.to_string())?;
        let mut rows = Vec::new();
        for batch in batches {
            let options = FormatOptions::default().with_null("NULL");
            let columns: Vec<_> = batch
                .columns()
                .iter()
                .map(|column| ArrayFormatter::try_new(column.as_ref(), &options).expect("a format"))
                .collect();
            for row in 0..batch.num_rows() {
                let cells: Vec<String> = columns
                    .iter()
                    .map(|column| column.value(row).to_string())
                    .collect();
                rows.push(cells.join("|"));
            }
            assert!(batch.columns().iter().all(|c| c.len() == batch.num_rows()));
        }
        Ok(rows)
    }

    pub(crate) fn rows(query: &str) -> Vec<String> {
        try_rows(query).unwrap_or_else(|error| panic!("{query}\n{error}"))
    }

    /// Returns the only value of `SELECT <expression>`.
    pub(crate) fn value(expression: &str) -> String {
        rows(&format!("SELECT {expression}")).join("\n")
    }

    /// Asserts expressions against their values.
    pub(crate) fn expect(cases: &[(&str, &str)]) {
        for (expression, expected) in cases {
            assert_eq!(value(expression), *expected, "{expression}");
        }
    }

    pub(crate) fn error(query: &str) -> String {
        try_rows(query).expect_err(query)
    }
}

#[cfg(test)]
mod tests {
    use datafusion::prelude::{SessionConfig, SessionContext};

    use super::testing::{expect, rows, rows_in};

    #[test]
    fn functions_of_datafusion_stay_available() {
        expect(&[
            ("ifnull(NULL, 2)", "2"),
            ("greatest(1, 3, 2)", "3"),
            ("least(1, NULL, 2)", "1"),
            ("isnan('nan'::DOUBLE)", "true"),
            ("TRY_CAST('x' AS BIGINT)", "NULL"),
            ("range(0, 3)", "[0, 1, 2]"),
            ("generate_series(1, 3)", "[1, 2, 3]"),
            ("median(column1) FROM (VALUES (1), (2))", "1.5"),
            ("quantile_cont(column1, 0.5) FROM (VALUES (1), (2))", "1.5"),
            ("any_value(column1) FROM (VALUES (NULL), (2))", "2"),
            (
                "string_agg(column1, '-' ORDER BY column1) FROM (VALUES ('b'), ('a'))",
                "a-b",
            ),
        ]);
        assert_eq!(rows("SELECT * FROM range(0, 2)"), ["0", "1"]);
        assert_eq!(rows("SELECT * FROM generate_series(1, 2)"), ["1", "2"]);
    }

    #[test]
    fn queries_of_existing_resources_run() {
        let query = "SELECT EPOCH(MAKE_TIMESTAMPTZ(EXTRACT('year' FROM t), EXTRACT('month' FROM t), \
                     EXTRACT('day' FROM t), EXTRACT('hour' FROM t), EXTRACT('minute' FROM t), \
                     EXTRACT('second' FROM t))) AS s, EPOCH_MS(t) / 1000.0 AS m, \
                     FROM (SELECT TIMESTAMP '2024-02-29 12:30:15' AS t)";
        assert_eq!(rows(query), ["1709209815.0|1709209815.0"]);
        let query = "SELECT time_bucket(INTERVAL '1 hour', epoch_ms(CAST(t AS BIGINT)*1000)) AS Timestamp, \
                     avg(v) AS \"v.avg\", min(v) AS \"v.min\" \
                     FROM (VALUES (1709209815, 1.0), (1709209816, 2.0), (1709213999, 3.0)) AS a(t, v) \
                     GROUP BY Timestamp ORDER BY Timestamp";
        assert_eq!(
            rows(query),
            ["2024-02-29T12:00:00|1.5|1.0", "2024-02-29T13:00:00|3.0|3.0"]
        );
    }

    #[test]
    fn session_settings_match_duckdb() {
        let config = SessionConfig::new()
            .set_bool("datafusion.sql_parser.enable_ident_normalization", false)
            .set_str("datafusion.sql_parser.default_null_ordering", "nulls_last")
            .set_str("datafusion.execution.time_zone", "+00:00");
        let session = SessionContext::new_with_config(config);
        let query = "SELECT EPOCH(Timestamp::TIMESTAMPTZ) AS T, MAX(Value) FILTER (WHERE Parameter = 'DO') AS \"S.DO\", \
                     FROM (VALUES ('2024-01-01 00:00:00', 'DO', 1.5), ('2024-01-02 00:00:00', 'pH', 7.0)) \
                     AS R(\"Timestamp\", \"Parameter\", \"Value\") GROUP BY ALL ORDER BY \"S.DO\" DESC";
        let found = rows_in(&session, query).expect("rows");
        assert_eq!(found, ["1704067200.0|1.5", "1704153600.0|NULL"]);
    }
}
