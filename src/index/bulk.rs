//! Many versions at once: what they come to is kept in memory, and written to tables in the order of its keys.
//!
//! In: versions that are read back from the oplog, one after the other. Out: the index with all of them. Holds
//! always: little is one batch, which is there whole or not at all. Much goes past the store's journal and memory,
//! straight into tables, where sorting, compacting and journaling it would cost more than to read it; an index that
//! this did not finish is noted as that, and made anew.

use super::disk::{Disk, MARK, META_MAKING};
use super::parts::Parts;
use super::target::{Pair, ROOMS, Room, Target, mark, pairs};
use super::{IndexError, VersionInfo};
use crate::tinyfs::{Changes, Version};
use fjall::{PersistMode, Slice};
use std::collections::BTreeMap;
use std::ops::{Bound, RangeInclusive};

/// Bytes of entries in memory, roughly, before they are written.
const FULL: usize = if cfg!(test) { 20_000 } else { 64 << 20 };
/// What is written as one batch.
const LITTLE: usize = if cfg!(test) { 5_000 } else { 4 << 20 };
/// What an entry takes besides its bytes.
const OVERHEAD: usize = 100;

/// Entries of one room that are not written: `None` where something is to be taken away.
type Entries = BTreeMap<Slice, Option<Slice>>;

/// Versions that are not written yet.
#[derive(Default)]
pub(super) struct Bulk {
    rooms: [Entries; ROOMS],
    bytes: usize,
    next_id: Option<u64>,
    last: Option<Version>,
    /// Whether something of it is in tables.
    begun: bool,
}

impl Bulk {
    /// Takes in a version, later than all before.
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

    /// Writes what is left. Without this the index is as it was, or has to be made anew.
    pub(super) fn finish(mut self, disk: &Disk) -> Result<(), IndexError> {
        let Some(last) = self.last else {
            return Ok(());
        };
        if self.bytes > LITTLE {
            self.write(disk)?;
        }
        let mut batch = disk.db.batch();
        for (room, entries) in Room::ALL.into_iter().zip(std::mem::take(&mut self.rooms)) {
            for (key, value) in entries {
                match value {
                    Some(value) => batch.insert(disk.room(room), key, value),
                    None => batch.remove(disk.room(room), key),
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

    /// Writes what is in memory to tables, but for what tells how far the index is: that comes last.
    fn write(&mut self, disk: &Disk) -> Result<(), IndexError> {
        if !self.begun {
            disk.meta.insert(META_MAKING, [])?;
            disk.db.persist(PersistMode::SyncData)?;
            disk.clean.spent(false);
            self.begun = true;
        }
        for (room, entries) in Room::ALL.into_iter().zip(&mut self.rooms) {
            if room == Room::Meta || entries.is_empty() {
                continue;
            }
            let mut tables = disk.room(room).start_ingestion()?;
            for (key, value) in std::mem::take(entries) {
                match value {
                    Some(value) => tables.write(key, value)?,
                    None => tables.write_tombstone(key)?,
                }
            }
            tables.finish()?;
        }
        self.bytes = 0;
        Ok(())
    }
}

/// A bulk that is being filled.
struct Filling<'f> {
    disk: &'f Disk,
    bulk: &'f mut Bulk,
}

impl Filling<'_> {
    fn entries(&self, room: Room) -> Option<&Entries> {
        self.bulk.rooms.get(room as usize)
    }
}

impl Target for Filling<'_> {
    fn get(&self, room: Room, key: &[u8]) -> Result<Option<Slice>, IndexError> {
        if let Some(here) = self.entries(room).and_then(|entries| entries.get(key)) {
            return Ok(here.clone());
        }
        Ok(self.disk.room(room).get(key)?)
    }

    fn range(&self, room: Room, keys: RangeInclusive<&[u8]>) -> Result<Vec<Pair>, IndexError> {
        let written = pairs(self.disk.room(room), keys.clone())?;
        let mut found: BTreeMap<Slice, Slice> = written.into_iter().collect();
        let here = self.entries(room);
        let bounds = (Bound::Included(*keys.start()), Bound::Included(*keys.end()));
        for (key, value) in here
            .into_iter()
            .flat_map(|here| here.range::<[u8], _>(bounds))
        {
            match value {
                Some(value) => found.insert(key.clone(), value.clone()),
                None => found.remove(key),
            };
        }
        Ok(found.into_iter().collect())
    }

    fn put(&mut self, room: Room, key: Slice, value: Option<Slice>) -> Result<(), IndexError> {
        self.bulk.bytes += key.len() + value.as_ref().map_or(0, |value| value.len()) + OVERHEAD;
        if let Some(entries) = self.bulk.rooms.get_mut(room as usize) {
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
