//! The schema of outer rows, which every Delta reader sees.
//!
//! Defines the Delta schema and properties of the table, the Arrow schema of its Parquet files, and
//! [`Row`]. `node_part` is the partition column: it is in the log and in folder names, not in
//! files.
//!
//! Invariant: a column never changes or goes, and one that is added later is nullable
//! ([`columns`](super::columns)). Records inside the payload can evolve.

use super::Stamp;
use super::error::OplogError;
use crate::tinyfs::Time;
use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use bytes::Bytes;
use serde_json::{Value, json};
use std::sync::{Arc, LazyLock};

/// The partition column.
pub(super) const PART: &str = "node_part";
/// A partition holds the records of 2^20 consecutive owner ids.
const PART_BITS: u32 = 20;

pub(super) const VERSION: &str = "version";
pub(super) const COMMITTED: &str = "committed";
pub(super) const RECORD: &str = "record";
pub(super) const FIRST_NODE: &str = "first_node";
pub(super) const LAST_NODE: &str = "last_node";
pub(super) const ROWS: &str = "rows";
pub(super) const PAYLOAD: &str = "payload";
pub(super) const CHECKSUM: &str = "checksum";
/// Tables that were made by an older program lack this column.
pub(super) const CLOCK: &str = "clock";

/// An outer row: records of one type that one version changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Row {
    /// The version that changed them.
    pub version: u64,
    /// Commit time of the version, in microseconds since the epoch.
    pub committed: i64,
    /// The record type and its schema number.
    pub record: String,
    /// The lowest owner in the payload.
    pub first_node: u64,
    /// The highest owner in the payload.
    pub last_node: u64,
    /// The number of records.
    pub rows: u32,
    /// An Arrow IPC stream.
    pub payload: Bytes,
    /// BLAKE3 of the payload.
    pub checksum: [u8; 32],
    /// The reading of the clock when the version was committed, in microseconds since the epoch;
    /// `None` in a row that an older program wrote.
    pub clock: Option<i64>,
}

impl Row {
    /// Returns the commit time of its version.
    pub(super) fn stamp(&self) -> Stamp {
        Stamp {
            committed: Time::from_micros(self.committed),
            clock: self.clock.map(Time::from_micros),
        }
    }
}

/// Returns the partition of an owner's records.
pub(super) fn part_of(owner: u64) -> Result<i32, OplogError> {
    i32::try_from(owner >> PART_BITS).map_err(|_| OplogError::Range("a node id"))
}

/// Returns the Arrow schema of the Parquet files.
pub(super) fn file_schema() -> Arc<Schema> {
    static SCHEMA: LazyLock<Arc<Schema>> = LazyLock::new(|| {
        let utc = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
        Arc::new(Schema::new(vec![
            Field::new(VERSION, DataType::Int64, false),
            Field::new(COMMITTED, utc.clone(), false),
            Field::new(RECORD, DataType::Utf8, false),
            Field::new(FIRST_NODE, DataType::Int64, false),
            Field::new(LAST_NODE, DataType::Int64, false),
            Field::new(ROWS, DataType::Int32, false),
            Field::new(PAYLOAD, DataType::Binary, false),
            Field::new(CHECKSUM, DataType::Binary, false),
            Field::new(CLOCK, utc, true),
        ]))
    });
    SCHEMA.clone()
}

/// Returns the table's schema in Delta's JSON form.
pub(super) fn delta_schema() -> Value {
    let column = |name: &str, of: &str, nullable: bool| json!({"name": name, "type": of, "nullable": nullable, "metadata": {}});
    let field = |name: &str, of: &str| column(name, of, false);
    json!({"type": "struct", "fields": [
        field(PART, "integer"),
        field(VERSION, "long"),
        field(COMMITTED, "timestamp"),
        field(RECORD, "string"),
        field(FIRST_NODE, "long"),
        field(LAST_NODE, "long"),
        field(ROWS, "integer"),
        field(PAYLOAD, "binary"),
        field(CHECKSUM, "binary"),
        column(CLOCK, "timestamp", true),
    ]})
}

/// Returns the table's properties. They keep other writers from removing history, and need no
/// protocol version above that of the table.
pub(super) fn properties() -> Value {
    json!({
        // An append-only table allows commits that move rows without changing data.
        "delta.appendOnly": "true",
        "delta.enableExpiredLogCleanup": "false",
        // Delta's intervals have no years.
        "delta.logRetentionDuration": "interval 36500 days",
        // Tombstones are not kept in checkpoints: clean-up removes files by the commits that name
        // them.
        "delta.deletedFileRetentionDuration": "interval 1 minutes",
        "delta.checkpointInterval": CHECKPOINT_INTERVAL.to_string(),
        "delta.dataSkippingStatsColumns": "version,first_node,last_node",
    })
}

/// Versions between two checkpoints.
pub(super) const CHECKPOINT_INTERVAL: u64 = 100;

/// Engine name in commits. Commits with it must follow the rules of this program.
pub(super) const ENGINE: &str = concat!("pondmount/", env!("CARGO_PKG_VERSION"));
/// Prefix of [`ENGINE`] in every version of this program.
pub(super) const ENGINE_PREFIX: &str = "pondmount/";
