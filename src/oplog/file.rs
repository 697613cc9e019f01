//! Encodes rows as Parquet files, and decodes batches to rows.
//!
//! Commits, merges and rewrites use [`Encoder`]; [`source`](super::source) decodes.
//!
//! Invariants: a decoded row has the table's schema and is within its limits. Memory is bounded by
//! the rows of a page or a row group, not by the file.

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

/// How rows are grouped into pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Paging {
    /// File of one commit: small pages, since reading a row decodes its page.
    Commit,
    /// Merged file: large pages, since zstd stores what many rows share once for each page.
    Merged,
}

impl Paging {
    /// Returns the greatest number of rows of a page.
    fn rows(self) -> usize {
        match self {
            Paging::Commit => 16,
            Paging::Merged => 1024,
        }
    }

    /// Returns the bytes of payloads after which a page ends.
    fn bytes(self) -> usize {
        match self {
            Paging::Commit => usize::MAX,
            Paging::Merged => 256 << 10,
        }
    }

    fn level(self) -> i32 {
        match self {
            Paging::Commit => 1,
            // Paid once for many commits, in the background.
            Paging::Merged => 6,
        }
    }
}

/// Approximate greatest size of a row group in bytes, before compression.
const GROUP_BYTES: usize = 64 << 20;

/// Statistics of a data file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stats {
    /// Number of rows.
    pub rows: i64,
    /// Lowest and highest version.
    pub versions: (i64, i64),
    /// Lowest and highest `first_node`.
    pub first_node: (i64, i64),
    /// Lowest and highest `last_node`.
    pub last_node: (i64, i64),
}

/// Encodes `rows` as one Parquet file.
pub(super) fn encode(rows: Vec<Row>) -> Result<(Bytes, Stats), OplogError> {
    let mut encoder = Encoder::new(Paging::Commit)?;
    for row in rows {
        encoder.push(row)?;
    }
    encoder.finish()
}

/// A Parquet file that is being encoded.
pub(super) struct Encoder {
    paging: Paging,
    writer: ArrowWriter<Vec<u8>>,
    /// Rows of the next page.
    rows: Vec<Row>,
    /// Bytes of their payloads.
    weight: usize,
    stats: Option<Stats>,
}

impl Encoder {
    pub(super) fn new(paging: Paging) -> Result<Encoder, OplogError> {
        let writer = properties(paging)
            .and_then(|properties| {
                ArrowWriter::try_new(Vec::new(), file_schema(), Some(properties))
            })
            .map_err(failed)?;
        Ok(Encoder {
            paging,
            writer,
            rows: Vec::new(),
            weight: 0,
            stats: None,
        })
    }

    /// Appends a row.
    pub(super) fn push(&mut self, row: Row) -> Result<(), OplogError> {
        let more = Stats::of(&row)?;
        self.stats = Some(self.stats.map_or(more, |stats| stats.with(more)));
        self.weight += row.payload.len();
        self.rows.push(row);
        if self.rows.len() >= self.paging.rows() || self.weight >= self.paging.bytes() {
            self.write_page()?;
        }
        Ok(())
    }

    /// Returns the approximate size of the file so far, in bytes.
    pub(super) fn size(&self) -> usize {
        self.writer.bytes_written() + self.writer.in_progress_size()
    }

    /// Returns the bytes of the file and its statistics. Fails without any row.
    pub(super) fn finish(mut self) -> Result<(Bytes, Stats), OplogError> {
        self.write_page()?;
        let stats = self.stats.ok_or(OplogError::Empty)?;
        let bytes = self.writer.into_inner().map_err(failed)?;
        Ok((Bytes::from(bytes), stats))
    }

    fn write_page(&mut self) -> Result<(), OplogError> {
        let rows = std::mem::take(&mut self.rows);
        self.weight = 0;
        if rows.is_empty() {
            return Ok(());
        }
        let batch = batch_of(&rows)?;
        let mut write = || {
            self.writer.write(&batch)?;
            match self.writer.in_progress_size() > GROUP_BYTES {
                true => self.writer.flush(),
                false => Ok(()),
            }
        };
        write().map_err(failed)
    }
}

impl Stats {
    fn of(row: &Row) -> Result<Stats, OplogError> {
        let both = |n: u64| {
            let n = i64::try_from(n).map_err(|_| OplogError::Range("a node id"))?;
            Ok::<_, OplogError>((n, n))
        };
        Ok(Stats {
            rows: 1,
            versions: both(row.version)?,
            first_node: both(row.first_node)?,
            last_node: both(row.last_node)?,
        })
    }

    fn with(self, more: Stats) -> Stats {
        let join = |a: (i64, i64), b: (i64, i64)| (a.0.min(b.0), a.1.max(b.1));
        Stats {
            rows: self.rows + more.rows,
            versions: join(self.versions, more.versions),
            first_node: join(self.first_node, more.first_node),
            last_node: join(self.last_node, more.last_node),
        }
    }
}

fn failed(error: ParquetError) -> OplogError {
    OplogError::storage("encode a data file", error)
}

fn batch_of(rows: &[Row]) -> Result<RecordBatch, OplogError> {
    // `Stats` checked that all values fit.
    let longs = |of: fn(&Row) -> u64| -> ArrayRef {
        Arc::new(Int64Array::from_iter_values(
            rows.iter().map(|r| of(r).cast_signed()),
        ))
    };
    let counts = rows.iter().map(|r| i32::try_from(r.rows));
    let counts = counts.collect::<Result<Vec<_>, _>>();
    let counts = counts.map_err(|_| OplogError::Range("the number of records in a row"))?;
    let committed = rows.iter().map(|r| r.committed);
    let committed = TimestampMicrosecondArray::from_iter_values(committed).with_timezone("UTC");
    let clock = rows.iter().map(|r| r.clock);
    let clock = TimestampMicrosecondArray::from_iter(clock).with_timezone("UTC");
    let columns: Vec<ArrayRef> = vec![
        longs(|r| r.version),
        Arc::new(committed),
        Arc::new(StringArray::from_iter_values(
            rows.iter().map(|r| &r.record),
        )),
        longs(|r| r.first_node),
        longs(|r| r.last_node),
        Arc::new(Int32Array::from(counts)),
        Arc::new(BinaryArray::from_iter_values(
            rows.iter().map(|r| &r.payload),
        )),
        Arc::new(BinaryArray::from_iter_values(
            rows.iter().map(|r| r.checksum),
        )),
        Arc::new(clock),
    ];
    RecordBatch::try_new(file_schema(), columns).map_err(|e| failed(e.into()))
}

fn properties(paging: Paging) -> Result<WriterProperties, ParquetError> {
    let path = |name: &str| ColumnPath::new(vec![name.into()]);
    // Payloads and checksums do not repeat, and no reader uses their minimum or maximum.
    let plain = [schema::PAYLOAD, schema::CHECKSUM];
    let base = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(paging.level())?))
        .set_created_by(schema::ENGINE.into())
        .set_write_batch_size(paging.rows())
        .set_data_page_row_count_limit(paging.rows())
        .set_data_page_size_limit(paging.bytes().min(1 << 20));
    let base = plain.iter().fold(base, |b, name| {
        b.set_column_dictionary_enabled(path(name), false)
            .set_column_statistics_enabled(path(name), EnabledStatistics::None)
    });
    Ok(base.build())
}

/// Decodes the rows of a batch, one at a time. Each owns a copy of its payload.
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
            a if a.null_count() > 0 && !field.is_nullable() => {
                Err(format!("column {name} lacks values"))
            }
            a => Ok(a.clone()),
        }
    };
    let (version, committed) = (column(schema::VERSION)?, column(schema::COMMITTED)?);
    let (record, counts) = (column(schema::RECORD)?, column(schema::ROWS)?);
    let (first, last) = (column(schema::FIRST_NODE)?, column(schema::LAST_NODE)?);
    let (payload, checksum) = (column(schema::PAYLOAD)?, column(schema::CHECKSUM)?);
    let clock = match batch.column_by_name(schema::CLOCK) {
        Some(_) => Some(column(schema::CLOCK)?),
        None => None,
    };
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
        let clock = clock.as_ref().filter(|clock| !clock.is_null(i));
        let clock = clock.map(|clock| clock.as_primitive::<TimestampMicrosecondType>().value(i));
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
            clock,
        })
    };
    Ok((0..batch.num_rows()).map(row))
}
