//! What documents say of each kind, typed.
//!
//! Role: the kinds there are, and the spec of each. In: the part `spec` of a document, and its kind.
//! Out: a [`Spec`]. Holds always: fields that a kind does not have are refused; what the types cannot
//! say is checked by [`Check`] before anybody sees the spec.
//!
//! Names in a spec are names of directory entries. Patterns are those of [`crate::tinyfs::Pattern`],
//! from the root of the pond with or without a leading slash.

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

/// Names each kind once; everything that differs between kinds only by their name is made of it.
macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident $derived:literal)*) => {
        /// A kind of resource.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Kind {
            $($(#[$doc])* $kind,)*
        }

        /// What a document says of its kind.
        #[derive(Clone, Debug, PartialEq, Serialize)]
        #[serde(tag = "kind", content = "spec")]
        pub enum Spec {
            $($(#[$doc])* $kind($kind),)*
        }

        impl Kind {
            /// Each kind.
            pub const ALL: &[Kind] = &[$(Kind::$kind),*];

            /// The name of the kind, in documents and as a directory.
            pub fn as_str(&self) -> &'static str {
                match self {
                    $(Kind::$kind => stringify!($kind),)*
                }
            }

            /// Whether it renders files out of others, rather than collecting data from elsewhere.
            pub fn is_derived(&self) -> bool {
                match self {
                    $(Kind::$kind => $derived,)*
                }
            }
        }

        impl Spec {
            /// The kind that it is the spec of.
            pub fn kind(&self) -> Kind {
                match self {
                    $(Spec::$kind(_) => Kind::$kind,)*
                }
            }

            /// Finds the first fault of a spec that stands at `at`.
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
    /// Copies the pond to a bucket.
    Backup false
    /// Copies a pond from a bucket.
    Copy false
    /// Makes random content.
    Scribble false
    /// Collects from the HydroVu service.
    HydroVu false
    /// Copies files of the host.
    Inbox false
    /// Runs a query over each file.
    Derive true
    /// Joins series.
    Combine true
    /// Renders texts.
    Template true
    /// Reduces series to several resolutions.
    Reduce true
    /// Puts the columns of several series beside each other.
    Pivot true
    /// Renames columns.
    Rename true
    /// Runs a query over several inputs.
    Sql true
    /// Computes waves.
    Synthetic true
    /// Draws series.
    Chart true
    /// Puts files one after the other.
    Concat true
    /// Holds several derived directories.
    DynamicDir true
}

/// Reads the spec of a kind.
pub(crate) struct SpecSeed(pub(crate) Kind);

impl Kind {
    /// Finds a kind by its name; the error lists all.
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
