//! The interface of the cache of computed results.

use super::blob::Hash;
use bytes::Bytes;
use parking_lot::Mutex;
use std::collections::BTreeMap;

/// A cache of results by the hash of what they were computed from. It may evict anything at any
/// time.
pub trait Keep: Send + Sync {
    /// Returns the value that is cached under `key`.
    fn get(&self, key: &Hash) -> Option<Bytes>;
    /// Caches a value.
    fn put(&self, key: &Hash, value: Bytes);
}

/// A cache that is always empty.
pub struct Nothing;

impl Keep for Nothing {
    fn get(&self, _: &Hash) -> Option<Bytes> {
        None
    }

    fn put(&self, _: &Hash, _: Bytes) {}
}

/// A cache in memory that evicts nothing.
#[derive(Default)]
pub struct Everything(Mutex<BTreeMap<Hash, Bytes>>);

impl Keep for Everything {
    fn get(&self, key: &Hash) -> Option<Bytes> {
        self.0.lock().get(key).cloned()
    }

    fn put(&self, key: &Hash, value: Bytes) {
        self.0.lock().insert(*key, value);
    }
}

/// Returns a key: the hash of `word`, which names the kind of result, and of its inputs.
pub fn key(word: &str, parts: &[&[u8]]) -> Hash {
    let mut hasher = blake3::Hasher::new();
    for part in std::iter::once(word.as_bytes()).chain(parts.iter().copied()) {
        hasher
            .update(&(part.len() as u64).to_le_bytes())
            .update(part);
    }
    *hasher.finalize().as_bytes()
}
