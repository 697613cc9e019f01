//! Reads the rows of one data file, one version at a time.
//!
//! Replay merges several sources by version.
//!
//! Invariants: versions come in ascending order. A small file is read once, of a large one only the
//! pages that are needed. Every row is of a version that the log states for the file.

use super::Stamp;
use super::actions::Actions;
use super::commit::PartFile;
use super::digest;
use super::error::{Cause, OplogError};
use super::file::rows_from;
use super::pages::{check_footer, check_pages};
use super::reader::FileReader;
use super::schema::{Row, VERSION, file_schema};
use super::table::Table;
use crate::observe::guarded;
use crate::tinyfs::Version;
use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::Int64Type;
use futures::TryStreamExt;
use object_store::ObjectStoreExt;
use object_store::path::Path;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions, RowSelection};
use parquet::arrow::async_reader::{
    AsyncFileReader, ParquetRecordBatchStream, ParquetRecordBatchStreamBuilder,
};
use parquet::errors::ParquetError;
use parquet::file::metadata::PageIndexPolicy;
use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;

/// Files of up to this size in bytes are read whole.
const SMALL: u64 = 8 << 20;
/// Rows per decoded batch: when single versions are selected, and when a file is read in order.
const BATCH: usize = 16;
const MANY: usize = 256;

/// An active data file, as the log describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct DataFile {
    /// Path relative to the table, percent-encoded as in the log.
    pub path: String,
    pub size: u64,
    pub part: i32,
    /// Lowest and highest version in it.
    pub versions: (u64, u64),
}

impl DataFile {
    /// Describes a file that was just written and committed.
    pub(super) fn of(file: &PartFile) -> DataFile {
        let (low, high) = file.stats.versions;
        DataFile {
            path: file.path.clone(),
            size: file.size,
            part: file.part,
            // The statistics were computed from `u64`.
            versions: (low.cast_unsigned(), high.cast_unsigned()),
        }
    }

    pub(super) fn damaged(&self, why: impl Into<String>) -> OplogError {
        OplogError::DamagedFile {
            path: self.path.clone(),
            why: why.into(),
        }
    }

    /// Runs the Parquet library on this file. Errors of the store are passed on; any other error or
    /// panic means that the file is damaged.
    fn parsed<T>(
        &self,
        table: &Table,
        parse: impl Future<Output = Result<T, ParquetError>>,
    ) -> Result<T, OplogError> {
        let what = || format!("read the data file {}", self.path);
        let run = || table.wait(what, async { Ok::<_, Cause>(parse.await) });
        let parsed =
            guarded(run).unwrap_or_else(|| Err(self.damaged("it cannot be parsed as Parquet")))?;
        parsed.map_err(|error| match error {
            ParquetError::External(cause) if cause.is::<object_store::Error>() => {
                table.failed(what(), cause)
            }
            error => self.damaged(format!("it cannot be read as Parquet: {error}")),
        })
    }
}

/// Converts a path from the log to a path of the store. Fails if it is not within the table.
pub(super) fn store_path(path: &str) -> Result<Path, OplogError> {
    let within = !path.contains(':') && !path.starts_with('/') && !path.is_empty();
    let damaged = |why: &str| OplogError::DamagedFile {
        path: path.into(),
        why: why.into(),
    };
    match Path::from_url_path(path) {
        Ok(at) if within => Ok(at),
        Ok(_) => Err(damaged("it is not within the table")),
        Err(e) => Err(damaged(&e.to_string())),
    }
}

/// An open data file, with the versions that are still to be read.
pub(super) struct Source<'a> {
    table: &'a Table,
    file: DataFile,
    reader: FileReader,
    metadata: ArrowReaderMetadata,
    /// The versions with their rows, or `None` if all rows are of one version.
    versions: VecDeque<(u64, Option<RowSelection>)>,
    /// Set if the rows are in the order of versions, so that they can be read in one stream.
    sequence: Option<Sequence>,
}

/// Rows that are read in one stream.
#[derive(Default)]
struct Sequence {
    stream: Option<Stream>,
    /// Rows that were decoded and not taken yet.
    ahead: VecDeque<Row>,
}

type Stream = ParquetRecordBatchStream<FileReader>;

impl<'a> Source<'a> {
    /// Opens a file to read its versions above `after`.
    pub(super) fn open(
        table: &'a Table,
        file: DataFile,
        after: Option<Version>,
    ) -> Result<Source<'a>, OplogError> {
        let at = store_path(&file.path)?;
        match table.size(&at)? {
            // A file without length may be a pipe, and block for ever.
            Some(0) => return Err(file.damaged("it is empty")),
            Some(size) if size == file.size => {}
            Some(size) => {
                let why = format!("it has {size} bytes, not {}", file.size);
                return Err(file.damaged(why));
            }
            None => return Err(file.damaged("it is missing")),
        }
        let whole = match file.size {
            0..=SMALL => {
                let get = async { table.store().get(&at).await?.bytes().await };
                let whole = table.wait(|| format!("read {}", file.path), get)?;
                if !digest::fits(&file.path, &whole) {
                    return Err(file.damaged("its bytes are not those that were written"));
                }
                Some(whole)
            }
            _ if !digest::fits_stored(table, &file.path, &at, file.size)? => {
                return Err(file.damaged("its bytes are not those that were written"));
            }
            _ => None,
        };
        let reader = FileReader::new(table, at, file.size, whole);
        let load = |pages: PageIndexPolicy| {
            let mut reader = reader.clone();
            // The Arrow schema that another writer embedded is ignored.
            let options = ArrowReaderOptions::new()
                .with_skip_arrow_metadata(true)
                .with_page_index_policy(pages);
            file.parsed(table, ArrowReaderMetadata::load_async(&mut reader, options))
        };
        let mut bytes = reader.clone();
        let mut fetch = |range| file.parsed(table, bytes.get_bytes(range));
        check_footer(file.size, &mut fetch)?.map_err(|why| file.damaged(why))?;
        let mut metadata = load(PageIndexPolicy::Skip)?;
        check_pages(metadata.metadata(), file.size, &mut fetch)?
            .map_err(|why| file.damaged(why))?;
        if file.versions.0 != file.versions.1 {
            // The page index is needed only to select pages.
            metadata = load(PageIndexPolicy::Optional)?;
        }
        let versions = VecDeque::new();
        let mut source = Source {
            table,
            file,
            reader,
            metadata,
            versions,
            sequence: None,
        };
        source.versions = match source.file.versions {
            (low, high) if low == high => VecDeque::from([(low, None)]),
            _ => source.index()?,
        };
        source
            .versions
            .retain(|(v, _)| after.is_none_or(|after| *v > after.0));
        source.sequence = source.in_sequence();
        Ok(source)
    }

    /// Returns the next version to read.
    pub(super) fn version(&self) -> Option<u64> {
        self.versions.front().map(|(version, _)| *version)
    }

    /// Returns the description of the file.
    pub(super) fn file(&self) -> &DataFile {
        &self.file
    }

    /// Passes the rows of the next version to `take`.
    pub(super) fn read(
        &mut self,
        take: &mut dyn FnMut(Row) -> Result<(), OplogError>,
    ) -> Result<(), OplogError> {
        let Some((version, selection)) = self.versions.pop_front() else {
            return Ok(());
        };
        if let Some(mut sequence) = self.sequence.take() {
            self.read_on(&mut sequence, version, selection, take)?;
            self.sequence = Some(sequence);
            return Ok(());
        }
        self.scan(None, selection, BATCH, &mut |batch| {
            for row in rows_from(&batch).map_err(|why| self.file.damaged(why))? {
                let row = row.map_err(|why| self.file.damaged(why))?;
                if row.version != version {
                    let why = format!("it has a row of version {}", row.version);
                    return Err(self.file.damaged(why));
                }
                take(row)?;
            }
            Ok(())
        })
    }

    /// Passes the rows of a version from the stream to `take`, up to the first row of a later one.
    fn read_on(
        &self,
        sequence: &mut Sequence,
        version: u64,
        selection: Option<RowSelection>,
        take: &mut dyn FnMut(Row) -> Result<(), OplogError>,
    ) -> Result<(), OplogError> {
        if sequence.stream.is_none() {
            // Skip the rows of versions that are not read.
            let skipped = selection.map_or(0, |rows| match rows.iter().next() {
                Some(first) if first.skip => first.row_count,
                _ => 0,
            });
            sequence.stream = Some(self.stream(None, None, MANY, Some(skipped))?);
        }
        loop {
            while let Some(row) = sequence.ahead.front() {
                if row.version > version {
                    return Ok(());
                }
                if row.version < version {
                    return Err(self.file.damaged("its versions are out of order"));
                }
                if let Some(row) = sequence.ahead.pop_front() {
                    take(row)?;
                }
            }
            let Some(stream) = &mut sequence.stream else {
                return Ok(());
            };
            let Some(batch) = self.file.parsed(self.table, stream.try_next())? else {
                return Ok(());
            };
            for row in rows_from(&batch).map_err(|why| self.file.damaged(why))? {
                sequence
                    .ahead
                    .push_back(row.map_err(|why| self.file.damaged(why))?);
            }
        }
    }

    /// Returns a stream's state if the rows of each remaining version are adjacent, and in the
    /// order of versions.
    fn in_sequence(&self) -> Option<Sequence> {
        let mut end = 0;
        for (_, rows) in &self.versions {
            let rows = rows.as_ref()?;
            let mut runs = rows.iter().filter(|run| run.row_count > 0);
            let (before, count) = match runs.next()? {
                first if first.skip => (first.row_count, runs.next()?.row_count),
                first => (0, first.row_count),
            };
            let more = runs.any(|run| !run.skip);
            if more || before < end {
                return None;
            }
            end = before + count;
        }
        Some(Sequence::default())
    }

    /// Scans the version column and returns the rows of each version.
    fn index(&self) -> Result<VecDeque<(u64, Option<RowSelection>)>, OplogError> {
        let mut found: BTreeMap<u64, Vec<Range<usize>>> = BTreeMap::new();
        let (low, high) = self.file.versions;
        let mut at = 0;
        self.scan(Some(VERSION), None, 8192, &mut |batch| {
            let column = batch.column_by_name(VERSION);
            let versions = column.and_then(|c| c.as_primitive_opt::<Int64Type>());
            let Some(versions) = versions.filter(|c| c.null_count() == 0) else {
                return Err(self.file.damaged("its versions cannot be read"));
            };
            for version in versions.values() {
                let version = u64::try_from(*version).ok();
                let version = version
                    .filter(|v| (low..=high).contains(v))
                    .ok_or_else(|| {
                        self.file
                            .damaged("it has rows of other versions than the log says")
                    })?;
                let ranges = found.entry(version).or_default();
                match ranges.last_mut() {
                    Some(range) if range.end == at => range.end += 1,
                    _ => ranges.push(at..at + 1),
                }
                at += 1;
            }
            Ok(())
        })?;
        let select = |ranges: Vec<Range<usize>>| {
            Some(RowSelection::from_consecutive_ranges(
                ranges.into_iter(),
                at,
            ))
        };
        Ok(found
            .into_iter()
            .map(|(v, ranges)| (v, select(ranges)))
            .collect())
    }

    fn scan(
        &self,
        only: Option<&str>,
        selection: Option<RowSelection>,
        batch: usize,
        take: &mut dyn FnMut(RecordBatch) -> Result<(), OplogError>,
    ) -> Result<(), OplogError> {
        let mut stream = self.stream(only, selection, batch, None)?;
        loop {
            match self.file.parsed(self.table, stream.try_next())? {
                Some(batch) => take(batch)?,
                None => return Ok(()),
            }
        }
    }

    fn stream(
        &self,
        only: Option<&str>,
        selection: Option<RowSelection>,
        batch: usize,
        skipped: Option<usize>,
    ) -> Result<Stream, OplogError> {
        let (reader, metadata) = (self.reader.clone(), self.metadata.clone());
        let builder = ParquetRecordBatchStreamBuilder::new_with_metadata(reader, metadata);
        let schema = file_schema();
        let names = schema.fields().iter().map(|f| f.name().as_str());
        let names = names.filter(|name| only.is_none_or(|only| only == *name));
        let mask = ProjectionMask::columns(builder.parquet_schema(), names);
        let builder = builder.with_projection(mask).with_batch_size(batch);
        let builder = match selection {
            Some(selection) => builder.with_row_selection(selection),
            None => builder,
        };
        let builder = match skipped {
            Some(skipped) if skipped > 0 => builder.with_offset(skipped),
            _ => builder,
        };
        self.file.parsed(self.table, async { builder.build() })
    }
}

/// Returns the commit time of a version, from the rows that it added.
pub(super) fn committed(
    table: &Table,
    version: Version,
    actions: &Actions,
) -> Result<Stamp, OplogError> {
    let damaged = |why: &str| OplogError::Damaged {
        version,
        why: why.into(),
    };
    let (path, size) = (actions.adds.first()).ok_or_else(|| damaged("it adds nothing"))?;
    let (path, size, one) = (path.clone(), *size, (version.0, version.0));
    // The partition is not used here.
    let file = DataFile {
        path,
        size,
        part: 0,
        versions: one,
    };
    let mut committed = None;
    Source::open(table, file, None)?.read(&mut |row| {
        committed = Some(row.stamp());
        Ok(())
    })?;
    committed.ok_or_else(|| damaged("it adds nothing"))
}
