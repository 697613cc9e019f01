//! The list of derived kinds. A kind is a folder, declared here, and an entry of the list.
//!
//! A folder has `spec.rs` with the type that implements [`Kind`], `plan.rs` that implements
//! [`Plan`] for it, and `make.rs` with its [`Recipe`](super::recipes::Recipe), unless a shared
//! recipe serves.

mod chart;
mod combine;
mod concat;
mod derive;
mod dynamic;
mod pivot;
mod reduce;
mod rename;
mod resample;
mod sql;
mod synthetic;
mod template;

#[cfg(test)]
pub(crate) use self::{derive::Derive, dynamic::DynamicDir, reduce::Reduce};

use super::plan::Plan;
use crate::resource::{Kind, KindEntry, Spec};
use serde::de::{DeserializeSeed, Deserializer};
use std::sync::Arc;

/// Defines what needs all kinds by type, each named once.
macro_rules! kinds {
    ($($kind:ty),* $(,)?) => {
        /// The derived kinds.
        pub const KINDS: &[KindEntry] = &[$(KindEntry::derived::<$kind>()),*];

        /// Returns the plan of a spec, or `None` if it is of no derived kind.
        pub(super) fn plan_of(spec: &dyn Spec) -> Option<&dyn Plan> {
            $(if let Some(spec) = spec.downcast_ref::<$kind>() {
                return Some(spec);
            })*
            None
        }

        impl<'de> DeserializeSeed<'de> for NestedSeed {
            type Value = Arc<dyn Spec>;

            fn deserialize<D: Deserializer<'de>>(self, yaml: D) -> Result<Self::Value, D::Error> {
                $(if self.0 == <$kind>::NAME {
                    return Ok(Arc::new(<$kind as serde::Deserialize>::deserialize(yaml)?));
                })*
                Err(serde::de::Error::custom("it is of no derived kind"))
            }
        }
    };
}

kinds! {
    derive::Derive,
    combine::Combine,
    template::Template,
    reduce::Reduce,
    pivot::Pivot,
    rename::Rename,
    resample::Resample,
    sql::Sql,
    synthetic::Synthetic,
    chart::Chart,
    concat::Concat,
    dynamic::DynamicDir,
}

/// Deserializes a spec within another one, in place, so that errors keep their position.
struct NestedSeed(&'static str);

impl NestedSeed {
    /// Returns the seed of a kind's spec, or `None` if no derived kind has the name.
    fn of(name: &str) -> Option<NestedSeed> {
        let found = KINDS.iter().find(|kind| kind.as_str() == name);
        found.map(|kind| NestedSeed(kind.as_str()))
    }
}
