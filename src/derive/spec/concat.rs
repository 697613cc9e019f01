//! Concat: files, one after the other.
//!
//! Role: its typed spec. Holds always: once checked, each result can be named.

use super::field::{Check, Checked, FieldPath, named, pattern};
use serde::{Deserialize, Serialize};

/// Files made of others.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Concat {
    /// The results.
    pub files: Vec<ConcatFile>,
}

/// One file made of others.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConcatFile {
    /// The name of the result.
    pub name: String,
    /// The files, which are taken in the order of their paths.
    pub pattern: String,
    /// What becomes of their first lines; `keep` without it.
    #[serde(default)]
    pub header: Header,
    /// What stands between two files; nothing without it.
    #[serde(default)]
    pub separator: String,
}

/// What becomes of the first lines of concatenated files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Header {
    /// Each stays.
    #[default]
    Keep,
    /// That of the first file stays, and the others are left out.
    Once,
}

impl Check for Concat {
    fn check(&self, at: &FieldPath) -> Checked {
        named(
            &at.key("files"),
            &self.files,
            |f| &f.name,
            |at, file| pattern(&at.key("pattern"), &file.pattern).map(|_| ()),
        )
    }
}
