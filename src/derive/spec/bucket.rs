//! The specs of Backup and Copy, which write and read a pond in an S3-compatible bucket.
//!
//! Invariant: access keys are references, never literals.

use super::field::{Check, Checked, FieldPath, FromText, filled};
use super::secret::SecretRef;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use uuid::Uuid;

/// A backup of the pond in a bucket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Backup {
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
}

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
    /// UUID of the [`Backup`] that wrote it, which is the first part of its keys.
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

fn place(at: &FieldPath, bucket: &str, region: &str, endpoint: &str) -> Checked {
    filled(&at.key("bucket"), bucket)?;
    filled(&at.key("region"), region)?;
    filled(&at.key("endpoint"), endpoint)
}

impl Check for Backup {
    fn check(&self, at: &FieldPath) -> Checked {
        place(at, &self.bucket, &self.region, &self.endpoint)
    }
}

impl Check for Copy {
    fn check(&self, at: &FieldPath) -> Checked {
        place(at, &self.bucket, &self.region, &self.endpoint)
    }
}
