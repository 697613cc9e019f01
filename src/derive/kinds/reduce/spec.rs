//! The spec of Reduce: series aggregated at several resolutions.
//!
//! Invariant: after the check, the result of each dataset has a valid name.

use super::aggregate::usual;
use super::resolution::Resolution;
use crate::query::Aggregate;
use crate::resource::Kind;
use crate::resource::field::{Checked, FieldPath, columns, distinct, listed, named, renaming};
use serde::{Deserialize, Serialize};

/// Directories of reduced series.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reduce {
    /// The directories.
    pub collections: Vec<ReduceCollection>,
}

/// A directory of reduced series.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReduceCollection {
    /// Name of the directory.
    pub name: String,
    /// Resolutions of each series.
    pub resolutions: Vec<Resolution>,
    /// The series to reduce.
    pub datasets: Vec<Dataset>,
}

/// Series that are reduced in the same way.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dataset {
    /// Pattern of the files.
    pub in_pattern: String,
    /// Name of the result. `$N` is the text that wildcard N matched, counted from 0.
    pub out_pattern: String,
    /// Columns to reduce, by names or globs; all by default.
    pub columns: Option<Vec<String>>,
    /// Aggregates of each column; `avg`, `min` and `max` by default.
    #[serde(default = "usual")]
    pub aggregates: Vec<Aggregate>,
    /// Rows to use if several have the same time; `last` by default.
    #[serde(default)]
    pub duplicates: Duplicates,
}

/// Rows of a series to use if several have the same time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Duplicates {
    /// The last one.
    #[default]
    Last,
    /// All of them.
    All,
}

impl Kind for Reduce {
    const NAME: &'static str = "Reduce";
    const ABOUT: &'static str = "Aggregates series at several resolutions.";

    fn check(&self, at: &FieldPath) -> Checked {
        named(
            &at.key("collections"),
            &self.collections,
            |c| &c.name,
            |at, collection| {
                distinct(&at.key("resolutions"), &collection.resolutions)?;
                listed(&at.key("datasets"), &collection.datasets, |at, dataset| {
                    renaming(at, &dataset.in_pattern, &dataset.out_pattern)?;
                    columns(at, dataset.columns.as_deref())?;
                    distinct(&at.key("aggregates"), &dataset.aggregates)
                })
            },
        )
    }

    fn patterns(&self) -> Vec<&str> {
        let datasets = self.collections.iter().flat_map(|c| &c.datasets);
        datasets.map(|dataset| &dataset.in_pattern[..]).collect()
    }
}
