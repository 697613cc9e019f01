//! Tests of `docs/sql.md`: its examples have the results that it shows, and it lists every
//! function.
//!
//! An example is a row of a table whose last columns are `example` and `result`. In a table whose
//! first column is `DuckDB`, that column has a form that is refused.

use super::*;
use crate::query::dialect::testing;
use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};
use std::collections::{BTreeMap, BTreeSet};

const PAGE: &str = include_str!("../../../docs/sql.md");

struct Example {
    /// Code spans of the first column.
    names: Vec<String>,
    refused: bool,
    query: String,
    rows: Vec<String>,
}

/// Returns the code spans of a cell.
fn spans(cell: &str) -> Vec<String> {
    let spans = cell.split('`').skip(1).step_by(2);
    spans.map(str::to_owned).collect()
}

/// Returns an example as a query: an expression stands for `SELECT expression`.
fn query_of(example: &str) -> String {
    let first = example.split_whitespace().next().unwrap_or_default();
    match first {
        "SELECT" | "FROM" | "PIVOT" | "SUMMARIZE" => example.to_owned(),
        _ => format!("SELECT {example}"),
    }
}

fn examples() -> Vec<Example> {
    let (mut examples, mut header) = (Vec::new(), Vec::new());
    for line in PAGE.lines() {
        let line = line.replace("\\|", "\u{0}");
        let Some(row) = line.strip_prefix("| ") else {
            if !line.starts_with("|--") {
                header = Vec::new();
            }
            continue;
        };
        let cells = row.trim_end_matches(" |").split(" | ");
        let cells: Vec<String> = cells.map(|cell| cell.replace('\u{0}', "|")).collect();
        if header.is_empty() {
            header = cells;
            continue;
        }
        let [first, _, example, result] = cells.as_slice() else {
            assert!(!header.contains(&"example".to_owned()), "{line}");
            continue;
        };
        assert_eq!(header[2..], ["example", "result"], "{line}");
        let ours = result.split(" DuckDB: ").next().unwrap_or_default();
        let [example] = spans(example).try_into().expect(&line);
        examples.push(Example {
            names: spans(first),
            refused: header[0] == "DuckDB",
            query: query_of(&example),
            rows: spans(ours),
        });
    }
    examples
}

/// Returns the block of the page that begins with this fence.
fn block(fence: &str) -> String {
    let text = PAGE.split(fence).nth(1).expect(fence);
    text.split("```")
        .next()
        .expect(fence)
        .trim_start()
        .to_owned()
}

/// An engine with the inputs of the page.
struct Inputs {
    engine: Arc<Engine>,
    tables: BTreeMap<String, Vec<Arc<Source>>>,
    files: Vec<(String, Arc<Source>)>,
    _spill: tempfile::TempDir,
}

impl Inputs {
    fn new() -> Inputs {
        let spill = tempfile::tempdir().unwrap();
        let engine = Arc::new(Engine::new(64 << 20, spill.path()).unwrap());
        let mut parquet = Vec::new();
        let days = engine.query("SELECT unnest([1, 2]) AS n", &BTreeMap::new(), &[]);
        let (schema, rows) = days.unwrap();
        write(&schema, rows, Format::Parquet, &mut parquet).unwrap();
        let files = [
            ("/data/dock.csv", block("```csv\n").into_bytes()),
            ("/data/days.jsonl", b"{\"n\": 1}\n{\"n\": 2}\n".to_vec()),
            ("/data/days.parquet", parquet),
        ];
        let files = files.map(|(path, bytes)| (path.to_owned(), file(path, bytes).unwrap()));
        let tables = BTreeMap::from([("dock".to_owned(), vec![files[0].1.clone()])]);
        Inputs {
            engine,
            tables,
            files: files.into(),
            _spill: spill,
        }
    }

    /// Returns the rows of a query as the page shows them.
    fn ask(&self, query: &str) -> Result<Vec<String>, QueryError> {
        let (_, batches) = self.engine.query(query, &self.tables, &self.files)?;
        let options = FormatOptions::default()
            .with_null("NULL")
            .with_timestamp_format(Some("%Y-%m-%d %H:%M:%S%.f"))
            .with_timestamp_tz_format(Some("%Y-%m-%d %H:%M:%S%.f%:::z"));
        let mut rows = Vec::new();
        for batch in batches {
            let batch = batch?;
            let columns = batch.columns().iter();
            let columns: Vec<_> = columns
                .map(|column| ArrayFormatter::try_new(column.as_ref(), &options).unwrap())
                .collect();
            for row in 0..batch.num_rows() {
                let cells = columns.iter();
                let cells = cells.map(|column| short(&column.value(row).to_string()));
                rows.push(cells.collect::<Vec<_>>().join(", "));
            }
        }
        Ok(rows)
    }
}

/// Returns a time without zeros at the end of its fraction, as DuckDB shows it.
fn short(value: &str) -> String {
    let time = regex::Regex::new(r"(:\d\d\.\d*?)0+($|\D)").unwrap();
    time.replace(value, "$1$2").into_owned()
}

#[test]
fn examples_of_the_sql_page_have_their_results() {
    let (inputs, mut wrong) = (Inputs::new(), Vec::new());
    let examples = examples();
    assert!(examples.len() > 100, "{} examples", examples.len());
    for example in &examples {
        match inputs.ask(&example.query) {
            Ok(rows) if rows == example.rows => {}
            other => wrong.push(format!("{}\n  {other:?}", example.query)),
        }
        if !example.refused {
            continue;
        }
        let refused = query_of(example.names.first().expect(&example.query));
        if let Ok(rows) = inputs.ask(&refused) {
            wrong.push(format!("{refused}\n  is not refused: {rows:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_function_of_the_dialect_is_on_the_sql_page() {
    let examples = examples();
    let listed: BTreeSet<&str> = examples
        .iter()
        .flat_map(|example| example.names.iter().map(String::as_str))
        .collect();
    let missing: Vec<String> = testing::functions()
        .into_iter()
        .filter(|name| !listed.contains(name.as_str()))
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
}

/// Every name of a function returns the same as the name in the example.
#[test]
fn other_names_on_the_sql_page_return_the_same() {
    let inputs = Inputs::new();
    let functions: BTreeSet<String> = testing::functions().into_iter().collect();
    for example in examples().iter().filter(|example| !example.refused) {
        let Some((first, others)) = example.names.split_first() else {
            continue;
        };
        if !functions.contains(first) {
            continue;
        }
        assert!(example.query.contains(&format!("{first}(")), "{first}");
        for other in others {
            let query = example
                .query
                .replace(&format!("{first}("), &format!("{other}("));
            assert_eq!(inputs.ask(&query).unwrap(), example.rows, "{query}");
        }
    }
}
