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

/// What is no longer than this stays in memory for a while, beside the disk: a series is made at many resolutions, one
/// after the other, of the same partial results.
const MEDIUM: usize = 64 << 10;
/// Bytes of these at most; then they go.
const RECENT: usize = 16 << 20;

/// A memory of results: hashes in memory, all else on disk.
pub(super) struct Results {
    disk: Arc<Cache>,
    small: Mutex<FxHashMap<Hash, Bytes>>,
    recent: Mutex<Recent>,
}

#[derive(Default)]
struct Recent {
    held: FxHashMap<Hash, Bytes>,
    bytes: usize,
}

impl Recent {
    fn note(&mut self, key: &Hash, value: &Bytes) {
        if value.len() > MEDIUM {
            return;
        }
        if self.bytes + value.len() > RECENT {
            *self = Recent::default();
        }
        let before = self.held.insert(*key, value.clone());
        self.bytes += value.len();
        self.bytes -= before.map_or(0, |before| before.len());
    }
}

impl Results {
    pub(super) fn new(disk: Arc<Cache>) -> Results {
        Results {
            disk,
            small: Mutex::default(),
            recent: Mutex::default(),
        }
    }
}

impl Keep for Results {
    fn get(&self, key: &Hash) -> Option<Bytes> {
        let small = self.small.lock().get(key).cloned();
        let here = small.or_else(|| self.recent.lock().held.get(key).cloned());
        if here.is_some() {
            return here;
        }
        let found = self.disk.get(key)?;
        self.recent.lock().note(key, &found);
        Some(found)
    }

    fn put(&self, key: &Hash, value: Bytes) {
        if value.len() > SMALL {
            self.recent.lock().note(key, &value);
            return self.disk.put(key, value);
        }
        let mut small = self.small.lock();
        if small.len() >= MOST {
            small.clear();
        }
        small.insert(*key, value);
    }
}
