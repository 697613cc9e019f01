//! Applies many versions at once, as they are read back from the oplog.
//!
//! Entries are gathered in memory, sorted, and ingested into tables by a thread of its own. That
//! bypasses fjall's journal, memtables and compaction, which would cost more than reading the oplog
//! ([decision 16](../../docs/decisions/0016-bulk-loaded-index.md)).
//!
//! Invariant: after a crash the index is as before, complete, or marked as unfinished and then
//! rebuilt. Up to [`LITTLE`] bytes are one atomic batch and need no such mark.

use super::disk::{Disk, MARK, META_MAKING};
use super::parts::Parts;
use super::target::{KEYSPACE_COUNT, KeyspaceId, Pair, Target, mark, pairs};
use super::{IndexError, VersionInfo};
use crate::tinyfs::{Changes, Version};
use fjall::{Keyspace, PersistMode, Slice};
use std::collections::BTreeMap;
use std::ops::{Bound, RangeInclusive};
use std::sync::Arc;
use std::thread::JoinHandle;

/// Rough bytes of entries in memory at which they are written to tables.
const FULL: usize = if cfg!(test) { 20_000 } else { 48 << 20 };
/// Greatest number of bytes that are written as one batch instead of tables.
const LITTLE: usize = if cfg!(test) { 5_000 } else { 4 << 20 };
/// Rough memory of an entry besides its key and value, in bytes.
const OVERHEAD: usize = 100;

/// Unwritten entries of one keyspace; `None` is a removal.
type Entries = BTreeMap<Slice, Option<Slice>>;

/// A bulk load: versions whose entries are not all written.
#[derive(Default)]
pub(super) struct Bulk {
    sorted: [Entries; KEYSPACE_COUNT],
    /// Entries that a thread is writing.
    writing: Option<Writing>,
    bytes: usize,
    next_id: Option<u64>,
    last: Option<Version>,
    /// Whether tables have entries of it, so that it must be finished or the index rebuilt.
    begun: bool,
}

/// Entries that a thread is writing to tables.
struct Writing {
    sorted: Arc<[Entries; KEYSPACE_COUNT]>,
    thread: JoinHandle<Result<(), IndexError>>,
}

impl Writing {
    fn wait(self) -> Result<(), IndexError> {
        match self.thread.join() {
            Ok(written) => written,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }
}

impl Bulk {
    /// Applies a version, which must be later than all before it.
    pub(super) fn take(
        &mut self,
        disk: &Disk,
        info: &VersionInfo,
        changes: &Changes,
        next_id: u64,
    ) -> Result<(), IndexError> {
        let target = Filling { disk, bulk: self };
        Parts::new(target, info.version, changes)?.write_all(info, next_id)?;
        self.next_id = Some(next_id);
        self.last = Some(info.version);
        Ok(())
    }

    /// Writes the rest. Without this call the index is as before, or must be rebuilt.
    pub(super) fn finish(mut self, disk: &Disk) -> Result<(), IndexError> {
        let Some(last) = self.last else {
            return Ok(());
        };
        if self.bytes > LITTLE {
            self.write(disk)?;
        }
        if let Some(writing) = self.writing.take() {
            writing.wait()?;
        }
        let mut batch = disk.db.batch();
        for (id, entries) in KeyspaceId::ALL
            .into_iter()
            .zip(std::mem::take(&mut self.sorted))
        {
            for (key, value) in entries {
                match value {
                    Some(value) => batch.insert(disk.keyspace(id), key, value),
                    None => batch.remove(disk.keyspace(id), key),
                }
            }
        }
        for keyspace in disk.maps().chain([&disk.meta]) {
            batch.insert(keyspace, MARK, mark(last, 0).as_slice());
        }
        if self.begun {
            batch.remove(&disk.meta, META_MAKING);
        }
        disk.clean.spent(false);
        batch.commit()?;
        Ok(disk.db.persist(PersistMode::SyncData)?)
    }

    /// Begins to write the gathered entries to tables, except those of `meta`: the last batch
    /// writes them.
    fn write(&mut self, disk: &Disk) -> Result<(), IndexError> {
        if !self.begun {
            disk.meta.insert(META_MAKING, [])?;
            disk.db.persist(PersistMode::SyncData)?;
            disk.clean.spent(false);
            self.begun = true;
        }
        // Bounds memory to two sets of entries.
        if let Some(before) = self.writing.take() {
            before.wait()?;
        }
        let mut sorted = std::mem::take(&mut self.sorted);
        if let (Some(taken), Some(left)) = (sorted.last_mut(), self.sorted.last_mut()) {
            std::mem::swap(taken, left);
        }
        self.bytes = 0;
        let (sorted, keyspaces) = (
            Arc::new(sorted),
            KeyspaceId::ALL.map(|id| disk.keyspace(id).clone()),
        );
        let written = sorted.clone();
        let thread = std::thread::Builder::new()
            .name("index-tables".into())
            .spawn(move || {
                let full = keyspaces.iter().zip(written.iter());
                full.filter(|(_, entries)| !entries.is_empty())
                    .try_for_each(|(keyspace, entries)| into_tables(keyspace, entries))
            })
            .map_err(fjall::Error::Io)?;
        self.writing = Some(Writing { sorted, thread });
        Ok(())
    }
}

impl Drop for Bulk {
    /// Waits for the thread, so that nothing writes to the store afterwards.
    fn drop(&mut self) {
        if let Some(writing) = self.writing.take() {
            let _ = writing.thread.join();
        }
    }
}

fn into_tables(keyspace: &Keyspace, entries: &Entries) -> Result<(), IndexError> {
    let mut tables = keyspace.start_ingestion()?;
    for (key, value) in entries {
        match value {
            Some(value) => tables.write(key.clone(), value.clone())?,
            None => tables.write_tombstone(key.clone())?,
        }
    }
    Ok(tables.finish()?)
}

/// A bulk load as the target of one version.
struct Filling<'f> {
    disk: &'f Disk,
    bulk: &'f mut Bulk,
}

impl Filling<'_> {
    /// Returns the entries that may not be in tables yet, newest first.
    fn entries(&self, id: KeyspaceId) -> impl DoubleEndedIterator<Item = &Entries> {
        let writing = self.bulk.writing.as_ref().map(|writing| &*writing.sorted);
        let sorted = [Some(&self.bulk.sorted), writing].into_iter().flatten();
        sorted.filter_map(move |sorted| sorted.get(id as usize))
    }
}

impl Target for Filling<'_> {
    fn get(&self, id: KeyspaceId, key: &[u8]) -> Result<Option<Slice>, IndexError> {
        if let Some(here) = self.entries(id).find_map(|entries| entries.get(key)) {
            return Ok(here.clone());
        }
        Ok(self.disk.keyspace(id).get(key)?)
    }

    fn range(&self, id: KeyspaceId, keys: RangeInclusive<&[u8]>) -> Result<Vec<Pair>, IndexError> {
        let written = pairs(self.disk.keyspace(id), keys.clone())?;
        let mut found: BTreeMap<Slice, Slice> = written.into_iter().collect();
        let bounds = (Bound::Included(*keys.start()), Bound::Included(*keys.end()));
        for (key, value) in self
            .entries(id)
            .rev()
            .flat_map(|entries| entries.range::<[u8], _>(bounds))
        {
            match value {
                Some(value) => found.insert(key.clone(), value.clone()),
                None => found.remove(key),
            };
        }
        Ok(found.into_iter().collect())
    }

    fn put(&mut self, id: KeyspaceId, key: Slice, value: Option<Slice>) -> Result<(), IndexError> {
        self.bulk.bytes += key.len() + value.as_ref().map_or(0, |value| value.len()) + OVERHEAD;
        if let Some(entries) = self.bulk.sorted.get_mut(id as usize) {
            entries.insert(key, value);
        }
        Ok(())
    }

    fn step(&mut self) -> Result<(), IndexError> {
        match self.bulk.bytes >= FULL {
            true => self.bulk.write(self.disk),
            false => Ok(()),
        }
    }

    fn settle(&mut self) -> Result<(), IndexError> {
        Ok(())
    }

    fn born(&self) -> Result<u64, IndexError> {
        match self.bulk.next_id {
            Some(next_id) => Ok(next_id),
            None => self.disk.next_id(),
        }
    }
}
