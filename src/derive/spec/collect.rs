//! The specs of the kinds that collect data: HydroVu, Inbox and Scribble.
//!
//! Invariants: after the check, names of devices differ and are valid for files. A pattern of the
//! host is absolute.

use super::field::{Check, Checked, FieldPath, filled, named, pattern, unique_keys};
use super::secret::SecretRef;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// Instruments of the HydroVu service.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HydroVu {
    /// Client id of the account.
    pub key: SecretRef,
    /// Client secret of the account.
    pub secret: SecretRef,
    /// The instruments.
    pub devices: Vec<Device>,
}

/// An instrument.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Device {
    /// Id of its location in the service.
    pub id: i64,
    /// Its name in the pond.
    pub name: String,
    /// Prefix of the names of its columns.
    pub scope: String,
    /// A comment.
    pub comment: Option<String>,
}

/// Files of the host that are copied in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Inbox {
    /// Absolute glob of the host.
    pub pattern: String,
}

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

impl Check for HydroVu {
    fn check(&self, at: &FieldPath) -> Checked {
        let mut ids = BTreeSet::new();
        named(
            &at.key("devices"),
            &self.devices,
            |d| &d.name,
            |at, device| {
                filled(&at.key("scope"), &device.scope)?;
                match ids.insert(device.id) {
                    true => Ok(()),
                    false => at
                        .key("id")
                        .fault(format!("the id {} was given before", device.id)),
                }
            },
        )
    }
}

impl Check for Inbox {
    fn check(&self, at: &FieldPath) -> Checked {
        let at = at.key("pattern");
        pattern(&at, &self.pattern)?;
        match self.pattern.starts_with('/') {
            true => Ok(()),
            false => at.fault("a pattern of the host is absolute: it begins with `/`"),
        }
    }
}

impl Check for Scribble {
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
