//! Writes version 0, the commit that creates the table.
//!
//! The kernel would create it with a newer protocol that fewer programs can read; this table has
//! reader version 1 and writer version 2.
//!
//! Invariant: the table exists once this one file exists.

use super::Stamp;
use super::commit::{PartFile, write_parts};
use super::error::OplogError;
use super::payload::{micros, rows_of};
use super::schema::{ENGINE, PART, delta_schema, properties};
use super::table::{Table, commit_path};
use crate::tinyfs::{Changes, Version};
use bytes::Bytes;
use object_store::Error;
use serde_json::{Value, json};
use uuid::Uuid;

/// Creates the table of a pond, with the entries of `birth`.
pub(super) fn create(
    table: &Table,
    place: &str,
    pond: Uuid,
    stamp: Stamp,
    birth: &Changes,
) -> Result<(), OplogError> {
    let exists = || OplogError::Exists {
        place: place.into(),
    };
    if !table.list_log(Version(0))?.is_empty() {
        return Err(exists());
    }
    let parts = rows_of(birth, Version(0), stamp)?;
    let files = write_parts(table, 0, parts)?;
    let millis = micros(stamp.committed)?.div_euclid(1_000);
    let log = log(pond, millis, &files);
    match table.create(&commit_path(Version(0)), Bytes::from(log)) {
        Ok(()) => Ok(()),
        Err(Error::AlreadyExists { .. }) => Err(exists()),
        Err(e) => Err(table.failed("create the oplog", e)),
    }
}

fn log(pond: Uuid, millis: i64, files: &[PartFile]) -> String {
    let mut actions = vec![
        json!({"commitInfo": {
            "timestamp": millis,
            "operation": "CREATE TABLE",
            "operationParameters": {},
            "engineInfo": ENGINE,
        }}),
        json!({"protocol": {"minReaderVersion": 1, "minWriterVersion": 2}}),
        json!({"metaData": {
            "id": pond,
            "name": "pond",
            "description": "The operation log of a pondmount file system",
            "format": {"provider": "parquet", "options": {}},
            "schemaString": delta_schema().to_string(),
            "partitionColumns": [PART],
            "createdTime": millis,
            "configuration": properties(),
        }}),
    ];
    actions.extend(files.iter().map(add));
    let lines = actions.iter().map(|action| format!("{action}\n"));
    lines.collect()
}

/// Returns the action that adds a data file.
pub(super) fn add(file: &PartFile) -> Value {
    let stats = &file.stats;
    let range = |of: fn(&(i64, i64)) -> i64| {
        json!({
            "version": of(&stats.versions),
            "first_node": of(&stats.first_node),
            "last_node": of(&stats.last_node),
        })
    };
    let stats = json!({
        "numRecords": stats.rows,
        "minValues": range(|r| r.0),
        "maxValues": range(|r| r.1),
        "nullCount": {"version": 0, "first_node": 0, "last_node": 0},
    });
    json!({"add": {
        "path": file.path,
        "partitionValues": {PART: file.part.to_string()},
        "size": file.size,
        "modificationTime": file.modified,
        "dataChange": true,
        "stats": stats.to_string(),
    }})
}
