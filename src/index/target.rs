//! Where the entries of a version are written, and what is there already.

use super::IndexError;
use super::disk::{Disk, MARK};
use crate::tinyfs::{MapId, Version};
use fjall::{Keyspace, OwnedWriteBatch, Slice};
use std::ops::RangeInclusive;

/// Entries that one batch changes.
const BATCH: usize = 1_000;

/// A part of the index, in the order of their names in the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Room {
    Nodes,
    Names,
    Extents,
    Attrs,
    Past,
    Links,
    Trail,
    Stored,
    Versions,
    Meta,
}

/// How many there are.
pub(super) const ROOMS: usize = 10;

impl Room {
    pub(super) const ALL: [Room; ROOMS] = [
        Room::Nodes,
        Room::Names,
        Room::Extents,
        Room::Attrs,
        Room::Past,
        Room::Links,
        Room::Trail,
        Room::Stored,
        Room::Versions,
        Room::Meta,
    ];

    /// Where the entries of a map stand that are in force.
    pub(super) fn present(map: MapId) -> Room {
        match map {
            MapId::Nodes => Room::Nodes,
            MapId::Names => Room::Names,
            MapId::Extents => Room::Extents,
            MapId::Attrs => Room::Attrs,
        }
    }
}

/// A key and what stands there.
pub(super) type Pair = (Slice, Slice);

/// Takes what a version changes.
pub(super) trait Target {
    /// What stands at a key.
    fn get(&self, room: Room, key: &[u8]) -> Result<Option<Slice>, IndexError>;
    /// What stands in a range of keys, in their order.
    fn range(&self, room: Room, keys: RangeInclusive<&[u8]>) -> Result<Vec<Pair>, IndexError>;
    /// Puts something at a key, or with `None` takes away what is there. It may be found only when it is settled.
    fn put(&mut self, room: Room, key: Slice, value: Option<Slice>) -> Result<(), IndexError>;
    /// An entry is put with all that goes with it.
    fn step(&mut self) -> Result<(), IndexError>;
    /// What was put is found.
    fn settle(&mut self) -> Result<(), IndexError>;
    /// Nothing with an id from this one on is in any version before.
    fn born(&self) -> Result<u64, IndexError>;
}

/// The store, in batches, each with a note in each keyspace that it has it.
pub(super) struct Batches<'d> {
    disk: &'d Disk,
    batch: OwnedWriteBatch,
    version: Version,
    number: u64,
}

impl<'d> Batches<'d> {
    pub(super) fn new(disk: &'d Disk, version: Version) -> Batches<'d> {
        Batches {
            disk,
            batch: disk.db.batch(),
            version,
            number: 0,
        }
    }
}

impl Target for Batches<'_> {
    fn get(&self, room: Room, key: &[u8]) -> Result<Option<Slice>, IndexError> {
        Ok(self.disk.room(room).get(key)?)
    }

    fn range(&self, room: Room, keys: RangeInclusive<&[u8]>) -> Result<Vec<Pair>, IndexError> {
        pairs(self.disk.room(room), keys)
    }

    fn put(&mut self, room: Room, key: Slice, value: Option<Slice>) -> Result<(), IndexError> {
        let keyspace = self.disk.room(room);
        match value {
            Some(value) => self.batch.insert(keyspace, key, value),
            None => self.batch.remove(keyspace, key),
        }
        Ok(())
    }

    fn step(&mut self) -> Result<(), IndexError> {
        match self.batch.len() >= BATCH {
            true => self.settle(),
            false => Ok(()),
        }
    }

    fn settle(&mut self) -> Result<(), IndexError> {
        let mark = mark(self.version, self.number);
        for keyspace in self.disk.maps().chain([&self.disk.meta]) {
            self.batch.insert(keyspace, MARK, mark.as_slice());
        }
        self.number += 1;
        self.disk.clean.spent(false);
        Ok(std::mem::replace(&mut self.batch, self.disk.db.batch()).commit()?)
    }

    fn born(&self) -> Result<u64, IndexError> {
        self.disk.next_id()
    }
}

/// What a keyspace notes of a batch that it has.
pub(super) fn mark(version: Version, number: u64) -> [u8; 16] {
    let mut mark = [0; 16];
    let (first, second) = mark.split_at_mut(8);
    first.copy_from_slice(&version.0.to_le_bytes());
    second.copy_from_slice(&number.to_le_bytes());
    mark
}

/// What stands in a range of keys of a keyspace.
pub(super) fn pairs(
    keyspace: &Keyspace,
    keys: RangeInclusive<&[u8]>,
) -> Result<Vec<Pair>, IndexError> {
    let pairs = keyspace.range(keys).map(|guard| Ok(guard.into_inner()?));
    pairs.collect()
}
