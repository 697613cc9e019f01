//! The spec of Copy: a backup that is read from an S3-compatible bucket.
//!
//! Invariant: access keys are references, never literals.

use crate::collect::bucket;
use crate::resource::field::{Checked, FieldPath, FromText};
use crate::resource::{Kind, SecretRef};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use uuid::Uuid;

/// A backup that is read from a bucket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Copy {
    /// Name of the bucket.
    pub bucket: String,
    /// Region for which requests are signed.
    pub region: String,
    /// Id of the access key.
    pub key: SecretRef,
    /// Secret of the access key.
    pub secret: SecretRef,
    /// URL of the service.
    pub endpoint: String,
    /// UUID of the `Backup` that wrote it, which is the first part of its keys.
    #[serde(deserialize_with = "read_uuid", serialize_with = "write_uuid")]
    pub backup_uuid: Uuid,
}

fn read_uuid<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Uuid, D::Error> {
    let read = |text: &str| Uuid::try_parse(text).map_err(|_| format!("{text:?} is not a uuid"));
    deserializer.deserialize_str(FromText::new("a uuid", read))
}

fn write_uuid<S: Serializer>(uuid: &Uuid, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(uuid)
}

impl Kind for Copy {
    const NAME: &'static str = "Copy";
    const ABOUT: &'static str = "Reads a backup of a pond from a bucket.";
    const SECRET: &'static [&'static str] = &["key", "secret"];

    fn check(&self, at: &FieldPath) -> Checked {
        bucket::check(at, &self.bucket, &self.region, &self.endpoint)
    }
}
