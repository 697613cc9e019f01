//! Records whether a pond still takes changes, and the reason if it does not.
//!
//! After a failed sync the content of the disk is unknown, and a later sync that succeeds proves
//! nothing (P. Alvaro et al., "Can Applications Recover from fsync Failures?", USENIX ATC 2020).
//! So the first such failure makes the pond read-only until it is opened again.

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

    /// Returns why the pond takes no changes; `None` while it does.
    pub(super) fn reason(&self) -> Option<String> {
        self.reason.lock().clone()
    }

    /// Makes the pond read-only after a failure. The first reason is kept.
    pub(super) fn fail(&self, reason: String) {
        tracing::error!("the pond is read-only from now on: {reason}");
        self.reason.lock().get_or_insert(reason);
        self.failed.store(true, Ordering::Release);
        self.read_only.store(true, Ordering::Release);
    }

    /// Returns whether the pond became read-only because of a failure.
    pub(super) fn has_failed(&self) -> bool {
        self.failed.load(Ordering::Acquire)
    }

    /// Makes the pond read-only without a failure.
    pub(super) fn read_only(&self, why: &str) {
        self.reason.lock().get_or_insert(why.into());
        self.read_only.store(true, Ordering::Release);
    }
}
