//! Small results in memory, in front of the cache on disk.

use super::cache::Cache;
use crate::query::{Hash, Keep};
use bytes::Bytes;
use parking_lot::Mutex;
use rustc_hash::FxHashMap;
use std::sync::Arc;

/// What is no longer than this stays in memory only, if it is quick to make again: hashes of windows.
const SMALL: usize = 64;
/// How many of these there are at most; then they go, and are made again as they are needed.
const MOST: usize = 1 << 18;

/// A memory of results: hashes in memory, all else on disk.
pub(super) struct Results {
    disk: Arc<Cache>,
    small: Mutex<FxHashMap<Hash, Bytes>>,
}

impl Results {
    pub(super) fn new(disk: Arc<Cache>) -> Results {
        Results {
            disk,
            small: Mutex::default(),
        }
    }
}

impl Keep for Results {
    fn get(&self, key: &Hash) -> Option<Bytes> {
        let small = self.small.lock().get(key).cloned();
        small.or_else(|| self.disk.get(key))
    }

    fn put(&self, key: &Hash, value: Bytes) {
        if value.len() > SMALL {
            return self.disk.put(key, value);
        }
        let mut small = self.small.lock();
        if small.len() >= MOST {
            small.clear();
        }
        small.insert(*key, value);
    }
}
