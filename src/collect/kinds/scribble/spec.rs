//! The spec of Scribble: random content.
//!
//! Invariant: after the check, the bounds are in order and each probability is from 0 to 1.

use crate::resource::Kind;
use crate::resource::field::{Checked, FieldPath, unique_keys};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// A tree of random content, for tests.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scribble {
    /// Least number of entries in a directory.
    pub count_min: i32,
    /// Greatest number of entries in a directory.
    pub count_max: i32,
    /// Probability of each sort of entry, from 0 to 1.
    #[serde(deserialize_with = "unique_keys")]
    pub probs: BTreeMap<Sort, f32>,
}

/// The sorts of entries that [`Scribble`] creates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Sort {
    /// A directory.
    Tree,
    /// A table that is replaced as a whole.
    Table,
    /// A table that grows.
    Series,
    /// Bytes.
    Data,
    /// A derived directory.
    SynTree,
    /// A symbolic link.
    SymLink,
}

impl fmt::Display for Sort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Sort::Tree => "tree",
            Sort::Table => "table",
            Sort::Series => "series",
            Sort::Data => "data",
            Sort::SynTree => "syntree",
            Sort::SymLink => "symlink",
        })
    }
}

impl Kind for Scribble {
    const NAME: &'static str = "Scribble";
    const ABOUT: &'static str = "Creates random content.";

    fn check(&self, at: &FieldPath) -> Checked {
        if self.count_min < 0 {
            return at
                .key("count_min")
                .fault("there cannot be fewer than no entries");
        }
        if self.count_max < self.count_min {
            return at.key("count_max").fault("it is less than `count_min`");
        }
        for (sort, probability) in &self.probs {
            if !(0.0..=1.0).contains(probability) {
                let at = at.key("probs").key(&sort.to_string());
                return at.fault("a probability is a number from 0 to 1");
            }
        }
        Ok(())
    }
}
