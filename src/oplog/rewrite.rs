//! Writing the whole table anew: what forgets history.
//!
//! Role: replace all data files by others, in one commit. In: the versions that are to be there, in order. Out:
//! a table that says just these. Holds always: the old rows are the table until the commit that removes them all
//! and adds the new ones; that commit takes a number of its own, and says that it moved rows; a generation stays
//! committed. What was replaced is gone from the disk when [`Oplog::sweep`] returns.

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

/// A data file gets no more rows once it has about this many bytes.
const FULL: usize = 16 << 20;

/// The table as it is to be.
pub struct Rewrite {
    table: Arc<Table>,
    open: BTreeMap<i32, Encoder>,
    files: Vec<PartFile>,
}

impl Rewrite {
    /// Adds a version, later than all before.
    pub fn push(&mut self, commit: Commit, changes: &Changes) -> Result<(), OplogError> {
        for (part, rows) in rows_of(changes, commit.version, commit.committed)? {
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
    /// Begins to write the table anew. Nothing may be committed before [`Oplog::commit_rewrite`].
    pub fn rewrite(&mut self) -> Result<Rewrite, OplogError> {
        self.settle_merge()?;
        if let Some(version) = self.fenced {
            return Err(OplogError::Conflict { version });
        }
        if self.attempt.is_some() {
            // What stands in its place would be taken for somebody else's.
            let why = "a commit before it is not finished";
            return Err(self.table.failed("write the oplog anew", why));
        }
        Ok(Rewrite {
            table: self.table.clone(),
            open: BTreeMap::new(),
            files: Vec::new(),
        })
    }

    /// Makes the table what was written.
    pub fn commit_rewrite(&mut self, mut rewrite: Rewrite) -> Result<(), OplogError> {
        while let Some((part, encoder)) = rewrite.open.pop_first() {
            rewrite.write(part, encoder)?;
        }
        let replaced = self.live_files()?.iter().map(|file| file.path.clone());
        let replaced = replaced.collect();
        self.replace(rewrite.files, replaced)?;
        self.checkpoint()
    }

    /// Bytes of all files of the table.
    pub fn bytes(&self) -> Result<u64, OplogError> {
        let store = self.table.store();
        let list = store.list(None).try_collect::<Vec<ObjectMeta>>();
        let files = self.table.wait(|| "list the table".into(), list)?;
        Ok(files.iter().map(|meta| meta.size).sum())
    }

    /// Removes every data file that is not of the newest version; earlier ones cannot be read from the table
    /// any more. Answers how many bytes that frees.
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
