//! The journal: entries of the open version that were flushed, until a commit holds them.
//!
//! Key: generation (u64, big-endian), map, key. Value: a zero byte for a removed entry, or a one and
//! the value. A generation is what one commit seals; its number is the commit's transaction
//! identifier in the oplog, which tells after a crash what the oplog already holds.

use super::disk::META_NEXT_ID;
use super::{Frozen, IndexError};
use crate::tinyfs::{Attrs, Changes, Extents, Malformed, Map, MapId, Names, Nodes};
use fjall::{Database, Keyspace, KeyspaceCreateOptions, OwnedWriteBatch, PersistMode};
use std::sync::atomic::{AtomicU64, Ordering};

pub(super) struct Journal {
    db: Database,
    entries: Keyspace,
    meta: Keyspace,
    /// Generations up to this one were removed: whoever looks for more need not pass over what is
    /// left of them, which grows with every commit until the tables are rewritten.
    forgotten: AtomicU64,
}

impl Journal {
    pub(super) fn open(db: &Database) -> Result<Journal, IndexError> {
        let keyspace = |name: &str| {
            db.keyspace(name, || {
                KeyspaceCreateOptions::default().manual_journal_persist(true)
            })
        };
        Ok(Journal {
            entries: keyspace("journal")?,
            meta: keyspace("meta")?,
            forgotten: AtomicU64::new(0),
            db: db.clone(),
        })
    }

    /// Writes all entries of `layers` as one, and returns when they are on stable storage.
    pub(super) fn write(&self, layers: &[Frozen], next_id: u64) -> Result<(), IndexError> {
        let mut batch = self.db.batch().durability(Some(PersistMode::SyncData));
        for layer in layers {
            self.put::<Nodes>(&mut batch, layer);
            self.put::<Names>(&mut batch, layer);
            self.put::<Extents>(&mut batch, layer);
            self.put::<Attrs>(&mut batch, layer);
        }
        batch.insert(&self.meta, META_NEXT_ID, next_id.to_le_bytes().as_slice());
        batch.commit()?;
        Ok(())
    }

    fn put<M: Map>(&self, batch: &mut OwnedWriteBatch, layer: &Frozen) {
        for (key, value) in M::of(&layer.changes) {
            let mut bytes = layer.generation.to_be_bytes().to_vec();
            bytes.push(M::ID as u8);
            M::encode_key(key, &mut bytes);
            let mut entry = vec![u8::from(value.is_some())];
            if let Some(value) = value {
                M::encode_value(value, &mut entry);
            }
            batch.insert(&self.entries, bytes, entry);
        }
    }

    /// Everything of generations after `committed`, the newest change of each key.
    pub(super) fn load(&self, committed: u64) -> Result<(u64, Changes), IndexError> {
        let mut changes = Changes::default();
        let mut newest = committed;
        for guard in self.entries.range(after(committed)..) {
            let (key, value) = guard.into_inner()?;
            let cut = Malformed("a journal entry is cut short");
            let (generation, rest) = key.split_first_chunk().ok_or(cut)?;
            let (map, key) = rest.split_first().ok_or(cut)?;
            newest = u64::from_be_bytes(*generation);
            match MapId::ALL.into_iter().find(|id| *id as u8 == *map) {
                Some(MapId::Nodes) => take::<Nodes>(&mut changes, key, &value)?,
                Some(MapId::Names) => take::<Names>(&mut changes, key, &value)?,
                Some(MapId::Extents) => take::<Extents>(&mut changes, key, &value)?,
                Some(MapId::Attrs) => take::<Attrs>(&mut changes, key, &value)?,
                None => return Err(Malformed("a journal entry is of an unknown map").into()),
            }
        }
        Ok((newest, changes))
    }

    /// Removes the generations up to `generation`. It needs no sync: they are known to be committed.
    pub(super) fn forget(&self, generation: u64) -> Result<(), IndexError> {
        let mut batch = self.db.batch();
        let forgotten = self.forgotten.load(Ordering::Relaxed);
        if forgotten >= generation {
            return Ok(());
        }
        for guard in self.entries.range(after(forgotten)..after(generation)) {
            batch.remove(&self.entries, guard.key()?);
        }
        batch.commit()?;
        self.forgotten.store(generation, Ordering::Relaxed);
        Ok(())
    }
}

/// The first key of the generations after `generation`.
fn after(generation: u64) -> Vec<u8> {
    (generation + 1).to_be_bytes().to_vec()
}

fn take<M: Map>(changes: &mut Changes, key: &[u8], value: &[u8]) -> Result<(), IndexError> {
    let value = match value {
        [0] => None,
        [1, value @ ..] => Some(M::decode_value(value)?),
        _ => return Err(Malformed("a journal entry is neither put nor removed").into()),
    };
    changes.set::<M>(M::decode_key(key)?, value);
    Ok(())
}
