//! Serializes [`Aggregate`]s by their names in documents, such as `avg` or `p99.9`.

use crate::query::Aggregate;
use crate::resource::field::FromText;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Returns the default aggregates.
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
