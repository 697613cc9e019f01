//! Saves under way: files that are open and changed, and have not been closed or synced since.
//!
//! A version is made when there are none, so that it never holds half of one. A file that is
//! written continuously, such as a log, blocks versions for at most [`LONGEST`]; nor does a version
//! wait longer than the limit `save-wait` for a moment without saves.

use crate::tinyfs::NodeId;
use parking_lot::{Condvar, Mutex};
use rustc_hash::FxHashMap;
use std::time::{Duration, Instant};

/// A file that is written for longer than this without a close or a sync is no save.
const LONGEST: Duration = Duration::from_secs(60);
/// How often `hurry` is checked during a wait.
const LOOK: Duration = Duration::from_millis(50);

#[derive(Default)]
pub(super) struct Saves {
    open: Mutex<FxHashMap<NodeId, Save>>,
    ended: Condvar,
}

/// A file that is open for writing.
#[derive(Default)]
struct Save {
    /// Number of writers that have it open.
    writers: u32,
    /// When it was first changed since its last close or sync.
    since: Option<Instant>,
    /// Whether it was changed since it was opened.
    changed: bool,
}

impl Save {
    fn change(&mut self) {
        self.since.get_or_insert_with(Instant::now);
        self.changed = true;
    }

    fn is_under_way(&self) -> bool {
        self.since.is_some_and(|since| since.elapsed() < LONGEST)
    }
}

impl Saves {
    /// Notes that a file is opened for writing; with `changed` it is new.
    pub(super) fn opened(&self, id: NodeId, changed: bool) {
        let mut open = self.open.lock();
        let save = open.entry(id).or_default();
        save.writers += 1;
        if changed {
            save.change();
        }
    }

    /// Notes a change of a file. The change of a file that is not open is complete in itself.
    pub(super) fn changed(&self, id: NodeId) {
        if let Some(save) = self.open.lock().get_mut(&id) {
            save.change();
        }
    }

    /// Notes that one writer closes a file.
    pub(super) fn closed(&self, id: NodeId) {
        let mut open = self.open.lock();
        let Some(save) = open.get_mut(&id) else {
            return;
        };
        save.writers = save.writers.saturating_sub(1);
        if save.writers == 0 {
            open.remove(&id);
            self.ended.notify_all();
        }
    }

    /// Notes a sync of a file, which ends a save as well.
    pub(super) fn synced(&self, id: NodeId) {
        if let Some(save) = self.open.lock().get_mut(&id) {
            save.since = None;
            self.ended.notify_all();
        }
    }

    /// Returns whether a file is open for writing.
    pub(super) fn is_open(&self, id: NodeId) -> bool {
        self.open.lock().contains_key(&id)
    }

    /// Returns whether a file was changed since it was opened.
    pub(super) fn is_changed(&self, id: NodeId) -> bool {
        let open = self.open.lock();
        open.get(&id).is_some_and(|save| save.changed)
    }

    /// Returns whether no save is under way.
    pub(super) fn are_none(&self) -> bool {
        !self.open.lock().values().any(Save::is_under_way)
    }

    /// Waits until no save is under way, `until` is reached, or `hurry` returns true.
    pub(super) fn wait(&self, until: Instant, hurry: impl Fn() -> bool) {
        let mut open = self.open.lock();
        while open.values().any(Save::is_under_way) && Instant::now() < until && !hurry() {
            self.ended.wait_for(&mut open, LOOK);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const F: NodeId = NodeId(5);

    #[test]
    fn a_save_lasts_from_the_first_change_to_a_close_or_a_sync() {
        let saves = Saves::default();
        saves.changed(F);
        assert!(saves.are_none(), "nobody has it open");
        saves.opened(F, false);
        assert!(saves.are_none());
        saves.changed(F);
        assert!(!saves.are_none() && saves.is_changed(F));
        saves.synced(F);
        assert!(
            saves.are_none() && saves.is_changed(F),
            "a close is still to come"
        );
        saves.changed(F);
        saves.opened(F, false);
        saves.closed(F);
        assert!(!saves.are_none(), "the other one still writes");
        saves.closed(F);
        assert!(saves.are_none() && !saves.is_changed(F));
        saves.opened(F, true);
        assert!(!saves.are_none(), "a new file is one from the start");
    }

    #[test]
    fn nobody_waits_for_ever() {
        let saves = Saves::default();
        saves.opened(F, true);
        let start = Instant::now();
        saves.wait(start + Duration::from_millis(20), || false);
        saves.wait(start + Duration::from_secs(1000), || true);
        assert!(start.elapsed() < Duration::from_secs(100));
    }
}
