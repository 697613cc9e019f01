//! Derive: a query over each file that a pattern finds.
//!
//! Role: its typed spec. Holds always: once checked, each collection can be a directory.

use super::field::{Check, Checked, FieldPath, named, pattern, said};
use serde::{Deserialize, Serialize};

/// Directories with one result for each file found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Derive {
    /// The directories.
    pub collections: Vec<DeriveCollection>,
}

/// One directory of results.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeriveCollection {
    /// The name of the directory.
    pub name: String,
    /// The files.
    pub pattern: String,
    /// The query, in which `$1` stands for the file.
    pub query: String,
}

impl Check for Derive {
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
}
