//! Commits one set of changes as one version, exactly once.
//!
//! Role: write the data files of a commit, then the commit itself, through the kernel's
//! transaction. In: a generation, a time and changes. Out: the version. Invariant: a generation is
//! committed at most once, despite any error in between; data files are durable before the commit
//! that names them; a writer that was overtaken by another commits nothing more.

use super::error::{OplogError, from_kernel};
use super::file::{Stats, encode};
use super::payload::{Parts, rows_of};
use super::schema::{ENGINE, PART};
use super::source::DataFile;
use super::table::Table;
use super::{Commit, Oplog, Stamp, actions, digest, source};
use crate::tinyfs::{Changes, Time, Version};
use arrow::array::builder::{MapBuilder, MapFieldNames, StringBuilder};
use arrow::array::{ArrayRef, BooleanArray, Int64Array, RecordBatch, StringArray, StructArray};
use arrow::datatypes::{DataType, Field};
use arrow::error::ArrowError;
use buoyant_kernel::Snapshot;
use buoyant_kernel::committer::FileSystemCommitter;
use buoyant_kernel::engine::arrow_data::ArrowEngineData;
use buoyant_kernel::engine_data::FilteredEngineData;
use buoyant_kernel::snapshot::SnapshotRef;
use buoyant_kernel::transaction::CommitResult;
use std::sync::Arc;
use std::time::SystemTime;

/// A written data file of one partition.
pub(super) struct PartFile {
    pub part: i32,
    pub path: String,
    pub size: u64,
    pub modified: i64,
    pub stats: Stats,
}

/// A generation whose commit was attempted and whose outcome is unknown.
pub(super) struct Attempt {
    generation: u64,
    /// Paths of the data files of every attempt; no other commit can name them.
    paths: Vec<String>,
}

/// The content of a commit in the log.
pub(super) struct Transaction<'a> {
    pub version: Version,
    pub operation: &'static str,
    pub data_change: bool,
    /// The application id of the transaction, and its number.
    pub app: String,
    pub number: i64,
    pub adds: &'a [PartFile],
    pub removes: Vec<FilteredEngineData>,
}

/// Writes the data files of a commit.
pub(super) fn write_parts(
    table: &Table,
    generation: u64,
    parts: Parts,
) -> Result<Vec<PartFile>, OplogError> {
    let mut files = Vec::with_capacity(parts.len());
    for (part, rows) in parts {
        let written = encode(rows).and_then(|(bytes, stats)| {
            let path = digest::path_of(part, generation, &bytes);
            let size = bytes.len() as u64;
            (table.create(&path, bytes)).map_err(|e| table.failed(format!("write {path}"), e))?;
            let modified = Time::from(SystemTime::now()).micros() / 1_000;
            Ok(PartFile {
                part,
                path,
                size,
                modified,
                stats,
            })
        });
        match written {
            Ok(file) => files.push(file),
            Err(e) => {
                discard(table, &files);
                return Err(e);
            }
        }
    }
    Ok(files)
}

/// Removes data files that no commit names, as far as possible.
fn discard(table: &Table, files: &[PartFile]) {
    for file in files {
        if let Err(error) = table.delete(&file.path) {
            tracing::warn!(%error, "a data file that no commit names stays behind");
        }
    }
}

impl Oplog {
    pub(super) fn commit_changes(
        &mut self,
        generation: u64,
        stamp: Stamp,
        changes: &Changes,
    ) -> Result<Commit, OplogError> {
        if let Some(version) = self.fenced {
            return Err(OplogError::Conflict { version });
        }
        self.settle_merge()?;
        if generation <= self.generation {
            return self.find(generation);
        }
        let number = i64::try_from(generation).map_err(|_| OplogError::Range("a generation"))?;
        let mut paths = Vec::new();
        if let Some(attempt) = self.attempt.take() {
            if attempt.generation == generation {
                paths.clone_from(&attempt.paths);
            }
            if let Some(found) = self.settle(attempt)?
                && self.generation == generation
            {
                return Ok(found);
            }
        }
        if changes.is_empty() {
            return Err(OplogError::Empty);
        }
        self.table.must_be_durable()?;
        self.add_missing_column()?;
        let version = Version(self.snapshot.version() + 1);
        let parts = rows_of(changes, version, stamp)?;
        let files = write_parts(&self.table, generation, parts)?;
        paths.extend(files.iter().map(|f| f.path.clone()));
        let attempt = Attempt { generation, paths };
        let transaction = Transaction {
            version,
            operation: "WRITE",
            data_change: true,
            app: self.app.clone(),
            number,
            adds: &files,
            removes: Vec::new(),
        };
        match self.transact(transaction) {
            Ok(Outcome::Committed(snapshot)) => {
                self.snapshot = snapshot;
                self.since_checkpoint += 1;
                if let Some(live) = &mut self.live {
                    live.extend(files.iter().map(DataFile::of));
                }
                Ok(self.remember(generation, version, stamp))
            }
            Ok(Outcome::Taken) => match self.settle(attempt)? {
                Some(found) => Ok(found),
                // Listed as missing, yet refused as existing: another writer is active.
                None => Err(self.fence(version)),
            },
            Err(e) => {
                // The commit may have succeeded; the next call determines that.
                self.attempt = Some(attempt);
                Err(e)
            }
        }
    }

    pub(super) fn transact(&self, what: Transaction<'_>) -> Result<Outcome, OplogError> {
        let failed = |e| {
            self.table
                .failed(format!("commit version {}", what.version), from_kernel(e))
        };
        let batch = add_files(what.adds)
            .map_err(|e| self.table.failed("describe the data files of a commit", e))?;
        let engine = self.table.engine();
        let mut transaction = (self.snapshot.clone())
            .transaction(Box::new(FileSystemCommitter::new()), engine)
            .map_err(failed)?
            .with_operation(what.operation.into())
            .with_data_change(what.data_change)
            .with_engine_info(ENGINE)
            .with_transaction_id(what.app, what.number);
        transaction.add_files(Box::new(ArrowEngineData::new(batch)));
        for removes in what.removes {
            transaction.remove_files(removes);
        }
        match transaction.commit(engine).map_err(failed)? {
            CommitResult::CommittedTransaction(done) => match done.post_commit_snapshot() {
                Some(snapshot) => Ok(Outcome::Committed(snapshot.clone())),
                None => Ok(Outcome::Committed(self.newer_snapshot()?)),
            },
            CommitResult::ConflictedTransaction(_) => Ok(Outcome::Taken),
            CommitResult::RetryableTransaction(retry) => Err(failed(retry.error)),
        }
    }

    /// Determines the outcome of an attempt: its commit, or `None` if there is none.
    fn settle(&mut self, attempt: Attempt) -> Result<Option<Commit>, OplogError> {
        let looked = self.look_for(&attempt);
        if looked.is_err() {
            self.attempt = Some(attempt);
        }
        looked
    }

    fn look_for(&mut self, attempt: &Attempt) -> Result<Option<Commit>, OplogError> {
        self.table.must_be_durable()?;
        self.table.sync_log()?;
        self.table.forget_listing();
        let snapshot = self.newer_snapshot()?;
        let base = self.snapshot.version();
        if snapshot.version() == base {
            return Ok(None);
        }
        let version = Version(base + 1);
        let actions = actions::read(&self.table, version)?
            .map_err(|why| OplogError::Damaged { version, why })?;
        let generation = i64::try_from(attempt.generation).unwrap_or(i64::MAX);
        let named = |path: &String| actions.adds.iter().any(|(add, _)| add == path);
        if !actions.is_of(&self.app, generation) || !attempt.paths.iter().any(named) {
            return Err(self.fence(version));
        }
        let stamp = source::committed(&self.table, version, &actions)?;
        if snapshot.version() > version.0 {
            // The attempt succeeded, and another writer has committed after it.
            self.fence(Version(version.0 + 1));
        }
        self.snapshot = snapshot;
        self.since_checkpoint += 1;
        self.live = None;
        Ok(Some(self.remember(attempt.generation, version, stamp)))
    }

    /// Returns the commit of a generation that is in the table.
    fn find(&mut self, generation: u64) -> Result<Commit, OplogError> {
        let newest = self.generation;
        if let Some((last, commit)) = self.last
            && last == generation
        {
            return Ok(commit);
        }
        if generation != newest {
            return Err(OplogError::Stale { generation, newest });
        }
        let number = i64::try_from(generation).unwrap_or(i64::MAX);
        let mut version = Version(self.snapshot.version());
        loop {
            let actions = actions::read(&self.table, version)?
                .map_err(|why| OplogError::Damaged { version, why })?;
            if actions.is_of(&self.app, number) {
                let stamp = source::committed(&self.table, version, &actions)?;
                return Ok(self.remember(generation, version, stamp));
            }
            if version.0 == 0 {
                return Err(OplogError::Stale { generation, newest });
            }
            version = Version(version.0 - 1);
        }
    }

    fn remember(&mut self, generation: u64, version: Version, stamp: Stamp) -> Commit {
        let commit = Commit { version, stamp };
        self.generation = generation;
        self.last = Some((generation, commit));
        commit
    }

    pub(super) fn fence(&mut self, version: Version) -> OplogError {
        self.fenced = Some(version);
        OplogError::Conflict { version }
    }

    pub(super) fn newer_snapshot(&self) -> Result<SnapshotRef, OplogError> {
        Snapshot::builder_from(self.snapshot.clone())
            .build(self.table.engine())
            .map_err(|e| self.table.failed("read the end of the log", from_kernel(e)))
    }
}

/// The outcome of a commit that did not fail.
pub(super) enum Outcome {
    Committed(SnapshotRef),
    /// The version existed already.
    Taken,
}

/// Describes the files of a commit for the kernel.
fn add_files(files: &[PartFile]) -> Result<RecordBatch, ArrowError> {
    let longs = |of: fn(&PartFile) -> i64| -> ArrayRef {
        Arc::new(Int64Array::from_iter_values(files.iter().map(of)))
    };
    let names = MapFieldNames {
        entry: "key_value".into(),
        key: "key".into(),
        value: "value".into(),
    };
    let mut parts = MapBuilder::new(Some(names), StringBuilder::new(), StringBuilder::new());
    for file in files {
        parts.keys().append_value(PART);
        parts.values().append_value(file.part.to_string());
        parts.append(true)?;
    }
    let group = |columns: [ArrayRef; 3]| -> ArrayRef {
        let names = ["version", "first_node", "last_node"];
        let fields = names.map(|name| Arc::new(Field::new(name, DataType::Int64, true)));
        Arc::new(StructArray::from(
            fields.into_iter().zip(columns).collect::<Vec<_>>(),
        ))
    };
    let zero = || longs(|_| 0);
    let stats: Vec<(&str, ArrayRef)> = vec![
        ("numRecords", longs(|f| f.stats.rows)),
        ("nullCount", group([zero(), zero(), zero()])),
        (
            "minValues",
            group([
                longs(|f| f.stats.versions.0),
                longs(|f| f.stats.first_node.0),
                longs(|f| f.stats.last_node.0),
            ]),
        ),
        (
            "maxValues",
            group([
                longs(|f| f.stats.versions.1),
                longs(|f| f.stats.first_node.1),
                longs(|f| f.stats.last_node.1),
            ]),
        ),
        (
            "tightBounds",
            Arc::new(BooleanArray::from(vec![true; files.len()])),
        ),
    ];
    let stats = stats.into_iter().map(|(name, array)| {
        let field = Field::new(name, array.data_type().clone(), true);
        (Arc::new(field), array)
    });
    let columns: Vec<(&str, ArrayRef, bool)> = vec![
        (
            "path",
            Arc::new(StringArray::from_iter_values(files.iter().map(|f| &f.path))),
            false,
        ),
        ("partitionValues", Arc::new(parts.finish()), false),
        ("size", longs(|f| f.size as i64), false),
        ("modificationTime", longs(|f| f.modified), false),
        (
            "stats",
            Arc::new(StructArray::from(stats.collect::<Vec<_>>())),
            true,
        ),
    ];
    RecordBatch::try_from_iter_with_nullable(columns)
}
