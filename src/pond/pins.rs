//! Counts the kernel's references to each node: one for each name that it looked up and caches.

use crate::tinyfs::NodeId;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::collections::hash_map::Entry;

/// Reference counts of the kernel, by node.
#[derive(Default)]
pub(super) struct Pins(Mutex<HashMap<NodeId, u64>>);

impl Pins {
    pub(super) fn pin(&self, id: NodeId) {
        *self.0.lock().entry(id).or_default() += 1;
    }

    /// Removes `count` references, and returns whether that was the last.
    pub(super) fn unpin(&self, id: NodeId, count: u64) -> bool {
        let mut pins = self.0.lock();
        let Entry::Occupied(mut pin) = pins.entry(id) else {
            return false;
        };
        *pin.get_mut() = pin.get().saturating_sub(count);
        let last = *pin.get() == 0;
        if last {
            pin.remove();
        }
        last
    }

    pub(super) fn is_pinned(&self, id: NodeId) -> bool {
        self.0.lock().contains_key(&id)
    }
}
