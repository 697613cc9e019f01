//! Writers that run during a crash, and journals of what was acknowledged.
//!
//! A writer performs operations and keeps a journal, outside the pond, of what was acknowledged.
//! After the crash the journal is compared with the tree. [`script`] checks the exact prefix,
//! operation by operation; [`publish`] saves larger files safely: write, fsync, rename. [`deposit`]
//! writes files while another operation replaces everything. [`fill`] runs until the disk is full,
//! and [`mixed`] until it is stopped.

pub mod deposit;
pub mod fill;
pub mod mixed;
pub mod publish;
pub mod script;

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// State that the test and its writers share.
#[derive(Debug, Default)]
pub struct Signals {
    /// The number of successful fsyncs of all writers.
    synced: AtomicU64,
    /// Set at the crash: from now on errors are expected, and writers stop.
    over: AtomicBool,
}

impl Signals {
    /// Waits until this many fsyncs have succeeded: a crash before the first one proves nothing.
    #[track_caller]
    pub fn await_synced(&self, count: u64) {
        let deadline = Instant::now() + Duration::from_secs(60);
        while self.synced.load(Ordering::Acquire) < count {
            assert!(
                Instant::now() < deadline,
                "the writers did not get {count} fsyncs done in a minute"
            );
            thread::sleep(Duration::from_millis(1));
        }
    }

    /// Signals the crash.
    pub fn end(&self) {
        self.over.store(true, Ordering::Release);
    }

    pub fn ended(&self) -> bool {
        self.over.load(Ordering::Acquire)
    }

    /// Counts an fsync that succeeded, if it returned before the crash: only then is it a promise.
    /// After a real power cut no caller sees a reply; but a file system that is shut down during a
    /// sync returns success. (ext4 finds the transaction ended, xfs the inode unpinned; neither
    /// checks the shutdown again.)
    #[must_use]
    fn count_sync(&self) -> bool {
        let before = !self.ended();
        self.synced.fetch_add(u64::from(before), Ordering::Release);
        before
    }

    /// Returns a finding for an error before the crash; after it, the error only ends the writer.
    fn judge(&self, error: io::Error, doing: &str) -> Option<String> {
        (!self.ended()).then(|| format!("{doing} failed before the crash: {error}"))
    }
}

/// The result of checking one journal.
#[derive(Clone, Copy, Debug, Default)]
pub struct Proof {
    /// Operations, or files, that were durable and are all there.
    pub durable: usize,
    /// The number of acknowledged operations or files.
    pub acknowledged: usize,
    /// The number found in the tree.
    pub found: usize,
}

impl std::ops::AddAssign for Proof {
    fn add_assign(&mut self, other: Proof) {
        self.durable += other.durable;
        self.acknowledged += other.acknowledged;
        self.found += other.found;
    }
}
