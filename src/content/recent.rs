//! Remembers the locations of recently stored extents, which the index does not know until commit.

use crate::tinyfs::Stored;
use parking_lot::Mutex;
use std::collections::{HashMap, VecDeque};

/// Greatest number of remembered extents: about 2 GiB of content.
const MOST: usize = 1 << 14;

/// Stored extents by the BLAKE3 hash of their bytes, evicted first in, first out.
#[derive(Default)]
pub(super) struct Recent(Mutex<Noted>);

#[derive(Default)]
struct Noted {
    places: HashMap<[u8; 32], Stored>,
    order: VecDeque<[u8; 32]>,
}

impl Recent {
    pub(super) fn note(&self, stored: Stored) {
        let mut noted = self.0.lock();
        if noted.places.insert(stored.hash, stored).is_none() {
            noted.order.push_back(stored.hash);
        }
        if noted.order.len() > MOST
            && let Some(oldest) = noted.order.pop_front()
        {
            noted.places.remove(&oldest);
        }
    }

    pub(super) fn forget(&self) {
        *self.0.lock() = Noted::default();
    }

    pub(super) fn get(&self, hash: &[u8; 32]) -> Option<Stored> {
        self.0.lock().places.get(hash).copied()
    }
}
