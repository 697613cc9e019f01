//! Evaluates SQL to text, for the tests of the dialect.

use datafusion::arrow::array::Array;
use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};
use datafusion::prelude::SessionContext;
use datafusion::sql::parser::Statement;

/// Returns the rows of a translated query or the error. Cells are separated by `|`, null is
/// `NULL`.
pub(crate) fn try_rows(query: &str) -> Result<Vec<String>, String> {
    rows_in(&SessionContext::new(), query)
}

/// Does the same as [`try_rows`] in a given session.
pub(crate) fn rows_in(session: &SessionContext, query: &str) -> Result<Vec<String>, String> {
    super::register(session).map_err(|error| error.to_string())?;
    let statement = super::translate(session, query, &[])?;
    rows_of(session, statement, &FormatOptions::default())
}

/// Returns the rows of a statement.
pub(crate) fn rows_of(
    session: &SessionContext,
    statement: Statement,
    options: &FormatOptions<'_>,
) -> Result<Vec<String>, String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let batches = runtime
        .block_on(async {
            let plan = session.state().statement_to_plan(statement).await?;
            session.execute_logical_plan(plan).await?.collect().await
        })
        .map_err(|error| error.to_string())?;
    let options = options.clone().with_null("NULL");
    let mut rows = Vec::new();
    for batch in batches {
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

/// Returns the names of all functions of the dialect, also their second names.
pub(crate) fn functions() -> Vec<String> {
    let mut names = Vec::new();
    for function in super::scalar::functions() {
        names.push(function.name().to_owned());
        names.extend(function.aliases().iter().cloned());
    }
    for function in super::aggregate::functions() {
        names.push(function.name().to_owned());
        names.extend(function.aliases().iter().cloned());
    }
    names.extend(super::aliases::names().map(str::to_owned));
    names.extend(super::readers::READERS.map(str::to_owned));
    names
}
