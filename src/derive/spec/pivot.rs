//! Pivot: the same columns of several series beside each other.
//!
//! Role: its typed spec. Holds always: once checked, each collection can be named.

use super::field::{Check, Checked, FieldPath, columns, named, pattern};
use serde::{Deserialize, Serialize};

/// Series with one column for each column of each file found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pivot {
    /// The series.
    pub collections: Vec<PivotCollection>,
}

/// One such series.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PivotCollection {
    /// The name of the result.
    pub name: String,
    /// The files; what the first wildcard stood for comes before the names of the columns.
    pub pattern: String,
    /// Which columns to take, by names or globs; all without it.
    pub columns: Option<Vec<String>>,
}

impl Check for Pivot {
    fn check(&self, at: &FieldPath) -> Checked {
        named(
            &at.key("collections"),
            &self.collections,
            |c| &c.name,
            |at, collection| {
                pattern(&at.key("pattern"), &collection.pattern)?;
                columns(at, collection.columns.as_deref())
            },
        )
    }
}
