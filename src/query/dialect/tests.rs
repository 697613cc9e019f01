//! Tests of functions in a whole session.

use datafusion::prelude::SessionContext;

use super::testing::{expect, rows, rows_in};

/// A function that DataFusion has too must be deleted here, or its results differ from those
/// that DataFusion documents.
#[test]
fn no_function_replaces_one_of_datafusion() {
    let session = SessionContext::new();
    let state = session.state();
    let taken: Vec<String> = super::testing::functions()
        .into_iter()
        .filter(|name| {
            state.scalar_functions().contains_key(name)
                || state.aggregate_functions().contains_key(name)
                || state.table_functions().contains_key(name)
        })
        .collect();
    assert!(taken.is_empty(), "{taken:?}");
}

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
    let session = SessionContext::new_with_config(super::config());
    let query = "SELECT EPOCH(Timestamp::TIMESTAMPTZ) AS T, MAX(Value) FILTER (WHERE Parameter = 'DO') AS \"S.DO\", \
                 FROM (VALUES ('2024-01-01 00:00:00', 'DO', 1.5), ('2024-01-02 00:00:00', 'pH', 7.0)) \
                 AS R(\"Timestamp\", \"Parameter\", \"Value\") GROUP BY ALL ORDER BY \"S.DO\" DESC";
    let found = rows_in(&session, query).expect("rows");
    assert_eq!(found, ["1704067200.0|1.5", "1704153600.0|NULL"]);
}
