//! Tests of the translation, text by text. Values are tested with the functions, and in `select`
//! and `types`.

use super::translate;
use crate::query::dialect::testing::{error, expect, rows};
use datafusion::prelude::SessionContext;
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::parser::Parser;

fn to(query: &str) -> String {
    let session = SessionContext::new();
    match translate(&session, query, &[]) {
        Ok(statement) => statement.to_string(),
        Err(error) => panic!("{query}\n{error}"),
    }
}

#[test]
fn common_sql_is_parsed_as_datafusion_parses_it() {
    for query in [
        "SELECT a, \"B\" FROM t WHERE a = 'x''y' -- a comment",
        "SELECT count(*) FILTER (WHERE a > 1), sum(a) OVER (PARTITION BY b ORDER BY c) FROM t",
        "WITH x AS (SELECT 1 AS a) SELECT * EXCLUDE (a) FROM x UNION ALL SELECT [1, 2][1]",
        "SELECT date_trunc('hour', ts), ts + INTERVAL '1 hour' FROM read_csv('$1')",
        "SELECT x::DOUBLE, TRY_CAST(y AS BIGINT), INTERVAL 1 HOUR FROM read_parquet('a.parquet') p",
        "SELECT bool_or(a) FROM t;",
        "SELECT sum(x ORDER BY y) FROM t QUALIFY row_number() OVER (ORDER BY a) = 1",
        "SELECT a, b, FROM t",
        "SELECT EXTRACT(hour FROM t), percentile_cont(0.5) WITHIN GROUP (ORDER BY x) FROM t",
        "SELECT CASE WHEN a IN (1, 2) THEN 'x' ELSE NULL END, a BETWEEN 1 AND 2 FROM a JOIN b USING (c)",
        "SELECT sum(x) OVER w FROM t WINDOW w AS (ORDER BY y ROWS BETWEEN 1 PRECEDING AND CURRENT ROW)",
        "SELECT a FROM (VALUES (1), (2)) AS t(a) WHERE EXISTS (SELECT 1 FROM u WHERE u.a = t.a)",
        "WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n WHERE i < 9) SELECT * FROM n",
        "SELECT DISTINCT ON (a) a, b FROM t ORDER BY a, b LIMIT 2 OFFSET 1",
        "SELECT * FROM t CROSS JOIN UNNEST([1, 2]) AS u(x)",
        "SELECT first_value(a) IGNORE NULLS OVER (ORDER BY b), a IS DISTINCT FROM b FROM t",
        "SELECT x AT TIME ZONE 'UTC', substring(a FROM 2 FOR 3), trim(a) || b FROM t GROUP BY ROLLUP (a, b)",
        "SELECT CAST(a AS DECIMAL(10, 2)), position('x' IN a), a::INTEGER[] FROM s.t",
        "SELECT * FROM a UNION ALL BY NAME SELECT * FROM b",
        "SELECT a ^ 2, a % 2, a ~ 'b', {'a': 1} FROM t ORDER BY a DESC NULLS LAST LIMIT 3",
    ] {
        let common = Parser::parse_sql(&GenericDialect {}, query).unwrap();
        assert_eq!(to(query), common[0].to_string(), "{query}");
    }
}

#[test]
fn conditions_in_arguments_stay_conditions() {
    assert_eq!(
        to("SELECT bool_or(a = 1) FROM t"),
        "SELECT bool_or(a = 1) FROM t"
    );
    expect(&[("bool_or(a = 1) FROM (VALUES (1), (2)) AS t(a)", "true")]);
}

#[test]
fn duckdb_forms_are_translated() {
    for (given, expected) in [
        (
            "SELECT a, b, FROM t GROUP BY a, b,",
            "SELECT a, b FROM t GROUP BY a, b",
        ),
        (
            "EXPLAIN SELECT a // b FROM t",
            "EXPLAIN SELECT divide(a, b) FROM t",
        ),
        (
            "SELECT EXTRACT('year' FROM x) FROM t",
            "SELECT EXTRACT(YEAR FROM x) FROM t",
        ),
        (
            "SELECT EXTRACT('dayofweek' FROM x) FROM t",
            "SELECT EXTRACT(DOW FROM x) FROM t",
        ),
        ("SELECT a // b FROM t", "SELECT divide(a, b) FROM t"),
        (
            "SELECT a // b // c FROM t",
            "SELECT divide(divide(a, b), c) FROM t",
        ),
        (
            "SELECT x::UBIGINT FROM t",
            "SELECT x::BIGINT UNSIGNED FROM t",
        ),
        (
            "SELECT INTERVAL (n + 1) HOUR FROM t",
            "SELECT to_hours((n + 1)) FROM t",
        ),
        (
            "SELECT INTERVAL (n) DAYS FROM t",
            "SELECT to_days((n)) FROM t",
        ),
        (
            "SELECT a - INTERVAL (7) DAY < b, 1_000 FROM t",
            "SELECT a - to_days((7)) < b, 1000 FROM t",
        ),
        ("FROM t", "SELECT * FROM t"),
        (
            "SELECT * FROM READ_CSV('$1')",
            "SELECT * FROM read_csv('$1')",
        ),
        (
            "SELECT * FROM read_csv_auto('$1', header = true, Delim := ';')",
            "SELECT * FROM read_csv_auto('$1', 'header', true, 'delim', ';')",
        ),
        (
            "SELECT * FROM 'data/x.csv.gz' AS t",
            "SELECT * FROM read_csv('data/x.csv.gz') AS t",
        ),
        (
            "FROM '*.parquet'",
            "SELECT * FROM read_parquet('*.parquet')",
        ),
        (
            "SELECT struct_pack(a := 1) FROM t",
            "SELECT named_struct('a', 1) FROM t",
        ),
        (
            "WITH x AS (SELECT a, FROM t) SELECT (SELECT max(a // 2) FROM x), FROM x",
            "WITH x AS (SELECT a FROM t) SELECT (SELECT max(divide(a, 2)) FROM x) FROM x",
        ),
    ] {
        assert_eq!(to(given), expected);
        assert_eq!(to(expected), expected, "again");
    }
}

#[test]
fn translated_forms_keep_their_values() {
    expect(&[
        ("EXTRACT('isodow' FROM DATE '2024-03-03')", "7"),
        ("EXTRACT('dayofweek' FROM DATE '2024-03-03')", "0"),
        ("[1, 2, 3][2]", "2"),
        ("struct_pack(a := 1)['a']", "1"),
        (
            "TIMESTAMP '2024-01-31 00:00:00' + INTERVAL 1 MONTH",
            "2024-02-29T00:00:00",
        ),
        ("DATE '2024-01-01' + INTERVAL '1' DAY", "2024-01-02"),
        ("DATE '2024-01-01' + INTERVAL (-1) DAY", "2023-12-31"),
        ("1 == 1", "true"),
        ("NULL NOTNULL", "false"),
    ]);
    assert_eq!(
        rows("SELECT a FROM (VALUES (1), (2)) AS t(a) WHERE a // 2 = 1"),
        ["2"]
    );
}

#[test]
fn forms_without_equivalent_are_refused_by_name() {
    for (query, word) in [
        ("SELECT x::HUGEINT FROM t", "HUGEINT"),
        ("SUMMARIZE t", "SUMMARIZE"),
        ("PIVOT t ON a USING sum(b)", "PIVOT"),
        ("SELECT * FROM t PIVOT (sum(a) FOR b IN ('x'))", "PIVOT"),
        ("SELECT * FROM t USING SAMPLE 10%", "SAMPLE"),
        ("SELECT * FROM t TABLESAMPLE BERNOULLI (10)", "SAMPLE"),
        ("SELECT min(COLUMNS(*)) FROM t", "COLUMNS"),
        ("SELECT INTERVAL (n) CENTURY FROM t", "CENTURY"),
        ("SELECT [x + 1 FOR x IN [1, 2]]", "comprehension"),
        ("SELECT EXTRACT('decade' FROM x) FROM t", "decade"),
        ("ATTACH 'x.db'", "ATTACH"),
        ("INSTALL httpfs", "INSTALL"),
        ("SELECT 1; SELECT 2", "one query"),
        ("", "one query"),
        ("COPY t TO 'x.parquet'", "COPY"),
        ("CREATE TABLE t AS SELECT 1", "CREATE"),
        ("SELECT 1 +", "neither"),
    ] {
        let error = error(query);
        assert!(error.contains(word), "{query}: {error}");
        assert!(!error.contains('\n'), "{query}: {error}");
    }
}
