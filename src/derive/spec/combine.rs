//! Combine: series of several sources beside each other.
//!
//! Role: its typed spec. Holds always: once checked, each scope can be a directory.

use super::field::{Check, Checked, FieldPath, columns, filled, listed, named, pattern};
use serde::{Deserialize, Serialize};

/// Series, each joined of others on their time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Combine {
    /// The joined series.
    pub scopes: Vec<Scope>,
}

/// One joined series.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scope {
    /// The name of the directory that it is in.
    pub name: String,
    /// Which columns to take, by names or globs; all without it.
    pub columns: Option<Vec<String>>,
    /// What is joined.
    pub series: Vec<SeriesInput>,
}

/// Files that are one series together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SeriesInput {
    /// The files.
    pub pattern: String,
    /// Put before the name of each of its columns, with a dot between.
    pub scope: Option<String>,
}

impl Check for Combine {
    fn check(&self, at: &FieldPath) -> Checked {
        named(
            &at.key("scopes"),
            &self.scopes,
            |s| &s.name,
            |at, scope| {
                columns(at, scope.columns.as_deref())?;
                listed(&at.key("series"), &scope.series, |at, series| {
                    pattern(&at.key("pattern"), &series.pattern)?;
                    match &series.scope {
                        Some(scope) => filled(&at.key("scope"), scope),
                        None => Ok(()),
                    }
                })
            },
        )
    }
}
