//! The oplog: the Delta Lake table that is the source of truth of a pond.
//!
//! `pond` commits the changes of a sealed generation as one version, and replays versions to
//! rebuild the index. Calls block, and must not be made from a thread of an asynchronous runtime.
//!
//! Invariants: version N is Delta version N. A generation is committed at most once. A checksum is
//! verified before a record is decoded. Any Delta reader of version 1 can read the table.
//!
//! Outer rows have a fixed schema ([`schema`], [`file`]) and hold inner records that can evolve
//! ([`record`], [`payload`]). [`commit`] and [`birth`] write versions, [`tail`] checks the end of
//! the log, and [`scan`], [`source`] and [`replay`] read it. [`merge`], [`cleanup`] and [`rewrite`]
//! keep it small. [`store`] is the object store on a local disk.

mod actions;
mod birth;
mod checkpoint;
mod cleanup;
mod columns;
mod commit;
mod digest;
mod error;
mod file;
mod ipc;
mod merge;
mod pages;
mod payload;
mod reader;
mod record;
mod replay;
mod rewrite;
mod scan;
mod schema;
mod source;
mod store;
mod table;
mod tail;
mod thrift;

#[cfg(test)]
mod tests;

pub use cleanup::CleanUp;
pub use error::OplogError;
pub use merge::{Merge, Merged};
pub use record::RecordError;
pub use rewrite::Rewrite;

use crate::disk::{Disk, make_dirs};
use crate::observe::guarded;
use crate::tinyfs::{Changes, Time, Version};
use buoyant_kernel::Snapshot;
use buoyant_kernel::snapshot::SnapshotRef;
use error::from_kernel;
#[cfg(test)]
use object_store::ObjectStore;
use source::DataFile;
use std::collections::HashSet;
use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;
use store::LocalStore;
use table::{ROOT, Table};
use uuid::Uuid;

/// The open oplog of a pond. There is one writer.
pub struct Oplog {
    table: Arc<Table>,
    snapshot: SnapshotRef,
    /// Application id of the transaction identifiers of generations.
    app: String,
    /// The last generation that is known to be committed.
    generation: u64,
    /// The last commit that was made or found, with its generation.
    last: Option<(u64, Commit)>,
    attempt: Option<commit::Attempt>,
    /// The version that another writer committed in place of ours.
    fenced: Option<Version>,
    since_checkpoint: u64,
    /// Data files of the newest version, once they have been listed.
    live: Option<Vec<DataFile>>,
    /// A commit that changes no data and may or may not have succeeded.
    merging: Option<merge::Moved>,
    /// Whether a checkpoint was written since the last clean-up of the log.
    cleanable: bool,
}

impl fmt::Debug for Oplog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Oplog")
            .field("app", &self.app)
            .field("latest", &self.latest())
            .field("generation", &self.generation)
            .finish_non_exhaustive()
    }
}

/// The result of opening the oplog.
#[derive(Debug)]
pub struct Opened {
    /// The oplog.
    pub oplog: Oplog,
    /// The newest version.
    pub latest: Version,
    /// The last generation that was committed, 0 if there was none.
    pub generation: u64,
    /// Versions whose commit was torn and that are now set aside, newest first.
    pub set_aside: Vec<Version>,
}

/// A committed version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Commit {
    /// Its number.
    pub version: Version,
    /// Its commit time.
    pub stamp: Stamp,
}

/// The commit time of a version, to the microsecond.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// Later than that of every earlier version, whatever the clock said.
    pub committed: Time,
    /// The reading of the clock; `None` in a version that an older program made.
    pub clock: Option<Time>,
}

impl From<Time> for Stamp {
    /// Returns the stamp of a clock that has never stepped back.
    fn from(time: Time) -> Stamp {
        Stamp {
            committed: time,
            clock: Some(time),
        }
    }
}

impl Oplog {
    /// Creates the table in folder `dir`. Version 0 holds `birth`.
    pub fn create(
        disk: &Arc<dyn Disk>,
        dir: &Path,
        pond: Uuid,
        stamp: impl Into<Stamp>,
        birth: &Changes,
    ) -> Result<(), OplogError> {
        let place = dir.display().to_string();
        make_dirs(disk.as_ref(), dir)
            .map_err(|e| OplogError::storage(format!("create the folder {place}"), e))?;
        let local = local(disk, dir)?;
        let table = Table::new(local.clone(), Some(local))?;
        birth::create(&table, &place, pond, stamp.into(), birth)
    }

    /// Opens the table in folder `dir` for writing. The caller must hold the pond's lock.
    ///
    /// `known` is the newest version that was ever acknowledged, or 0 if that is unknown. A torn
    /// commit above `known` is set aside. A damaged one at or below it is an error.
    pub fn open(
        disk: &Arc<dyn Disk>,
        dir: &Path,
        pond: Uuid,
        known: Version,
    ) -> Result<Opened, OplogError> {
        let place = dir.display().to_string();
        match disk.look(&dir.join(table::LOG)) {
            Ok(_) => {}
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                return Err(OplogError::Absent { place });
            }
            Err(e) => return Err(OplogError::storage(format!("look at {place}"), e)),
        }
        let local = local(disk, dir)?;
        let table = Table::new(local.clone(), Some(local))?;
        Self::open_table(table, &place, pond, known)
    }

    /// Creates the table in a store that is rooted at it.
    #[cfg(test)]
    pub(crate) fn create_on(
        store: Arc<dyn ObjectStore>,
        pond: Uuid,
        stamp: impl Into<Stamp>,
        birth: &Changes,
    ) -> Result<(), OplogError> {
        let (place, stamp) = (store.to_string(), stamp.into());
        birth::create(&Table::new(store, None)?, &place, pond, stamp, birth)
    }

    /// Opens the table in a store that is rooted at it.
    #[cfg(test)]
    pub(crate) fn open_on(
        store: Arc<dyn ObjectStore>,
        pond: Uuid,
        known: Version,
    ) -> Result<Opened, OplogError> {
        let place = store.to_string();
        Self::open_table(Table::new(store, None)?, &place, pond, known)
    }

    fn open_table(
        table: Table,
        place: &str,
        pond: Uuid,
        known: Version,
    ) -> Result<Opened, OplogError> {
        let app = format!("pond-{pond}");
        let set_aside = tail::check(&table, place, known)?;
        let (snapshot, generation) = loop {
            match newest(&table, pond, &app)? {
                Ok(found) => break found,
                // Some damage of a checkpoint shows only when the kernel uses it. The log can be
                // read without it, from an older one or from its beginning.
                Err(why) if !why.is_damage() => return Err(why),
                Err(why) => {
                    tracing::warn!(%why, "the newest checkpoint is set aside");
                    if !tail::forget_checkpoint(&table)? {
                        return Err(why);
                    }
                    tail::check(&table, place, known)?;
                }
            }
        };
        let latest = Version(snapshot.version());
        let checkpoint = snapshot.log_segment().checkpoint_version.unwrap_or(0);
        let since_checkpoint = latest.0.saturating_sub(checkpoint);
        let oplog = Oplog {
            table: Arc::new(table),
            snapshot,
            app,
            generation,
            last: None,
            attempt: None,
            fenced: None,
            since_checkpoint,
            live: None,
            merging: None,
            cleanable: true,
        };
        Ok(Opened {
            oplog,
            latest,
            generation,
            set_aside,
        })
    }

    /// Returns the newest version.
    pub fn latest(&self) -> Version {
        Version(self.snapshot.version())
    }

    /// Commits `changes` as one version, for `generation`, which must be greater than any before.
    ///
    /// Exactly once: after an error with an unknown outcome, a call with the same generation and
    /// changes finds the commit or makes it. After [`OplogError::Conflict`] every commit fails
    /// until the oplog is reopened.
    pub fn commit(
        &mut self,
        generation: u64,
        stamp: impl Into<Stamp>,
        changes: &Changes,
    ) -> Result<Commit, OplogError> {
        self.commit_changes(generation, stamp.into(), changes)
    }

    /// Returns whether a checkpoint is due.
    pub fn checkpoint_due(&self) -> bool {
        self.since_checkpoint >= schema::CHECKPOINT_INTERVAL
    }

    /// Writes a checkpoint of the newest version. It is a cache that bounds the time of opening and
    /// committing.
    pub fn checkpoint(&mut self) -> Result<(), OplogError> {
        let written = self.snapshot.checkpoint(self.table.engine(), None);
        let what = || {
            format!(
                "write the checkpoint of version {}",
                self.snapshot.version()
            )
        };
        let (_, snapshot) = written.map_err(|e| self.table.failed(what(), from_kernel(e)))?;
        self.snapshot = snapshot;
        self.since_checkpoint = 0;
        self.cleanable = true;
        checkpoint::seal(&self.table, self.latest())
    }

    /// Reads every commit in the log and reports each damaged one. Opening reads none before the
    /// newest checkpoint, but other Delta readers do.
    pub fn audit(&self, problem: &mut dyn FnMut(OplogError)) -> Result<(), OplogError> {
        let oldest = tail::oldest_commit(&self.table)?;
        let mut removed = HashSet::new();
        for version in (oldest.0..=self.latest().0).rev().map(Version) {
            if let Err(why) = tail::inspect_old(&self.table, version, &mut removed)? {
                problem(OplogError::Damaged { version, why });
            }
        }
        Ok(())
    }

    /// Renames checkpoints, newest first, as long as the log can be read without them.
    pub fn forget_checkpoints(&self) -> Result<(), OplogError> {
        while tail::forget_checkpoint(&self.table)? {}
        Ok(())
    }

    /// Visits every commit after version `after` that changed data, in the order of versions.
    /// `None` starts at version 0. The first error ends the visit.
    pub fn replay<E: From<OplogError>>(
        &self,
        after: Option<Version>,
        visit: &mut dyn FnMut(Commit, Changes) -> Result<(), E>,
    ) -> Result<(), E> {
        self.replay_after(after, visit)
    }
}

/// Returns the snapshot of the table and the last generation in it, as confirmed by the newest
/// commit. The inner error means that a checkpoint may be damaged.
fn newest(
    table: &Table,
    pond: Uuid,
    app: &str,
) -> Result<Result<(SnapshotRef, u64), OplogError>, OplogError> {
    if let Err(error) = checkpoint::check(table) {
        return Ok(Err(error));
    }
    let failed = |e| table.failed("read the log", from_kernel(e));
    let built = guarded(|| Snapshot::builder_for(ROOT).build(table.engine()));
    let snapshot = match built {
        Some(Ok(snapshot)) => snapshot,
        Some(Err(e)) => return Ok(Err(failed(e))),
        None => return Ok(Err(table.failed("read the log", "its library panicked"))),
    };
    let version = Version(snapshot.version());
    if let Err(error) = must_be_of(pond, &snapshot) {
        return Ok(Err(error));
    }
    let found = match snapshot.get_app_id_version(app, table.engine()) {
        Ok(found) => found.unwrap_or(0),
        Err(e) => return Ok(Err(failed(e))),
    };
    let actions =
        actions::read(table, version)?.map_err(|why| OplogError::Damaged { version, why })?;
    let own = actions.txns.is_empty() || actions.is_merge() || actions.is_of(app, found);
    Ok(match u64::try_from(found) {
        Ok(generation) if own => Ok((snapshot, generation)),
        _ => Err(OplogError::Damaged {
            version,
            why: format!("its checkpoint says that it is of generation {found}"),
        }),
    })
}

fn local(disk: &Arc<dyn Disk>, dir: &Path) -> Result<Arc<LocalStore>, OplogError> {
    let opened = LocalStore::open(disk.clone(), dir);
    let what = || format!("open the oplog in {}", dir.display());
    Ok(Arc::new(
        opened.map_err(|e| OplogError::storage(what(), e))?,
    ))
}

/// Fails if the table is not that of the pond.
fn must_be_of(pond: Uuid, snapshot: &SnapshotRef) -> Result<(), OplogError> {
    let metadata = snapshot.table_configuration().metadata();
    let foreign = |why: String| Err(OplogError::Foreign { pond, why });
    if metadata.id() != pond.to_string() {
        return foreign(format!("its id is {}", metadata.id()));
    }
    let schema = snapshot.schema();
    let mut columns = schema::file_schema()
        .fields()
        .iter()
        .filter(|f| !f.is_nullable())
        .map(|f| f.name().clone())
        .collect::<Vec<_>>();
    columns.push(schema::PART.into());
    match columns
        .into_iter()
        .find(|name| schema.field(name).is_none())
    {
        Some(name) => foreign(format!("it has no column {name}")),
        None if metadata.partition_columns() != [schema::PART] => {
            foreign("it is not partitioned by node".into())
        }
        None => Ok(()),
    }
}
