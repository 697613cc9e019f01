//! The spec of Pivot: the same columns of several series, side by side.
//!
//! Invariant: after the check, each result has a valid name.

use crate::resource::Kind;
use crate::resource::field::{Checked, FieldPath, columns, named, pattern};
use serde::{Deserialize, Serialize};

/// Series with a column for each column of each file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pivot {
    /// The series.
    pub collections: Vec<PivotCollection>,
}

/// A series.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PivotCollection {
    /// Name of the result.
    pub name: String,
    /// Pattern of the files. The text that its first wildcard matched is the prefix of column
    /// names.
    pub pattern: String,
    /// Columns to take, by names or globs; all by default.
    pub columns: Option<Vec<String>>,
}

impl Kind for Pivot {
    const NAME: &'static str = "Pivot";
    const ABOUT: &'static str = "Puts the columns of several series side by side.";

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

    fn patterns(&self) -> Vec<&str> {
        self.collections.iter().map(|c| &c.pattern[..]).collect()
    }
}
