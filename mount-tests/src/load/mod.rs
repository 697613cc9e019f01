//! Writers that are killed under, and what they were promised.
//!
//! A writer performs operations and keeps a journal, outside the pond, of what was acknowledged. After the crash
//! the journal is held against the tree. [`script`] checks the exact prefix, operation by operation;
//! [`publish`] does what careful programs do with larger files: write, fsync, rename.
//! [`deposit`] puts files where an operation beside it replaces everything.
//! [`fill`] goes on until the disk is full, and [`mixed`] for as long as it is let.

pub mod deposit;
pub mod fill;
pub mod mixed;
pub mod publish;
pub mod script;

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// What the test and its writers tell each other.
#[derive(Debug, Default)]
pub struct Signals {
    /// Successful fsyncs of all writers.
    synced: AtomicU64,
    /// From now on errors are expected, and writers stop.
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

    /// The crash comes now.
    pub fn end(&self) {
        self.over.store(true, Ordering::Release);
    }

    pub fn ended(&self) -> bool {
        self.over.load(Ordering::Acquire)
    }

    /// Notes an fsync that succeeded, if it did so before the crash: only then it has promised something. Who has lost
    /// power sees no answer any more; but a disk that is shut down while its file system is asked to sync answers that
    /// it did. (ext4 finds the transaction ended, xfs the inode unpinned; neither looks again whether it was shut down.)
    #[must_use]
    fn count_sync(&self) -> bool {
        let before = !self.ended();
        self.synced.fetch_add(u64::from(before), Ordering::Release);
        before
    }

    /// An error before the crash is a finding of its own; after it, it is how the writer learns of the crash.
    fn judge(&self, error: io::Error, doing: &str) -> Option<String> {
        (!self.ended()).then(|| format!("{doing} failed before the crash: {error}"))
    }
}

/// What a check of one journal has shown.
#[derive(Clone, Copy, Debug, Default)]
pub struct Proof {
    /// Operations, or files, that were durable and are all there.
    pub durable: usize,
    /// What was acknowledged in all.
    pub acknowledged: usize,
    /// What the tree holds.
    pub found: usize,
}

impl std::ops::AddAssign for Proof {
    fn add_assign(&mut self, other: Proof) {
        self.durable += other.durable;
        self.acknowledged += other.acknowledged;
        self.found += other.found;
    }
}
