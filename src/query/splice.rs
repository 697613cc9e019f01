//! Writes the sections of a series as a file, and copies sections that were written before.
//!
//! `derive` passes the previous file of the series as [`Before`]. Of Parquet, each section that has
//! rows becomes one or more row groups. Other formats are always written as a whole.
//!
//! The bytes are the same whatever was there before: a new section is written as a Parquet file of
//! its own first, and copied from there as others are copied from the previous file.

use super::blob::{Blob, Hash, Memory};
use super::format::Format;
use super::reduce::Sections;
use super::source::Chunks;
use super::{QueryError, output};
use bytes::buf::Reader;
use bytes::{Buf, Bytes};
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::parquet::arrow::{
    ArrowSchemaConverter, ArrowWriter, add_encoded_arrow_schema_to_metadata,
};
use datafusion::parquet::column::writer::ColumnCloseResult;
use datafusion::parquet::errors::{ParquetError, Result as ParquetResult};
use datafusion::parquet::file::metadata::{
    ParquetMetaData, ParquetMetaDataReader, RowGroupMetaData,
};
use datafusion::parquet::file::properties::{EnabledStatistics, WriterProperties};
use datafusion::parquet::file::reader::{ChunkReader, Length};
use datafusion::parquet::file::writer::SerializedFileWriter;
use rustc_hash::FxHashMap;
use std::io::Write;
use std::ops::Range;
use std::sync::Arc;

/// A file that was written before, and its sections.
pub struct Before {
    /// The file, as [`write_sections`] wrote it.
    pub file: Arc<dyn Blob>,
    /// The keys of its sections in their order, each with its number of row groups.
    pub sections: Vec<(Hash, usize)>,
}

/// The result of [`write_sections`].
pub struct Spliced {
    /// Number of rows.
    pub rows: u64,
    /// Keys and numbers of row groups for the next [`Before`]; empty unless the format is Parquet.
    pub sections: Vec<(Hash, usize)>,
}

/// A Parquet file whose row groups are copied.
struct Written {
    file: Arc<dyn Blob>,
    footer: ParquetMetaData,
}

impl Written {
    fn open(file: Arc<dyn Blob>) -> Result<Written, QueryError> {
        let footer = ParquetMetaDataReader::new().parse_and_finish(&Chunks(file.clone()))?;
        Ok(Written { file, footer })
    }

    /// Reads the bytes of a row group.
    fn bytes(&self, group: &RowGroupMetaData) -> Result<GroupBytes, QueryError> {
        let ranges = || group.columns().iter().map(|column| column.byte_range());
        let start = ranges().map(|(start, _)| start).min().unwrap_or(0);
        let end = ranges().map(|(start, len)| start.saturating_add(len)).max();
        let bytes = self.file.read(start..end.unwrap_or(start));
        let bytes = bytes.map_err(|error| ParquetError::External(Box::new(error)))?;
        Ok(GroupBytes { start, bytes })
    }
}

/// Bytes of a file from offset `start`.
struct GroupBytes {
    start: u64,
    bytes: Bytes,
}

impl Length for GroupBytes {
    fn len(&self) -> u64 {
        self.start + self.bytes.len() as u64
    }
}

impl ChunkReader for GroupBytes {
    type T = Reader<Bytes>;

    fn get_read(&self, start: u64) -> ParquetResult<Reader<Bytes>> {
        let left = usize::try_from(self.len().saturating_sub(start)).unwrap_or(usize::MAX);
        Ok(self.get_bytes(start, left)?.reader())
    }

    fn get_bytes(&self, start: u64, length: usize) -> ParquetResult<Bytes> {
        let beyond = || ParquetError::EOF("behind the bytes of a row group".into());
        let from = start.checked_sub(self.start).ok_or_else(beyond)?;
        let from = usize::try_from(from).map_err(|_| beyond())?;
        let to = from
            .checked_add(length)
            .filter(|to| *to <= self.bytes.len());
        Ok(self.bytes.slice(from..to.ok_or_else(beyond)?))
    }
}

/// Writes all sections in a format. Copies what `before` has of them.
pub fn write_sections(
    sections: Sections,
    format: Format,
    before: Option<Before>,
    to: impl Write + Send,
) -> Result<Spliced, QueryError> {
    if format == Format::Parquet {
        return parquet(sections, before, to);
    }
    let schema = sections.schema().clone();
    Ok(Spliced {
        rows: output::write(&schema, sections.into_rows(), format, to)?,
        sections: Vec::new(),
    })
}

fn parquet(
    mut sections: Sections,
    before: Option<Before>,
    to: impl Write + Send,
) -> Result<Spliced, QueryError> {
    let schema = sections.schema().clone();
    // For small row groups an index of pages says no more than the statistics of the group, and a
    // dictionary of numbers takes more space than it saves.
    let mut properties = output::properties()
        .set_dictionary_enabled(false)
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_offset_index_disabled(true)
        .build();
    let columns = ArrowSchemaConverter::new().convert(&schema)?;
    let alone = properties.clone();
    add_encoded_arrow_schema_to_metadata(&schema, &mut properties);
    let mut to = SerializedFileWriter::new(to, columns.root_schema_ptr(), Arc::new(properties))?;
    let (mut there, mut at) = (FxHashMap::default(), 0);
    for (key, groups) in before.iter().flat_map(|before| &before.sections) {
        there.insert(*key, at..at + groups);
        at += groups;
    }
    let before = before
        .map(|before| Written::open(before.file))
        .transpose()?;
    let mut spliced = Spliced {
        rows: 0,
        sections: Vec::new(),
    };
    for (n, key) in sections.keys().into_iter().enumerate() {
        let groups = match (&before, there.get(&key)) {
            (Some(before), Some(groups)) => copy(before, groups.clone(), &mut to)?,
            _ => match sections.rows(n)? {
                Some(rows) => {
                    let written = write(&schema, &rows, alone.clone())?;
                    copy(&written, 0..written.footer.num_row_groups(), &mut to)?
                }
                None => Copied::default(),
            },
        };
        spliced.rows += groups.rows;
        spliced.sections.push((key, groups.count));
    }
    to.close()?;
    Ok(spliced)
}

/// Writes rows as a Parquet file in memory.
fn write(
    schema: &SchemaRef,
    rows: &RecordBatch,
    properties: WriterProperties,
) -> Result<Written, QueryError> {
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, schema.clone(), Some(properties))?;
    writer.write(rows)?;
    writer.close()?;
    Written::open(Arc::new(Memory(bytes.into())))
}

/// Numbers of copied row groups and rows.
#[derive(Default)]
struct Copied {
    count: usize,
    rows: u64,
}

fn copy<W: Write + Send>(
    from: &Written,
    groups: Range<usize>,
    to: &mut SerializedFileWriter<W>,
) -> Result<Copied, QueryError> {
    let mut copied = Copied::default();
    for group in from.footer.row_groups().get(groups).unwrap_or_default() {
        let rows = u64::try_from(group.num_rows()).unwrap_or_default();
        let bytes = from.bytes(group)?;
        let mut writer = to.next_row_group()?;
        for column in group.columns() {
            let written = ColumnCloseResult {
                bytes_written: u64::try_from(column.compressed_size()).unwrap_or_default(),
                rows_written: rows,
                metadata: column.clone(),
                bloom_filter: None,
                column_index: None,
                offset_index: None,
            };
            writer.append_column(&bytes, written)?;
        }
        writer.close()?;
        copied.count += 1;
        copied.rows += rows;
    }
    Ok(copied)
}
