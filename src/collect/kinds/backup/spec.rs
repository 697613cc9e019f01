//! The spec of Backup: a pond that is written to an S3-compatible bucket.
//!
//! Invariant: access keys are references, never literals.

use crate::collect::bucket;
use crate::resource::field::{Checked, FieldPath};
use crate::resource::{Kind, SecretRef};
use serde::{Deserialize, Serialize};

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

impl Kind for Backup {
    const NAME: &'static str = "Backup";
    const ABOUT: &'static str = "Backs up the pond to a bucket.";
    const SECRET: &'static [&'static str] = &["key", "secret"];

    fn check(&self, at: &FieldPath) -> Checked {
        bucket::check(at, &self.bucket, &self.region, &self.endpoint)
    }
}
