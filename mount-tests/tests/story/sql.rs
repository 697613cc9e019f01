//! The page about SQL: its examples return in DuckDB what the page says. The unit tests run the same examples in
//! pondmount.

use std::path::Path;

use mount_tests::run::python;

#[test]
fn examples_of_the_sql_page_return_the_same_in_duckdb() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/sql.md");
    let scratch = tempfile::tempdir().unwrap();
    let script = include_str!("sql.py");
    let args = [page.as_os_str(), scratch.path().as_os_str()];
    let found = python().args(["-c", script]).args(args).ok();
    assert_eq!(found.text().trim(), "same");
}
