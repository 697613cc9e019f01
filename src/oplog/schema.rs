//! The outer row: the fixed table that every Delta reader sees.
//!
//! Role: name the columns, once. In: nothing. Out: the Delta schema and properties of the table, the
//! Arrow schema of its Parquet files, and [`Row`]. Holds always: this never changes; what evolves
//! is the record type inside the payload. `node_part` is the partition column: it stands in the log
//! and in the name of the folder, not in the files.

use super::error::OplogError;
use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use bytes::Bytes;
use serde_json::{Value, json};
use std::sync::{Arc, LazyLock};

/// The partition column.
pub(super) const PART: &str = "node_part";
/// Bits of an owner's id that lie within one partition.
const PART_BITS: u32 = 20;

pub(super) const VERSION: &str = "version";
pub(super) const COMMITTED: &str = "committed";
pub(super) const RECORD: &str = "record";
pub(super) const FIRST_NODE: &str = "first_node";
pub(super) const LAST_NODE: &str = "last_node";
pub(super) const ROWS: &str = "rows";
pub(super) const PAYLOAD: &str = "payload";
pub(super) const CHECKSUM: &str = "checksum";

/// One outer row: some records of one type, that one version changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Row {
    /// The version that changed them.
    pub version: u64,
    /// When that was, in microseconds since the epoch.
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
}

/// The partition that an owner's records stand in.
pub(super) fn part_of(owner: u64) -> Result<i32, OplogError> {
    i32::try_from(owner >> PART_BITS).map_err(|_| OplogError::Range("a node id"))
}

/// The columns of the Parquet files.
pub(super) fn file_schema() -> Arc<Schema> {
    static SCHEMA: LazyLock<Arc<Schema>> = LazyLock::new(|| {
        let utc = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
        Arc::new(Schema::new(vec![
            Field::new(VERSION, DataType::Int64, false),
            Field::new(COMMITTED, utc, false),
            Field::new(RECORD, DataType::Utf8, false),
            Field::new(FIRST_NODE, DataType::Int64, false),
            Field::new(LAST_NODE, DataType::Int64, false),
            Field::new(ROWS, DataType::Int32, false),
            Field::new(PAYLOAD, DataType::Binary, false),
            Field::new(CHECKSUM, DataType::Binary, false),
        ]))
    });
    SCHEMA.clone()
}

/// The table's schema, in the form that the log has.
pub(super) fn delta_schema() -> Value {
    let field =
        |name: &str, of: &str| json!({"name": name, "type": of, "nullable": false, "metadata": {}});
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
    ]})
}

/// The table's properties: they keep other writers from dropping history, and say nothing that a
/// reader of the first protocol version would have to know.
pub(super) fn properties() -> Value {
    json!({
        // Compaction moves rows without changing data, which an append-only table allows.
        "delta.appendOnly": "true",
        "delta.enableExpiredLogCleanup": "false",
        // There are no years in an interval.
        "delta.logRetentionDuration": "interval 36500 days",
        // Checkpoints remember no longer what was removed: the files go with the commits that name them.
        "delta.deletedFileRetentionDuration": "interval 1 minutes",
        "delta.checkpointInterval": CHECKPOINT_INTERVAL.to_string(),
        "delta.dataSkippingStatsColumns": "version,first_node,last_node",
    })
}

/// Versions from one checkpoint to the next.
pub(super) const CHECKPOINT_INTERVAL: u64 = 100;

/// What this program calls itself in the log; commits that carry it are held to its own rules.
pub(super) const ENGINE: &str = concat!("pondmount/", env!("CARGO_PKG_VERSION"));
/// How [`ENGINE`] begins in every version of this program.
pub(super) const ENGINE_PREFIX: &str = "pondmount/";
