//! Small results in memory, in front of the cache on disk.

use super::cache::Cache;
use crate::query::{Hash, Keep};
use bytes::Bytes;
use parking_lot::Mutex;
use rustc_hash::FxHashMap;
use std::sync::Arc;

/// Results of at most this many bytes that are quick to render stay in memory only: hashes of
/// windows.
const SMALL: usize = 64;
/// The most of these; then all are dropped, and rendered again on demand.
const MOST: usize = 1 << 18;

/// Results of at most this many bytes stay in memory for a while, as well as on disk: a series is
/// rendered at several resolutions, one after the other, from the same partial results.
const MEDIUM: usize = 64 << 10;
/// The most bytes of these; then all are dropped.
const RECENT: usize = 16 << 20;

/// A store of results: hashes in memory, all else on disk.
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
