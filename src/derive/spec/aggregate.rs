//! The names of aggregates in documents.
//!
//! Role: [`Aggregate`]s as text. In: `avg`, `p99.9`. Out: an [`Aggregate`], or all that could be written.

use super::field::FromText;
use crate::query::Aggregate;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// What is computed if a document does not say.
pub(super) fn usual() -> Vec<Aggregate> {
    vec![Aggregate::Avg, Aggregate::Min, Aggregate::Max]
}

impl Serialize for Aggregate {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Aggregate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Aggregate, D::Error> {
        deserializer.deserialize_str(FromText::new("an aggregate such as avg", Aggregate::new))
    }
}
