//! Where what was stored lately stands, before a version has it.

use crate::tinyfs::Stored;
use parking_lot::Mutex;
use std::collections::{HashMap, VecDeque};

/// Extents that are remembered: some 2 GiB of them.
const MOST: usize = 1 << 14;

/// Stored extents by the hash of their bytes; the first in goes first.
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
