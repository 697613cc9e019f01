//! The destination of a version's entries: the store in batches, or a bulk load.

use super::IndexError;
use super::disk::{Disk, MARK};
use crate::tinyfs::{MapId, Version};
use fjall::{Keyspace, OwnedWriteBatch, Slice};
use std::ops::RangeInclusive;

/// Entries of one batch, after which it is committed.
const BATCH: usize = 1_000;

/// A keyspace, in the order of the array of their names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum KeyspaceId {
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

/// Number of keyspaces.
pub(super) const KEYSPACE_COUNT: usize = 10;

impl KeyspaceId {
    pub(super) const ALL: [KeyspaceId; KEYSPACE_COUNT] = [
        KeyspaceId::Nodes,
        KeyspaceId::Names,
        KeyspaceId::Extents,
        KeyspaceId::Attrs,
        KeyspaceId::Past,
        KeyspaceId::Links,
        KeyspaceId::Trail,
        KeyspaceId::Stored,
        KeyspaceId::Versions,
        KeyspaceId::Meta,
    ];

    /// Returns the keyspace of the present entries of a map.
    pub(super) fn present(map: MapId) -> KeyspaceId {
        match map {
            MapId::Nodes => KeyspaceId::Nodes,
            MapId::Names => KeyspaceId::Names,
            MapId::Extents => KeyspaceId::Extents,
            MapId::Attrs => KeyspaceId::Attrs,
        }
    }
}

/// A key and its value.
pub(super) type Pair = (Slice, Slice);

/// Takes the entries of a version.
pub(super) trait Target {
    /// Returns the value of a key.
    fn get(&self, id: KeyspaceId, key: &[u8]) -> Result<Option<Slice>, IndexError>;
    /// Returns the entries in a range of keys, in order.
    fn range(&self, id: KeyspaceId, keys: RangeInclusive<&[u8]>) -> Result<Vec<Pair>, IndexError>;
    /// Inserts an entry, or removes it with `None`. `get` and `range` need not see it before
    /// `settle`.
    fn put(&mut self, id: KeyspaceId, key: Slice, value: Option<Slice>) -> Result<(), IndexError>;
    /// Ends an entry and all that is derived from it. A batch may be committed here.
    fn step(&mut self) -> Result<(), IndexError>;
    /// Makes all that was put visible to `get` and `range`.
    fn settle(&mut self) -> Result<(), IndexError>;
    /// Returns an id such that no earlier version has an entry with it or a greater one.
    fn born(&self) -> Result<u64, IndexError>;
}

/// The store, written in batches. Each batch writes its mark to every keyspace.
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
    fn get(&self, id: KeyspaceId, key: &[u8]) -> Result<Option<Slice>, IndexError> {
        Ok(self.disk.keyspace(id).get(key)?)
    }

    fn range(&self, id: KeyspaceId, keys: RangeInclusive<&[u8]>) -> Result<Vec<Pair>, IndexError> {
        pairs(self.disk.keyspace(id), keys)
    }

    fn put(&mut self, id: KeyspaceId, key: Slice, value: Option<Slice>) -> Result<(), IndexError> {
        let keyspace = self.disk.keyspace(id);
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

/// Returns the mark of a batch: version and number, little-endian.
pub(super) fn mark(version: Version, number: u64) -> [u8; 16] {
    let mut mark = [0; 16];
    let (first, second) = mark.split_at_mut(8);
    first.copy_from_slice(&version.0.to_le_bytes());
    second.copy_from_slice(&number.to_le_bytes());
    mark
}

/// Returns the entries in a range of keys of a keyspace.
pub(super) fn pairs(
    keyspace: &Keyspace,
    keys: RangeInclusive<&[u8]>,
) -> Result<Vec<Pair>, IndexError> {
    let pairs = keyspace.range(keys).map(|guard| Ok(guard.into_inner()?));
    pairs.collect()
}
