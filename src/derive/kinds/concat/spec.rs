//! The spec of Concat: files, concatenated.
//!
//! Invariant: after the check, each result has a valid name.

use crate::resource::Kind;
use crate::resource::field::{Checked, FieldPath, named, pattern};
use serde::{Deserialize, Serialize};

/// Concatenated files.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Concat {
    /// The results.
    pub files: Vec<ConcatFile>,
}

/// A concatenated file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConcatFile {
    /// Name of the result.
    pub name: String,
    /// Pattern of the files, which are taken in the order of their paths.
    pub pattern: String,
    /// Handling of their first lines; `keep` by default.
    #[serde(default)]
    pub header: Header,
    /// Text between two files; empty by default.
    #[serde(default)]
    pub separator: String,
}

/// Handling of the first lines of concatenated files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Header {
    /// All are kept.
    #[default]
    Keep,
    /// That of the first file is kept, the others are dropped.
    Once,
}

impl Kind for Concat {
    const NAME: &'static str = "Concat";
    const ABOUT: &'static str = "Concatenates files.";

    fn check(&self, at: &FieldPath) -> Checked {
        named(
            &at.key("files"),
            &self.files,
            |f| &f.name,
            |at, file| pattern(&at.key("pattern"), &file.pattern).map(|_| ()),
        )
    }

    fn patterns(&self) -> Vec<&str> {
        self.files.iter().map(|file| &file.pattern[..]).collect()
    }
}
