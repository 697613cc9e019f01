//! Spills content from memory to segments, and delays writers while there is too much of it.
//!
//! The spilling thread begins at the limit `spill-at`. From `wait-at` on, a write is applied and
//! its reply is held back until the next spill has ended; then the spilling thread sends it
//! ([`Pond::apply_backpressure`]). So no thread that serves the kernel waits for the disk.
//!
//! Invariant: memory is bounded. At most `held-replies` replies are held back, each of a write of
//! at most one request's length; beyond that, a writer itself waits. While content cannot be
//! spilled, writes that would add to it are refused, with the error of the spill.

use super::{Pond, PondError};
use crate::tinyfs::{Errno, FsError, FsResult, describe};
use parking_lot::{Condvar, Mutex};
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Duration;

/// The delay before a failed spill is retried.
const RETRY: Duration = Duration::from_millis(500);

/// A callback for the moment at which a write may be answered.
type Done = Box<dyn FnOnce(FsResult<()>) + Send>;

/// The spilling thread, and the writers that wait for it.
#[derive(Default)]
pub(super) struct Spiller {
    state: Mutex<State>,
    changed: Condvar,
    /// The error of the last spill; 0 if it succeeded.
    failed: AtomicI32,
}

#[derive(Default)]
struct State {
    wanted: bool,
    stop: bool,
    deferred: Vec<Done>,
}

impl Spiller {
    pub(super) fn stop(&self) {
        self.state.lock().stop = true;
        self.changed.notify_all();
    }

    fn want(&self) {
        self.state.lock().wanted = true;
        self.changed.notify_all();
    }

    /// Holds a reply back until the next spill has ended; returns it if there will be none.
    fn defer(&self, done: Done, most: usize) -> Option<Done> {
        let mut state = self.state.lock();
        while state.deferred.len() >= most && !state.stop {
            self.changed.wait(&mut state);
        }
        if state.stop {
            return Some(done);
        }
        state.wanted = true;
        state.deferred.push(done);
        self.changed.notify_all();
        None
    }

    /// Waits until a spill is wanted; returns false when it is time to stop.
    fn wait(&self) -> bool {
        let mut state = self.state.lock();
        while !state.wanted && !state.stop {
            self.changed.wait(&mut state);
        }
        state.wanted = false;
        !state.stop
    }

    /// Answers the waiting writes, after a spill or at the end.
    fn answer(&self, spilled: FsResult<()>) {
        let deferred = std::mem::take(&mut self.state.lock().deferred);
        self.changed.notify_all();
        let errno = spilled.as_ref().err().map(FsError::errno);
        let mut cause = Some(spilled);
        for done in deferred {
            // Only the first gets the cause, and reports it.
            let again = || errno.map_or(Ok(()), |errno| Err(errno.into()));
            done(cause.take().unwrap_or_else(again));
        }
    }

    /// Waits before the next attempt.
    fn rest(&self) {
        let mut state = self.state.lock();
        if !state.stop {
            self.changed.wait_for(&mut state, RETRY);
        }
    }
}

impl Pond {
    /// Refuses an operation while versions cannot be committed and too many records wait for a
    /// commit, with the error of the last commit.
    pub(super) fn must_have_memory_for_records(&self) -> FsResult<()> {
        self.refuse_from(self.refuse_at())
    }

    /// Does the same for an operation that only removes something, at twice as many bytes.
    pub(super) fn must_have_memory_to_remove(&self) -> FsResult<()> {
        self.refuse_from(self.refuse_at().saturating_mul(2))
    }

    /// Returns the bytes of records from which operations are refused while commits fail.
    fn refuse_at(&self) -> u64 {
        self.limits.commit_at.saturating_mul(2)
    }

    fn refuse_from(&self, bytes: u64) -> FsResult<()> {
        let Some(errno) = self.committer.failed() else {
            return Ok(());
        };
        let dirty = self.index.dirty();
        match dirty.bytes - dirty.unsettled < bytes {
            true => Ok(()),
            false => {
                self.committer.hurry();
                Err(errno.into())
            }
        }
    }

    /// Requests a commit at once if the open version has many records.
    pub(super) fn hurry_large_version(&self) {
        let dirty = self.index.dirty();
        if dirty.bytes - dirty.unsettled >= self.limits.commit_at {
            self.committer.hurry();
        }
    }

    /// Refuses an operation that adds content while too much of it is in memory and spills fail.
    pub(super) fn must_have_memory_for_content(&self) -> FsResult<()> {
        match self.spiller.failed.load(Ordering::Relaxed) {
            0 => Ok(()),
            _ if self.index.dirty().unsettled < self.limits.wait_at => Ok(()),
            errno => {
                self.spiller.want();
                Err(Errno(errno).into())
            }
        }
    }

    /// Calls `done` when there is memory for the next write: at once, or, if too much content is in
    /// memory, from the spilling thread once the content is in segments.
    pub(super) fn apply_backpressure(&self, done: impl FnOnce(FsResult<()>) + Send + 'static) {
        let dirty = self.index.dirty();
        if dirty.unsettled < self.limits.wait_at {
            if dirty.unsettled >= self.limits.spill_at {
                self.spiller.want();
            }
            return done(Ok(()));
        }
        if let Some(done) = self.spiller.defer(Box::new(done), self.limits.held_replies) {
            // The pond is being closed, which spills the rest.
            done(Ok(()));
        }
    }

    /// Runs the spilling thread.
    pub(super) fn spill_until_stopped(&self) {
        while self.spiller.wait() {
            let spilled = self.spill();
            let errno = spilled.as_ref().err().map_or(0, |error| error.errno().0);
            self.spiller.failed.store(errno, Ordering::Relaxed);
            let failed = spilled.is_err();
            if let Err(error) = &spilled {
                tracing::warn!("content stays in memory: {}", describe(error));
            }
            self.spiller.answer(spilled);
            if failed {
                self.spiller.rest();
            }
        }
        self.spiller.answer(Ok(()));
    }

    fn spill(&self) -> FsResult<()> {
        let _settling = self.flusher.settling.lock();
        let spilled = self.freeze_and_settle();
        let spilled = spilled.and_then(|()| self.settle_orphans());
        spilled.map_err(FsError::store)
    }

    /// Spills content of removed files that are still open. No other code does.
    fn settle_orphans(&self) -> Result<(), PondError> {
        if self.index.orphan_extents().1 < self.limits.spill_at {
            return Ok(());
        }
        let _no_short_change = self.gate.alone();
        let _no_operation_between = self.changing.lock();
        let (extents, _) = self.index.orphan_extents();
        let known = |hash: &[u8; 32]| self.index.stored(hash);
        self.index
            .settle_orphans(self.content.settle(&extents, &known)?);
        Ok(())
    }
}
