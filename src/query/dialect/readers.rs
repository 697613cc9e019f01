//! Table functions that read a file: `read_csv('$1')` and its like.
//!
//! Files are opened before a query, by their own format, with a header line and inferred types. So
//! a reader opens nothing: it finds the table of a path. An option that asks for something else is
//! refused, because ignoring it would return other rows than DuckDB.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use datafusion::catalog::{TableFunctionArgs, TableFunctionImpl, TableProvider};
use datafusion::common::ScalarValue;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::Expr;
use datafusion::prelude::SessionContext;

/// The names of the readers. All read every format.
pub(super) const READERS: [&str; 9] = [
    "read_csv",
    "read_csv_auto",
    "read_json",
    "read_json_auto",
    "read_ndjson",
    "read_ndjson_auto",
    "read_parquet",
    "parquet_scan",
    "read_file",
];

/// Registers the readers in a session. `files` are the tables of the paths that they read.
pub(in crate::query) fn register_readers(
    session: &SessionContext,
    files: BTreeMap<String, Arc<dyn TableProvider>>,
) {
    let files = Arc::new(files);
    for name in READERS {
        let files = files.clone();
        session.register_udtf(name, Arc::new(Reader { name, files }));
    }
}

/// One reader.
struct Reader {
    name: &'static str,
    files: Arc<BTreeMap<String, Arc<dyn TableProvider>>>,
}

impl fmt::Debug for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.files.keys()).finish()
    }
}

impl TableFunctionImpl for Reader {
    fn call_with_args(&self, args: TableFunctionArgs) -> Result<Arc<dyn TableProvider>> {
        let refuse = |why: String| DataFusionError::External(why.into());
        let (path, options) = match args.exprs().split_first() {
            Some((Expr::Literal(ScalarValue::Utf8(Some(path)), _), options)) => (path, options),
            _ => {
                return Err(refuse(format!(
                    "a file is read by its path: {}('$1')",
                    self.name
                )));
            }
        };
        for option in options.chunks(2) {
            let [Expr::Literal(name, _), value] = option else {
                return Err(refuse(format!(
                    "{} takes a path and named options, such as header = true",
                    self.name
                )));
            };
            let name = name.to_string();
            if let Some(instead) = refusal(path, &name, value) {
                return Err(refuse(format!(
                    "{} takes no {name} = {}; {instead}",
                    self.name,
                    literal(value).unwrap_or_else(|| value.to_string())
                )));
            }
        }
        let table = self.files.get(path).ok_or_else(|| {
            refuse(format!(
                "{path:?} is no input of this recipe; only those are read"
            ))
        })?;
        Ok(table.clone())
    }
}

/// Returns a constant as text.
fn literal(value: &Expr) -> Option<String> {
    match value {
        Expr::Literal(value, _) => Some(value.to_string()),
        _ => None,
    }
}

/// Returns what to write instead of an option, or `None` if files are read as it says.
fn refusal(path: &str, option: &str, value: &Expr) -> Option<&'static str> {
    let value = literal(value).map(|value| value.to_lowercase());
    let is = |allowed: &[&str]| {
        let value = value.as_deref();
        value.is_some_and(|value| allowed.contains(&value))
    };
    let plain = path.to_lowercase();
    let plain = plain.trim_end_matches(".gz").trim_end_matches(".zst");
    let separator = match plain.ends_with(".tsv") {
        true => ["\t", "\\t"],
        false => [",", ","],
    };
    let (as_read, instead) = match option {
        // What these change does not change the rows.
        "sample_size"
        | "parallel"
        | "buffer_size"
        | "max_line_size"
        | "maximum_object_size"
        | "maximum_sample_files"
        | "maximum_depth"
        | "compression"
        | "union_by_name"
        | "strict_mode" => return None,
        "auto_detect" => (is(&["true", "1"]), "names and types are always detected"),
        "header" => (
            is(&["true", "1"]),
            "a CSV has a header line; write one, with Concat or by hand",
        ),
        "delim" | "sep" => (
            is(&separator),
            "values are separated by commas, in a .tsv by tabs",
        ),
        "quote" | "escape" => (is(&["\""]), "values are quoted by double quotes"),
        "nullstr" => (is(&[""]), "write nullif(column, 'text')"),
        "skip" => (is(&["0"]), "a file begins with its header line"),
        "format" => (
            is(&["auto", "newline_delimited"]),
            "a JSON file has one object a line",
        ),
        "records" => (is(&["auto", "true"]), "a JSON file has one object a line"),
        "encoding" => (is(&["utf-8", "utf8"]), "a file is in UTF-8"),
        "ignore_errors" | "null_padding" | "store_rejects" => (
            is(&["false", "0"]),
            "a line that cannot be read is an error",
        ),
        "all_varchar" => (is(&["false", "0"]), "write column::VARCHAR"),
        "normalize_names" => (is(&["false", "0"]), "write column AS name"),
        "hive_partitioning" | "filename" | "file_row_number" => (
            is(&["false", "0"]),
            "write regexp_extract('$1', …) for a part of the path",
        ),
        "columns" | "types" | "dtypes" | "column_types" => {
            (false, "write CAST(column AS type) in the query")
        }
        "names" | "column_names" => (false, "write column AS name"),
        "dateformat" | "timestampformat" => (false, "write strptime(column, format)"),
        _ => (false, "leave it out, or change the rows in the query"),
    };
    (!as_read).then_some(instead)
}
