//! Rewrites the whole table, to forget versions.
//!
//! `pond` pushes the versions to keep, in order, and commits the new files in place of all old
//! ones.
//!
//! Invariants: the old rows are the table until one commit removes them and adds the new ones. That
//! commit has a number of its own and is marked as moving rows. Committed generations stay
//! committed. Replaced files are deleted when [`Oplog::sweep`] returns.

use super::commit::PartFile;
use super::error::OplogError;
use super::file::{Encoder, Paging};
use super::merge::write_merged;
use super::payload::rows_of;
use super::schema::PART;
use super::table::Table;
use super::{Commit, Oplog};
use crate::tinyfs::Changes;
use futures::TryStreamExt;
use object_store::ObjectMeta;
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

/// Approximate size in bytes at which a data file is full.
const FULL: usize = 16 << 20;

/// The new content of the table.
pub struct Rewrite {
    table: Arc<Table>,
    open: BTreeMap<i32, Encoder>,
    files: Vec<PartFile>,
}

impl Rewrite {
    /// Adds a version, which must be later than all before it.
    pub fn push(&mut self, commit: Commit, changes: &Changes) -> Result<(), OplogError> {
        for (part, rows) in rows_of(changes, commit.version, commit.stamp)? {
            let mut encoder = match self.open.remove(&part) {
                Some(encoder) => encoder,
                None => Encoder::new(Paging::Merged)?,
            };
            for row in rows {
                encoder.push(row)?;
            }
            match encoder.size() >= FULL {
                true => self.write(part, encoder)?,
                false => {
                    self.open.insert(part, encoder);
                }
            }
        }
        Ok(())
    }

    fn write(&mut self, part: i32, encoder: Encoder) -> Result<(), OplogError> {
        self.files.push(write_merged(&self.table, part, encoder)?);
        Ok(())
    }
}

impl Oplog {
    /// Begins a rewrite. Nothing may be committed before [`Oplog::commit_rewrite`].
    pub fn rewrite(&mut self) -> Result<Rewrite, OplogError> {
        self.settle_merge()?;
        if let Some(version) = self.fenced {
            return Err(OplogError::Conflict { version });
        }
        if self.attempt.is_some() {
            // The rewrite would take the version that the pending commit may have, and the commit
            // would then be mistaken for another writer's.
            let what = "rewrite the oplog";
            return Err(OplogError::Unfinished { what });
        }
        Ok(Rewrite {
            table: self.table.clone(),
            open: BTreeMap::new(),
            files: Vec::new(),
        })
    }

    /// Commits the new data files in place of all others, and writes a checkpoint.
    pub fn commit_rewrite(&mut self, mut rewrite: Rewrite) -> Result<(), OplogError> {
        while let Some((part, encoder)) = rewrite.open.pop_first() {
            rewrite.write(part, encoder)?;
        }
        let replaced = self.live_files()?.iter().map(|file| file.path.clone());
        let replaced = replaced.collect();
        self.replace(rewrite.files, replaced)?;
        self.checkpoint()
    }

    /// Returns the bytes of all files of the table.
    pub fn bytes(&self) -> Result<u64, OplogError> {
        let store = self.table.store();
        let list = store.list(None).try_collect::<Vec<ObjectMeta>>();
        let files = self.table.wait(|| "list the table".into(), list)?;
        Ok(files.iter().map(|meta| meta.size).sum())
    }

    /// Removes every data file that is not of the newest version. Earlier versions can then no
    /// longer be read from the table. Returns the number of bytes that were freed.
    pub fn sweep(&mut self) -> Result<u64, OplogError> {
        self.settle_merge()?;
        let live: HashSet<String> = self.live_files()?.iter().map(|f| f.path.clone()).collect();
        let store = self.table.store();
        let list = store.list(None).try_collect::<Vec<ObjectMeta>>();
        let mut freed = 0;
        for meta in self.table.wait(|| "list the data files".into(), list)? {
            let path = meta.location.as_ref();
            if path.starts_with(PART) && path.ends_with(".parquet") && !live.contains(path) {
                self.table.delete(path)?;
                freed += meta.size;
            }
        }
        Ok(freed)
    }
}
