//! The Parquet files of the table: rows written into one, and rows read from one.
//!
//! Role: the outer layer of the table. In: rows of one partition, or a file in the store. Out: the
//! bytes of a file and its statistics, or rows in the order they stand. Holds always: what is read
//! is of the table's schema and within its limits; memory is bounded by a few rows, not by files.

use super::error::OplogError;
use super::payload::MAX_PAYLOAD;
use super::schema::{self, Row, file_schema};
use arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, Int32Array, Int64Array, RecordBatch, StringArray,
    TimestampMicrosecondArray,
};
use arrow::datatypes::{Int32Type, Int64Type, TimestampMicrosecondType};
use bytes::Bytes;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;
use std::sync::Arc;

/// Rows that one page holds at most: reading one row costs decoding its page.
pub(super) const PAGE_ROWS: usize = 16;
/// About the most bytes of a row group before compression.
const GROUP_BYTES: usize = 64 << 20;

/// What statistics tell of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stats {
    /// The number of rows.
    pub rows: i64,
    /// The lowest and the highest version.
    pub versions: (i64, i64),
    /// The lowest and the highest `first_node`.
    pub first_node: (i64, i64),
    /// The lowest and the highest `last_node`.
    pub last_node: (i64, i64),
}

/// A Parquet file that holds `rows`, and what it holds.
pub(super) fn encode(rows: &[Row]) -> Result<(Bytes, Stats), OplogError> {
    let long = |n: u64| i64::try_from(n).map_err(|_| OplogError::Range("a node id"));
    let column = |of: fn(&Row) -> u64| {
        rows.iter()
            .map(|r| long(of(r)))
            .collect::<Result<Vec<_>, _>>()
    };
    let versions = column(|r| r.version)?;
    let (first, last) = (column(|r| r.first_node)?, column(|r| r.last_node)?);
    let range = |of: &[i64]| {
        let (low, high) = (of.iter().min(), of.iter().max());
        low.copied().zip(high.copied()).ok_or(OplogError::Empty)
    };
    let stats = Stats {
        rows: long(rows.len() as u64)?,
        versions: range(&versions)?,
        first_node: range(&first)?,
        last_node: range(&last)?,
    };
    let counts = rows.iter().map(|r| i32::try_from(r.rows));
    let counts = counts.collect::<Result<Vec<_>, _>>();
    let counts = counts.map_err(|_| OplogError::Range("the number of records in a row"))?;
    let bytes = write(rows, versions, first, last, counts)
        .map_err(|e| OplogError::storage("encode a data file", e, None))?;
    Ok((bytes, stats))
}

fn write(
    rows: &[Row],
    versions: Vec<i64>,
    first: Vec<i64>,
    last: Vec<i64>,
    counts: Vec<i32>,
) -> Result<Bytes, ParquetError> {
    let committed = rows.iter().map(|r| r.committed);
    let committed = TimestampMicrosecondArray::from_iter_values(committed).with_timezone("UTC");
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Int64Array::from(versions)),
        Arc::new(committed),
        Arc::new(StringArray::from_iter_values(
            rows.iter().map(|r| &r.record),
        )),
        Arc::new(Int64Array::from(first)),
        Arc::new(Int64Array::from(last)),
        Arc::new(Int32Array::from(counts)),
        Arc::new(BinaryArray::from_iter_values(
            rows.iter().map(|r| &r.payload),
        )),
        Arc::new(BinaryArray::from_iter_values(
            rows.iter().map(|r| r.checksum),
        )),
    ];
    let batch = RecordBatch::try_new(file_schema(), columns)?;
    let mut writer = ArrowWriter::try_new(Vec::new(), file_schema(), Some(properties()?))?;
    let mut at = 0;
    for rows in rows.chunks(PAGE_ROWS) {
        writer.write(&batch.slice(at, rows.len()))?;
        at += rows.len();
        if writer.in_progress_size() > GROUP_BYTES {
            writer.flush()?;
        }
    }
    Ok(Bytes::from(writer.into_inner()?))
}

fn properties() -> Result<WriterProperties, ParquetError> {
    let path = |name: &str| ColumnPath::new(vec![name.into()]);
    // A payload or a hash is never the same twice, and nobody asks for the lowest one.
    let plain = [schema::PAYLOAD, schema::CHECKSUM];
    let base = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(1)?))
        .set_created_by(schema::ENGINE.into())
        .set_write_batch_size(PAGE_ROWS)
        .set_data_page_row_count_limit(PAGE_ROWS);
    let base = plain.iter().fold(base, |b, name| {
        b.set_column_dictionary_enabled(path(name), false)
            .set_column_statistics_enabled(path(name), EnabledStatistics::None)
    });
    Ok(base.build())
}

/// The rows of a batch that was read from a data file, one at a time: each has a copy of its payload.
pub(super) fn rows_from(
    batch: &RecordBatch,
) -> Result<impl Iterator<Item = Result<Row, String>>, String> {
    let column = |name: &str| {
        let known = file_schema();
        let field = known.field_with_name(name).map_err(|e| e.to_string())?;
        let array = (batch.column_by_name(name)).ok_or(format!("column {name} is missing"))?;
        match array {
            a if a.data_type() != field.data_type() => {
                Err(format!("column {name} is of type {}", a.data_type()))
            }
            a if a.null_count() > 0 => Err(format!("column {name} lacks values")),
            a => Ok(a.clone()),
        }
    };
    let (version, committed) = (column(schema::VERSION)?, column(schema::COMMITTED)?);
    let (record, counts) = (column(schema::RECORD)?, column(schema::ROWS)?);
    let (first, last) = (column(schema::FIRST_NODE)?, column(schema::LAST_NODE)?);
    let (payload, checksum) = (column(schema::PAYLOAD)?, column(schema::CHECKSUM)?);
    let id = |n: i64| u64::try_from(n).map_err(|_| "a number is below 0".to_string());
    let row = move |i: usize| {
        let version = version.as_primitive::<Int64Type>();
        let committed = committed.as_primitive::<TimestampMicrosecondType>();
        let record = record.as_string::<i32>();
        let counts = counts.as_primitive::<Int32Type>();
        let (first, last) = (
            first.as_primitive::<Int64Type>(),
            last.as_primitive::<Int64Type>(),
        );
        let (payload, checksum) = (payload.as_binary::<i32>(), checksum.as_binary::<i32>());
        if payload.value(i).len() > MAX_PAYLOAD {
            return Err("a payload is too long".into());
        }
        Ok(Row {
            version: id(version.value(i))?,
            committed: committed.value(i),
            record: record.value(i).into(),
            first_node: id(first.value(i))?,
            last_node: id(last.value(i))?,
            rows: u32::try_from(counts.value(i)).map_err(|_| "a number is below 0")?,
            payload: Bytes::copy_from_slice(payload.value(i)),
            checksum: (checksum.value(i).try_into()).map_err(|_| "a checksum has not 32 bytes")?,
        })
    };
    Ok((0..batch.num_rows()).map(row))
}
