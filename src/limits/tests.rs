//! Tests of valid and invalid tables, and of the documentation.

use super::*;
use std::collections::BTreeSet;

fn table(text: &str) -> toml::Table {
    toml::from_str(text).unwrap()
}

fn refused(text: &str) -> String {
    Limits::from_table(&table(text)).unwrap_err().to_string()
}

#[test]
fn a_table_sets_what_it_names_and_leaves_the_rest() {
    let limits = Limits::from_table(&table(
        "query-memory = \"64 MiB\"\nderive-threads = 4\nfailure = \"1m 30s\"\ncontent-cache = 2097152\n",
    ));
    let expected = Limits {
        query_memory: 64 << 20,
        derive_threads: 4,
        failure: Duration::from_secs(90),
        content_cache: 2 << 20,
        ..Limits::default()
    };
    assert_eq!(limits, Ok(expected));
}

#[test]
fn what_cannot_be_used_is_refused_with_its_name_and_what_is_right() {
    assert_eq!(
        refused("query_memory = 1"),
        "[limits] has no limit `query_memory`: `pondmount status --config` lists all of them"
    );
    assert_eq!(
        refused("query-memory = \"much\""),
        "limit `query-memory` is `much`: it has to be a number of bytes, or a text such as \"256 MiB\""
    );
    assert_eq!(
        refused("derive-threads = 0"),
        "limit `derive-threads` is 0: it has to be from 1 to 4096"
    );
    for text in [
        "derive-threads = -1",
        "derive-threads = \"4\"",
        "failure = 2",
        "failure = \"-2s\"",
    ] {
        assert!(refused(text).contains("it has to be"), "{text}");
    }
    assert!(refused("wait-at = \"2 MiB\"").contains("less than `spill-at`"));
}

#[test]
fn every_default_is_in_range_and_is_read_as_it_is_written() {
    let mut written = toml::Table::new();
    for limit in ALL {
        assert!(
            (limit.least..=limit.most).contains(&limit.default),
            "{}",
            limit.name
        );
        let value = match limit.unit {
            Unit::Count => toml::Value::Integer(limit.default.try_into().unwrap()),
            unit => toml::Value::String(unit.write(limit.default)),
        };
        written.insert(limit.key(), value);
    }
    assert_eq!(Limits::from_table(&written), Ok(Limits::default()));
}

#[test]
fn the_documentation_lists_every_limit_with_its_default() {
    let page = include_str!("../../docs/limits.md");
    let row = |limit: &Limit| {
        let default = limit.unit.write(limit.default);
        let (least, most) = (limit.unit.write(limit.least), limit.unit.write(limit.most));
        format!(
            "| `{}` | {default} | {least} to {most} | {} |",
            limit.key(),
            limit.about.trim()
        )
    };
    let rows: BTreeSet<String> = ALL.iter().map(row).collect();
    let missing: Vec<_> = rows.iter().filter(|row| !page.contains(*row)).collect();
    assert!(missing.is_empty(), "docs/limits.md lacks:\n{missing:#?}");
    let written = page.lines().filter(|line| line.starts_with("| `")).count();
    assert_eq!(written, rows.len());
}
