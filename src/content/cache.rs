//! Caches verified extents, so that small reads within one extent fetch and hash it once.

use crate::tinyfs::SegmentId;
use bytes::Bytes;
use parking_lot::Mutex;
use std::collections::{HashMap, VecDeque};

/// The location of a stored extent, or of a part of one: segment, and offset in it.
type Place = (SegmentId, u64);

/// A cache that is bounded in bytes and evicts first in, first out. Recency would add little:
/// sequential reads leave an extent behind, and the kernel's page cache keeps what was read.
pub(super) struct Cache {
    capacity: usize,
    held: Mutex<Held>,
}

#[derive(Default)]
struct Held {
    extents: HashMap<Place, Bytes>,
    order: VecDeque<Place>,
    bytes: usize,
}

impl Cache {
    pub(super) fn new(capacity: usize) -> Cache {
        Cache {
            capacity,
            held: Mutex::default(),
        }
    }

    /// Returns the bytes at `place` if they are cached with a length of `len`.
    pub(super) fn get(&self, place: Place, len: u32) -> Option<Bytes> {
        let held = self.held.lock();
        let bytes = held.extents.get(&place)?;
        (bytes.len() == len as usize).then(|| bytes.clone())
    }

    pub(super) fn put(&self, place: Place, bytes: Bytes) {
        let mut held = self.held.lock();
        held.bytes += bytes.len();
        match held.extents.insert(place, bytes) {
            Some(old) => held.bytes -= old.len(),
            None => held.order.push_back(place),
        }
        while held.bytes > self.capacity {
            let Some(oldest) = held.order.pop_front() else {
                break;
            };
            if let Some(old) = held.extents.remove(&oldest) {
                held.bytes -= old.len();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holds_no_more_than_its_capacity() {
        let cache = Cache::new(10);
        let place = |n| (SegmentId(n), 0);
        for n in 0..5 {
            cache.put(place(n), Bytes::from(vec![0; 4]));
        }
        assert_eq!(cache.get(place(2), 4), None);
        assert_eq!(cache.get(place(4), 4).map(|b| b.len()), Some(4));
        assert_eq!(
            cache.get(place(4), 5),
            None,
            "of another length: not the same extent"
        );
        assert!(cache.held.lock().bytes <= 10);
    }
}
