//! Whether a pond still takes changes, and why not.
//!
//! After a failed sync nobody can tell what is on the disk, and a later sync that succeeds proves
//! nothing (P. Alvaro et al., "Can Applications Recover from fsync Failures?", USENIX ATC 2020). So the
//! first such failure makes the pond read-only until it is opened anew.

use parking_lot::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

#[derive(Default)]
pub(super) struct Health {
    read_only: AtomicBool,
    failed: AtomicBool,
    reason: Mutex<Option<String>>,
}

impl Health {
    pub(super) fn is_read_only(&self) -> bool {
        self.read_only.load(Ordering::Acquire)
    }

    /// Why the pond takes no changes; `None` while it does.
    pub(super) fn reason(&self) -> Option<String> {
        self.reason.lock().clone()
    }

    /// Ends all changes. The first reason stands.
    pub(super) fn fail(&self, reason: String) {
        tracing::error!("the pond is read-only from now on: {reason}");
        self.reason.lock().get_or_insert(reason);
        self.failed.store(true, Ordering::Release);
        self.read_only.store(true, Ordering::Release);
    }

    /// Whether changes ended because something is wrong.
    pub(super) fn has_failed(&self) -> bool {
        self.failed.load(Ordering::Acquire)
    }

    /// Ends all changes where nothing is wrong.
    pub(super) fn read_only(&self, why: &str) {
        self.reason.lock().get_or_insert(why.into());
        self.read_only.store(true, Ordering::Release);
    }
}
