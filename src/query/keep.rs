//! What is remembered of what was computed.

use super::blob::Hash;
use bytes::Bytes;
use parking_lot::Mutex;
use std::collections::BTreeMap;

/// A memory of results by what they were computed from. It may forget anything at any time.
pub trait Keep: Send + Sync {
    /// What was kept under a key.
    fn get(&self, key: &Hash) -> Option<Bytes>;
    /// Keeps something.
    fn put(&self, key: &Hash, value: Bytes);
}

/// Remembers nothing.
pub struct Nothing;

impl Keep for Nothing {
    fn get(&self, _: &Hash) -> Option<Bytes> {
        None
    }

    fn put(&self, _: &Hash, _: Bytes) {}
}

/// Remembers everything, in memory.
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

/// A key: the hash of a word that tells what it is for, and of what goes into it.
pub fn key(word: &str, parts: &[&[u8]]) -> Hash {
    let mut hasher = blake3::Hasher::new();
    for part in std::iter::once(word.as_bytes()).chain(parts.iter().copied()) {
        hasher
            .update(&(part.len() as u64).to_le_bytes())
            .update(part);
    }
    *hasher.finalize().as_bytes()
}
