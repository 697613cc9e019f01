//! The table of requests that have no reply yet.
//!
//! Requests are added when they are read and removed after their reply was sent, so that a request
//! that is never answered stays visible. The table is sharded by the kernel's request number. Each
//! shard has its own lock, held for an insertion or a removal, so that contention is rare.

use super::Op;
use parking_lot::Mutex;
use rustc_hash::FxHashMap;
use std::time::Instant;

/// The number of shards. Request numbers are even.
const SHARDS: usize = 16;

/// A request that was read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    pub(super) op: Op,
    pub(super) ino: u64,
    pub(super) pid: u32,
    pub(super) since: Instant,
}

impl Entry {
    pub(super) fn new(op: Op, ino: u64, pid: u32) -> Entry {
        let since = Instant::now();
        Entry {
            op,
            ino,
            pid,
            since,
        }
    }
}

/// The numbers of requests read and answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) received: u64,
    pub(super) replied: u64,
}

#[derive(Debug, Default)]
struct Shard {
    entries: FxHashMap<u64, Entry>,
    counts: Counts,
}

#[derive(Debug, Default)]
pub(super) struct Table {
    shards: [Mutex<Shard>; SHARDS],
}

impl Table {
    fn shard(&self, unique: u64) -> &Mutex<Shard> {
        let [first, ..] = &self.shards;
        self.shards
            .get((unique >> 1) as usize % SHARDS)
            .unwrap_or(first)
    }

    pub(super) fn insert(&self, unique: u64, entry: Entry) {
        let mut shard = self.shard(unique).lock();
        shard.counts.received += 1;
        shard.entries.insert(unique, entry);
    }

    pub(super) fn remove(&self, unique: u64) {
        let mut shard = self.shard(unique).lock();
        shard.counts.replied += 1;
        shard.entries.remove(&unique);
    }

    pub(super) fn counts(&self) -> Counts {
        let mut all = Counts::default();
        for shard in &self.shards {
            let counts = shard.lock().counts;
            all.received += counts.received;
            all.replied += counts.replied;
        }
        all
    }

    /// Returns the request that has waited longest, with its number.
    pub(super) fn oldest(&self) -> Option<(u64, Entry)> {
        let oldest = |shard: &Mutex<Shard>| {
            let shard = shard.lock();
            let entries = shard
                .entries
                .iter()
                .map(|(unique, entry)| (*unique, *entry));
            entries.min_by_key(|(_, entry)| entry.since)
        };
        let oldest = self.shards.iter().filter_map(oldest);
        oldest.min_by_key(|(_, entry)| entry.since)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_unanswered_request_is_found_and_all_are_counted() {
        let table = Table::default();
        assert!(table.oldest().is_none());
        for unique in 1..=100u64 {
            table.insert(2 * unique, Entry::new(Op::Read, unique, 7));
        }
        for unique in 1..=40 {
            table.remove(2 * unique);
        }
        let (unique, entry) = table.oldest().unwrap();
        assert_eq!((unique, entry.ino, entry.pid), (82, 41, 7));
        let counts = Counts {
            received: 100,
            replied: 40,
        };
        assert_eq!(table.counts(), counts);
    }
}
