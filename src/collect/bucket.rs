//! The fields of specs that locate an S3-compatible bucket.

use crate::resource::field::{Checked, FieldPath, filled};

/// Checks the location of a bucket. The spec is at path `at`.
pub(super) fn check(at: &FieldPath, bucket: &str, region: &str, endpoint: &str) -> Checked {
    filled(&at.key("bucket"), bucket)?;
    filled(&at.key("region"), region)?;
    filled(&at.key("endpoint"), endpoint)
}
