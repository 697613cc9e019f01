//! The recipe of Derive and Sql: a query over tables, or over one file named `$1`.

use super::{Making, Opened, Recipe, Written, Wrong};
use crate::derive::DeriveError;
use crate::derive::node::Input;
use crate::query::Source;
use regex::Regex;
use std::collections::BTreeMap;
use std::sync::LazyLock;

/// Runs a query.
pub(in crate::derive) struct QueryRecipe {
    pub(in crate::derive) query: String,
    /// The tables by name.
    pub(in crate::derive) tables: BTreeMap<String, Vec<Input>>,
    /// The file that the query names `$1`.
    pub(in crate::derive) file: Option<Input>,
}

impl Recipe for QueryRecipe {
    fn inputs(&self) -> Vec<&Input> {
        let tables = self.tables.values().flatten();
        tables.chain(&self.file).collect()
    }

    fn identity(&self) -> String {
        let tables = self.tables.iter().map(|(name, of)| (name, of.len()));
        let tables: Vec<_> = tables.collect();
        let told = self.told_path().map(|path| format!(" {path:?}"));
        let told = told.unwrap_or_default();
        let (query, has_file) = (&self.query, self.file.is_some());
        format!("query {query:?} {tables:?} {has_file}{told}")
    }

    fn is_table(&self) -> bool {
        true
    }

    /// Returns the path of the file, if the query does more than read it.
    fn told_path(&self) -> Option<String> {
        match &self.file {
            Some(input) if tells_path(&self.query) => Some(input.path()),
            _ => None,
        }
    }

    fn write(&self, inputs: &Opened, making: &mut Making<'_, '_>) -> Result<Written, Wrong> {
        let mut sources = inputs.sources.iter().cloned();
        let mut named = BTreeMap::new();
        for (name, inputs) in &self.tables {
            if inputs.is_empty() {
                let why = format!("no file matches the pattern of {name:?}");
                return Err(DeriveError::new(why).into());
            }
            named.insert(name.clone(), sources.by_ref().take(inputs.len()).collect());
        }
        let told = self.told_path();
        let called = |source: &Source| told.clone().unwrap_or(source.name().into());
        let files: Vec<_> = sources.map(|source| (called(&source), source)).collect();
        let query = match files.first() {
            Some((called, _)) => self.query.replace("$1", &called.replace('\'', "''")),
            None => self.query.clone(),
        };
        let (schema, rows) = making.works.engine.query(&query, &named, &files)?;
        making.rows(&schema, rows)
    }
}

/// Returns whether the result may contain the path of `$1`: it is used other than to read the file,
/// or the query reads a file by a path of its own.
fn tells_path(query: &str) -> bool {
    static READ: LazyLock<Option<Regex>> = LazyLock::new(|| {
        Regex::new(r"(?i)\b(?:read_[a-z_]+\s*\(\s*|(?:from|join)\s+)'(\$1')?").ok()
    });
    let Some(read) = &*READ else {
        return true;
    };
    let mut all = read.captures_iter(query);
    all.any(|read| read.get(1).is_none()) || read.replace_all(query, "").contains("$1")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_that_only_reads_its_file_is_known_by_content_alone() {
        for query in [
            "SELECT * FROM read_csv('$1')",
            "select a from READ_CSV_AUTO( '$1', header = true) x join '$1' y using (a)",
            "FROM '$1'",
        ] {
            assert!(!tells_path(query), "{query}");
        }
        for query in [
            "SELECT '$1' AS source, * FROM read_csv('$1')",
            "SELECT * FROM read_csv('$1') WHERE name = '$1.old'",
            "SELECT * FROM read_csv('/data/a.csv'), read_csv('$1')",
            "SELECT * FROM '/data/a.csv'",
            "SELECT * FROM read_csv('$1x')",
        ] {
            assert!(tells_path(query), "{query}");
        }
    }
}
