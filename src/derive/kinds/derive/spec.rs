//! The spec of Derive: a query on each file that a pattern matches.
//!
//! Invariant: after the check, each collection has a valid name of a directory.

use crate::resource::Kind;
use crate::resource::field::{Checked, FieldPath, named, pattern, said};
use serde::{Deserialize, Serialize};

/// Directories with one result for each file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Derive {
    /// The directories.
    pub collections: Vec<DeriveCollection>,
}

/// A directory of results.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeriveCollection {
    /// Name of the directory.
    pub name: String,
    /// Pattern of the files.
    pub pattern: String,
    /// The query. `$1` is the file.
    pub query: String,
}

impl Kind for Derive {
    const NAME: &'static str = "Derive";
    const ABOUT: &'static str = "Runs a query on each file.";

    fn check(&self, at: &FieldPath) -> Checked {
        named(
            &at.key("collections"),
            &self.collections,
            |c| &c.name,
            |at, collection| {
                pattern(&at.key("pattern"), &collection.pattern)?;
                said(&at.key("query"), &collection.query)
            },
        )
    }

    fn patterns(&self) -> Vec<&str> {
        self.collections.iter().map(|c| &c.pattern[..]).collect()
    }
}
