//! Tracks the kernel's cached attributes of derived directories, and invalidates them.
//!
//! A reply to GETATTR lets the kernel cache the attributes of a derived directory. The first change
//! of the pond after that invalidates them in the thread that made the change. Replies to mutations
//! are therefore sent after the invalidations that they cause.
//!
//! Invariant: no reply ever waits for a notification that can wait for a request.
//! - `NOTIFY_INVAL_INODE` with a negative offset drops attributes only. The kernel takes a spinlock
//!   for it, but no inode lock and no page lock. So a serving thread may issue it.
//! - `NOTIFY_INVAL_ENTRY` takes the lock of the directory, which the kernel holds during LOOKUP,
//!   READDIR, MKDIR, UNLINK and the like. Names of derived files are therefore not cached at all
//!   (TTL 0): the kernel asks again by LOOKUP. Names of derived directories are cached for ever;
//!   the next request for one that is gone fails with `ESTALE`, on which the kernel looks the whole
//!   path up again. See decision 18.

use crate::derive;
use crate::mount::cache::notify::Notifications;
use crate::mount::views::attr::{FOR_EVER, NOT_AT_ALL};
use parking_lot::Mutex;
use rustc_hash::FxHashSet;
use std::sync::atomic::{AtomicBool, Ordering, fence};
use std::time::Duration;

/// The most directories whose attributes the kernel may cache, and so the most notifications that
/// one change can cost.
const MOST: usize = 256;

/// The derived directories whose attributes the kernel caches.
#[derive(Default)]
pub(in crate::mount) struct CachedAttributes {
    /// Whether `dirs` is not empty; read by every change.
    any: AtomicBool,
    dirs: Mutex<FxHashSet<u64>>,
}

impl CachedAttributes {
    /// Returns how long the kernel may cache the attributes of a directory in this view, which it
    /// requested by inode number.
    pub(in crate::mount) fn cache(&self, ino: u64, view: &derive::View) -> Duration {
        {
            let mut dirs = self.dirs.lock();
            if dirs.len() >= MOST && !dirs.contains(&ino) {
                return NOT_AT_ALL;
            }
            dirs.insert(ino);
            self.any.store(true, Ordering::Relaxed);
        }
        // Either this thread sees the change below, or the thread that makes it sees the directory.
        fence(Ordering::SeqCst);
        match view.is_current() {
            true => FOR_EVER,
            false => NOT_AT_ALL,
        }
    }

    /// Invalidates all of them, after a change of the pond. The kernel does not cache a GETATTR
    /// reply that is still under way either: it compares versions of attributes.
    pub(in crate::mount) fn invalidate(&self, notifications: &Notifications) {
        fence(Ordering::SeqCst);
        if !self.any.load(Ordering::Acquire) {
            return;
        }
        // Another change waits for the lock, since its reply must follow these invalidations.
        let mut dirs = self.dirs.lock();
        for ino in dirs.drain() {
            notifications.invalidate_attributes(ino);
        }
        self.any.store(false, Ordering::Release);
    }
}
