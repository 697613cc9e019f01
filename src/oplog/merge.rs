//! Merges small data files of the oplog into large ones.
//!
//! `pond`'s housekeeping thread runs a [`Merge`] on files that no longer change, without the oplog,
//! and then commits it with [`Oplog::commit_merge`].
//!
//! Invariants: a row keeps its version, time, payload and checksum. A merge commit changes no data,
//! and its number is never a version of the pond. Replaced files stay until
//! [`cleanup`](super::cleanup) removes the commits that name them.
//!
//! Files are merged by size class, as in a log-structured merge tree: a byte is rewritten about
//! log(table) / log([`FANOUT`]) times.

use super::commit::{Outcome, PartFile, Transaction};
use super::digest;
use super::error::{OplogError, from_kernel};
use super::file::{Encoder, Paging};
use super::scan::active;
use super::source::{DataFile, Source};
use super::table::Table;
use super::{Oplog, actions};
use crate::tinyfs::{Time, Version, first_to_join};
use arrow::array::{Array, AsArray, RecordBatch};
use buoyant_kernel::engine::arrow_data::ArrowEngineData;
use buoyant_kernel::engine_data::FilteredEngineData;
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::SystemTime;

/// Neighbours of one size class that are worth a merge, and the ratio between two classes.
const FANOUT: u64 = 16;
/// Size in bytes from which a file is not merged any more: a merged file is encoded in memory.
const LARGE: u64 = 4 << 20;

/// Neighbouring data files to be merged into one.
pub struct Merge {
    table: Arc<Table>,
    files: Vec<DataFile>,
}

/// A merged file that no commit names yet.
pub struct Merged {
    file: PartFile,
    replaced: Vec<DataFile>,
}

impl Merge {
    /// Reads the files and writes the merged one.
    pub fn run(self) -> Result<Merged, OplogError> {
        let mut encoder = Encoder::new(Paging::Merged)?;
        for file in &self.files {
            let mut source = Source::open(&self.table, file.clone(), None)?;
            while source.version().is_some() {
                source.read(&mut |row| encoder.push(row))?;
            }
        }
        let part = self.files.first().map_or(0, |file| file.part);
        Ok(Merged {
            file: write_merged(&self.table, part, encoder)?,
            replaced: self.files,
        })
    }
}

/// Writes a data file that replaces others.
pub(super) fn write_merged(
    table: &Table,
    part: i32,
    encoder: Encoder,
) -> Result<PartFile, OplogError> {
    let (bytes, stats) = encoder.finish()?;
    let path = digest::path_of_merged(part, &bytes);
    let size = bytes.len() as u64;
    (table.create(&path, bytes)).map_err(|e| table.failed(format!("write {path}"), e))?;
    Ok(PartFile {
        part,
        path,
        size,
        modified: Time::from(SystemTime::now()).micros() / 1_000,
        stats,
    })
}

impl Oplog {
    /// Returns the next merge, if one is due.
    pub fn merge_due(&mut self) -> Result<Option<Merge>, OplogError> {
        if self.fenced.is_some() || self.attempt.is_some() || self.merging.is_some() {
            return Ok(None);
        }
        let mut parts: BTreeMap<i32, Vec<&DataFile>> = BTreeMap::new();
        for file in self.live_files()?.iter() {
            parts.entry(file.part).or_default().push(file);
        }
        for files in parts.values_mut() {
            files.sort_by_key(|file| file.versions);
            if let Some(files) = neighbours(files) {
                let table = self.table.clone();
                return Ok(Some(Merge { table, files }));
            }
        }
        Ok(None)
    }

    /// Commits a merge. Returns whether it did: not if a commit is under way. The table has the
    /// same rows before and after.
    pub fn commit_merge(&mut self, merged: Merged) -> Result<bool, OplogError> {
        if let Some(version) = self.fenced {
            return Err(OplogError::Conflict { version });
        }
        if self.attempt.is_some() || self.merging.is_some() {
            self.table.delete(&merged.file.path)?;
            return Ok(false);
        }
        let replaced = merged.replaced.into_iter().map(|file| file.path);
        self.replace(vec![merged.file], replaced.collect())?;
        Ok(true)
    }

    /// Commits the replacement of data files by others with the same rows.
    pub(super) fn replace(
        &mut self,
        files: Vec<PartFile>,
        replaced: HashSet<String>,
    ) -> Result<(), OplogError> {
        self.table.must_be_durable()?;
        let transaction = Transaction {
            version: Version(self.snapshot.version() + 1),
            operation: "OPTIMIZE",
            data_change: false,
            app: merge_app(&self.app),
            number: removes_number(replaced.len())?,
            adds: &files,
            removes: self.scan_rows(&replaced)?,
        };
        self.merging = files.first().map(|file| Moved::Rows(file.path.clone()));
        match self.transact(transaction)? {
            Outcome::Committed(snapshot) => {
                self.merging = None;
                self.snapshot = snapshot;
                self.since_checkpoint += 1;
                if let Some(live) = &mut self.live {
                    live.retain(|file| !replaced.contains(&file.path));
                    live.extend(files.iter().map(DataFile::of));
                }
                Ok(())
            }
            // The attempt may have succeeded all the same.
            Outcome::Taken => self.settle_merge(),
        }
    }

    /// Determines whether a merge, or a commit that adds a column, was committed if its outcome is
    /// unknown.
    pub(super) fn settle_merge(&mut self) -> Result<(), OplogError> {
        let Some(moved) = &self.merging else {
            return Ok(());
        };
        self.table.must_be_durable()?;
        self.table.sync_log()?;
        self.table.forget_listing();
        let snapshot = self.newer_snapshot()?;
        let base = self.snapshot.version();
        if snapshot.version() > base {
            let version = Version(base + 1);
            let actions = actions::read(&self.table, version)?
                .map_err(|why| OplogError::Damaged { version, why })?;
            let ours = match moved {
                Moved::Rows(path) => actions.adds.iter().any(|(add, _)| add == path),
                Moved::Column => actions.adds.is_empty() && actions.is_of(&merge_app(&self.app), 0),
            };
            if !ours {
                return Err(self.fence(version));
            }
            if snapshot.version() > version.0 {
                return Err(self.fence(Version(version.0 + 1)));
            }
            self.snapshot = snapshot;
            self.since_checkpoint += 1;
        }
        self.merging = None;
        self.live = None;
        Ok(())
    }

    /// Returns the data files of the newest version.
    pub(super) fn live_files(&mut self) -> Result<&mut Vec<DataFile>, OplogError> {
        let live = match self.live.take() {
            Some(live) => live,
            None => active(&self.table, &self.snapshot, None)?,
        };
        Ok(self.live.insert(live))
    }

    /// Returns the rows of the kernel's scan that are files in `paths`.
    fn scan_rows(&self, paths: &HashSet<String>) -> Result<Vec<FilteredEngineData>, OplogError> {
        let failed = |e| {
            self.table
                .failed("list the data files of a merge", from_kernel(e))
        };
        let scan = self.snapshot.clone().scan_builder().build();
        let scan = scan.map_err(failed)?;
        let mut rows = Vec::new();
        for found in scan.scan_metadata(self.table.engine()).map_err(failed)? {
            let (data, mut selection) = found.map_err(failed)?.scan_files.into_parts();
            let data = ArrowEngineData::try_from_engine_data(data).map_err(failed)?;
            let batch: &RecordBatch = data.record_batch();
            selection.resize(batch.num_rows(), true);
            let named = batch.column_by_name("path");
            let named = named.and_then(|column| column.as_string_opt::<i32>());
            for (row, selected) in selection.iter_mut().enumerate() {
                let path = named.filter(|named| !named.is_null(row));
                *selected &= path.is_some_and(|named| paths.contains(named.value(row)));
            }
            if selection.contains(&true) {
                rows.push(FilteredEngineData::try_new(data, selection).map_err(failed)?);
            }
        }
        Ok(rows)
    }
}

/// The effect of a commit that changes no data.
pub(super) enum Moved {
    /// Replaces data files by this one.
    Rows(String),
    /// Adds a column to the table's schema.
    Column,
}

/// Returns the application id of merges. Its transaction number is the number of replaced files, so
/// that a truncated commit is detected.
pub(super) fn merge_app(app: &str) -> String {
    format!("{}{app}", actions::MERGES)
}

fn removes_number(files: usize) -> Result<i64, OplogError> {
    i64::try_from(files).map_err(|_| OplogError::Range("the number of data files"))
}

/// Returns the last adjacent files, in the order of versions, that are enough of one size class.
fn neighbours(files: &[&DataFile]) -> Option<Vec<DataFile>> {
    let mut from = files.len();
    let mut next: Option<&DataFile> = None;
    for file in files.iter().rev() {
        // A later file must begin with a later version.
        let follows = next.is_none_or(|next| file.versions.1 < next.versions.0);
        if !follows || file.size >= LARGE {
            break;
        }
        next = Some(file);
        from -= 1;
    }
    let tail = files.get(from..)?;
    let sizes: Vec<u64> = tail.iter().map(|file| file.size).collect();
    let first = first_to_join(&sizes, FANOUT)?;
    Some(tail.get(first..)?.iter().map(|f| (*f).clone()).collect())
}
