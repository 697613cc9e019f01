//! Reduce: series at several resolutions.
//!
//! Role: its typed spec. Holds always: once checked, each dataset finds a name for what it reduces.

use super::aggregate::usual;
use super::field::{Check, Checked, FieldPath, columns, distinct, listed, named, renaming};
use crate::derive::duration::Resolution;
use crate::query::Aggregate;
use serde::{Deserialize, Serialize};

/// Directories of reduced series.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reduce {
    /// The directories.
    pub collections: Vec<ReduceCollection>,
}

/// One directory of reduced series.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReduceCollection {
    /// The name of the directory.
    pub name: String,
    /// The resolutions that each series is given at.
    pub resolutions: Vec<Resolution>,
    /// What is reduced.
    pub datasets: Vec<Dataset>,
}

/// Series that are reduced alike.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dataset {
    /// The files.
    pub in_pattern: String,
    /// The name of the result, in which `$N` stands for the N-th wildcard, from 0.
    pub out_pattern: String,
    /// Which columns to reduce, by names or globs; all without it.
    pub columns: Option<Vec<String>>,
    /// What is computed of each column; `avg`, `min`, `max` without it.
    #[serde(default = "usual")]
    pub aggregates: Vec<Aggregate>,
    /// Which rows of the same time count; `last` without it.
    #[serde(default)]
    pub duplicates: Duplicates,
}

/// Which rows of one series that have the same time count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Duplicates {
    /// The one that came last.
    #[default]
    Last,
    /// Each of them.
    All,
}

impl Check for Reduce {
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
}
