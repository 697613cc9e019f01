//! The kinds of resources, and the typed spec of each.
//!
//! [`document`](super::document) deserializes the field `spec` of a document as a [`Spec`] of its
//! kind.
//!
//! Invariants: unknown fields are refused. [`Check`] verifies what the types cannot express before
//! any other module sees the spec.
//!
//! Names in a spec become names of directory entries. Patterns are [`crate::tinyfs::Pattern`]s from
//! the root of the pond, with or without a leading slash.

mod aggregate;
mod bucket;
mod chart;
mod collect;
mod combine;
mod concat;
mod derive;
mod dynamic;
pub(crate) mod field;
mod moment;
mod pivot;
mod reduce;
mod rename;
mod secret;
mod sql;
mod synthetic;
mod template;
#[cfg(test)]
mod tests;

pub use bucket::{Backup, Copy};
pub use chart::{Chart, ChartCollection, Format};
pub use collect::{Device, HydroVu, Inbox, Scribble, Sort};
pub use combine::{Combine, Scope, SeriesInput};
pub use concat::{Concat, ConcatFile, Header};
pub use derive::{Derive, DeriveCollection};
pub use dynamic::{DynamicDir, DynamicEntry};
pub use moment::Moment;
pub use pivot::{Pivot, PivotCollection};
pub use reduce::{Dataset, Duplicates, Reduce, ReduceCollection};
pub use rename::{Cast, Rename, RenameCollection, Rule};
pub use secret::{Secret, SecretError, SecretRef};
pub use sql::{Query, Sql};
pub use synthetic::{Synthetic, SyntheticColumn, SyntheticSeries, Wave};
pub use template::{Body, Template, TemplateCollection};

use field::{Check, Checked, FieldPath, FromText};
use serde::de::{Deserialize, DeserializeSeed, Deserializer};
use serde::{Serialize, Serializer};
use std::fmt;

/// Generates what differs between kinds only by their name.
macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident $derived:literal)*) => {
        /// A kind of resource.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Kind {
            $($(#[$doc])* $kind,)*
        }

        /// The spec of a document, by its kind.
        #[derive(Clone, Debug, PartialEq, Serialize)]
        #[serde(tag = "kind", content = "spec")]
        pub enum Spec {
            $($(#[$doc])* $kind($kind),)*
        }

        impl Kind {
            /// All kinds.
            pub const ALL: &[Kind] = &[$(Kind::$kind),*];

            /// Returns the name of the kind in documents, and of its directory.
            pub fn as_str(&self) -> &'static str {
                match self {
                    $(Kind::$kind => stringify!($kind),)*
                }
            }

            /// Returns whether the kind renders files from others, as opposed to collecting data.
            pub fn is_derived(&self) -> bool {
                match self {
                    $(Kind::$kind => $derived,)*
                }
            }
        }

        impl Spec {
            /// Returns the kind of the spec.
            pub fn kind(&self) -> Kind {
                match self {
                    $(Spec::$kind(_) => Kind::$kind,)*
                }
            }

            /// Returns the first fault of the spec, which is at path `at` of its document.
            pub(crate) fn check(&self, at: &FieldPath) -> Checked {
                match self {
                    $(Spec::$kind(spec) => spec.check(at),)*
                }
            }
        }

        impl<'de> DeserializeSeed<'de> for SpecSeed {
            type Value = Spec;

            fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Spec, D::Error> {
                match self.0 {
                    $(Kind::$kind => $kind::deserialize(deserializer).map(Spec::$kind),)*
                }
            }
        }
    };
}

kinds! {
    /// Backs up the pond to a bucket.
    Backup false
    /// Reads a backup of a pond from a bucket.
    Copy false
    /// Creates random content.
    Scribble false
    /// Collects data from the HydroVu service.
    HydroVu false
    /// Copies files of the host.
    Inbox false
    /// Runs a query on each file.
    Derive true
    /// Joins series on their time.
    Combine true
    /// Renders text templates.
    Template true
    /// Aggregates series at several resolutions.
    Reduce true
    /// Puts the columns of several series side by side.
    Pivot true
    /// Renames columns.
    Rename true
    /// Runs a query on several inputs.
    Sql true
    /// Computes waves.
    Synthetic true
    /// Draws series.
    Chart true
    /// Concatenates files.
    Concat true
    /// Holds several derived directories.
    DynamicDir true
}

/// Deserializes the spec of a kind.
pub(crate) struct SpecSeed(pub(crate) Kind);

impl Kind {
    /// Returns the kind of a name. The error lists all names.
    pub fn new(name: &str) -> Result<Kind, String> {
        let found = Kind::ALL.iter().find(|kind| kind.as_str() == name);
        found.copied().ok_or_else(|| {
            let names: Vec<_> = Kind::ALL.iter().map(Kind::as_str).collect();
            format!("{name:?} is not a kind; write one of {}", names.join(", "))
        })
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Kind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Kind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Kind, D::Error> {
        deserializer.deserialize_str(FromText::new("a kind such as Reduce", Kind::new))
    }
}
