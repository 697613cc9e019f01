//! The spec of Combine: series of several sources, joined on their time.
//!
//! Invariant: after the check, each scope has a valid name of a directory.

use crate::resource::Kind;
use crate::resource::field::{Checked, FieldPath, columns, filled, listed, named, pattern};
use serde::{Deserialize, Serialize};

/// Joined series.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Combine {
    /// The joined series.
    pub scopes: Vec<Scope>,
}

/// A joined series.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scope {
    /// Name of its directory.
    pub name: String,
    /// Columns to take, by names or globs; all by default.
    pub columns: Option<Vec<String>>,
    /// The series to join.
    pub series: Vec<SeriesInput>,
}

/// Files that together form one series.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SeriesInput {
    /// Pattern of the files.
    pub pattern: String,
    /// Prefix of the names of its columns, separated by a dot.
    pub scope: Option<String>,
}

impl Kind for Combine {
    const NAME: &'static str = "Combine";
    const ABOUT: &'static str = "Joins series on their time.";

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

    fn patterns(&self) -> Vec<&str> {
        let series = self.scopes.iter().flat_map(|scope| &scope.series);
        series.map(|series| &series.pattern[..]).collect()
    }
}
