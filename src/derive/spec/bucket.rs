//! Copies of a pond in an S3-compatible bucket: Backup and Copy.
//!
//! Role: the typed specs of the kinds that write one and read one. Holds always: keys by reference.

use super::field::{Check, Checked, FieldPath, FromText, filled};
use super::secret::SecretRef;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use uuid::Uuid;

/// A pond that is backed up to a bucket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Backup {
    /// The name of the bucket.
    pub bucket: String,
    /// The region that requests are signed for.
    pub region: String,
    /// The id of the access key.
    pub key: SecretRef,
    /// The secret of the access key.
    pub secret: SecretRef,
    /// The address of the service.
    pub endpoint: String,
}

/// A backup that is read from a bucket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Copy {
    /// The name of the bucket.
    pub bucket: String,
    /// The region that requests are signed for.
    pub region: String,
    /// The id of the access key.
    pub key: SecretRef,
    /// The secret of the access key.
    pub secret: SecretRef,
    /// The address of the service.
    pub endpoint: String,
    /// The uuid of the [`Backup`] that wrote it: the first part of its keys.
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
