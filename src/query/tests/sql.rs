//! Tests of queries as existing recipes have them.

use super::*;
use std::collections::BTreeMap;

fn engine() -> (tempfile::TempDir, Arc<Engine>) {
    let dir = tempfile::tempdir().unwrap();
    let engine = Engine::new(64 << 20, dir.path()).unwrap();
    (dir, Arc::new(engine))
}

fn ask(query: &str) -> Result<String, QueryError> {
    let (_dir, engine) = engine();
    let long = "\"Series Name\",Location,Parameter,Value,\"Offset\",Timestamp\n\
        s,Dock,DO,8.5,0,2024-01-01T00:00:00\n\
        s,Dock,Temp,11.0,0,2024-01-01T00:00:00\n\
        s,Dock,DO,8.0,0,2024-01-01T01:00:00\n";
    let long = file("/in/long.csv", long)?;
    let one = file("/in/1.csv", "Timestamp,a\n1,2\n2,3\n")?;
    let two = file("/in/2.csv", "Timestamp,b\n3,4\n")?;
    let tables = BTreeMap::from([("t".to_owned(), vec![one, two])]);
    csv(engine.query(query, &tables, &[("/in/long.csv".into(), long)])?)
}

#[test]
fn long_rows_become_wide() {
    let query = "SELECT EPOCH_MS(Timestamp) / 1000.0 AS Timestamp,
        max(CASE WHEN Parameter = 'DO' THEN value END) AS \"Dock.DO.mg/L\",
        max(CASE WHEN Parameter = 'Temp' THEN value END) AS \"Dock.Temp.C\",
        FROM read_csv('/in/long.csv') GROUP BY 1 ORDER BY 1";
    let want = "Timestamp,Dock.DO.mg/L,Dock.Temp.C\n1704067200.0,8.5,11.0\n1704070800.0,8.0,\n";
    assert_eq!(ask(query).unwrap(), want);
}

#[test]
fn files_of_a_table_are_concatenated() {
    let query = "SELECT timestamp, a, b FROM t WHERE TIMESTAMP > 1 ORDER BY timestamp";
    assert_eq!(ask(query).unwrap(), "Timestamp,a,b\n2,3,\n3,,4\n");
}

#[test]
fn a_query_reads_its_inputs_and_changes_nothing() {
    for query in [
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT * FROM '/etc/passwd'",
        "CREATE TABLE x AS SELECT 1",
        "COPY t TO '/tmp/x.csv'",
        "SELECT * FROM t; SELECT 1",
        "SELECT nothing FROM t",
        "SELEC 1",
        "",
    ] {
        let error = match ask(query) {
            Err(error) => error.to_string(),
            Ok(rows) => panic!("{query}: {rows}"),
        };
        assert!(!error.is_empty(), "{query}");
    }
}

#[test]
fn equal_queries_produce_equal_bytes() {
    let query = "SELECT a, count(*) AS n FROM t GROUP BY a";
    let first = ask(query).unwrap();
    (0..5).for_each(|_| assert_eq!(ask(query).unwrap(), first));
}

#[test]
fn united_queries_return_their_rows_in_the_order_of_the_query() {
    let united = "SELECT v FROM range(0, 30000) AS t(v) UNION ALL SELECT a FROM t \
        UNION ALL SELECT 7 AS v";
    for _ in 0..5 {
        let rows = ask(united).unwrap();
        assert!(rows.starts_with("v\n0\n1\n2\n"));
        assert!(rows.ends_with("29999\n2\n3\n\"\"\n7\n"));
        for (query, wanted) in [
            (
                format!("SELECT last_value(v) AS n FROM ({united})"),
                "n\n7\n",
            ),
            (format!("SELECT v FROM ({united}) LIMIT 2"), "v\n0\n1\n"),
            (
                format!("SELECT v FROM ({united}) LIMIT 2 OFFSET 30002"),
                "v\n\"\"\n7\n",
            ),
            (
                format!("SELECT count(*) AS n FROM ({united})"),
                "n\n30004\n",
            ),
        ] {
            assert_eq!(ask(&query).unwrap(), wanted, "{query}");
        }
    }
}

#[test]
fn reader_options_that_would_change_the_rows_are_refused() {
    let of = |options: &str| {
        ask(&format!(
            "SELECT a FROM read_csv('/in/long.csv', {options})"
        ))
    };
    for (option, instead) in [
        ("delim = ';'", "commas"),
        ("header = false", "header line"),
        ("skip = 1", "header line"),
        ("nullstr = 'NA'", "nullif"),
        ("columns = ['a']", "CAST"),
        ("all_varchar = true", "VARCHAR"),
        ("timestampformat = '%d'", "strptime"),
        ("no_such_option = 1", "leave it out"),
        ("'a'", "named options"),
    ] {
        let error = of(option).unwrap_err().to_string();
        assert!(error.contains(instead), "{option}: {error}");
    }
    let query = "SELECT count(*) AS n FROM read_csv('/in/long.csv', header = true, delim = ',', \
        quote = '\"', sample_size = -1, ignore_errors = false, auto_detect = true)";
    assert_eq!(ask(query).unwrap(), "n\n3\n");
}
