//! Content is moved from memory to segments when much of it waits there, and writers wait meanwhile.
//!
//! The spilling thread begins at the limit `spill-at`. From `wait-at` on, a write is applied and its answer
//! is kept back until the next spill has ended; the spilling thread then gives it
//! ([`Pond::apply_backpressure`]). So no thread that serves the kernel waits for the disk.
//!
//! Invariant: memory is bounded. At most `held-replies` answers are kept back, each of a write of
//! at most one request's length; a writer that comes when there are so many waits itself. While
//! content cannot be spilled, writes that would add to it are refused, with the error of the spill.

use super::{Pond, PondError};
use crate::tinyfs::{Errno, FsError, FsResult, describe};
use parking_lot::{Condvar, Mutex};
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Duration;

/// How long after a spill that failed the next one is tried.
const RETRY: Duration = Duration::from_millis(500);

/// What is called when a write may be answered.
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

    /// Keeps an answer back until the next spill has ended; gives it back where there will be none.
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

    /// Answers the writes that wait, after a spill or at the end.
    fn answer(&self, spilled: FsResult<()>) {
        let deferred = std::mem::take(&mut self.state.lock().deferred);
        self.changed.notify_all();
        let errno = spilled.as_ref().err().map(FsError::errno);
        let mut cause = Some(spilled);
        for done in deferred {
            // The cause goes to the first, which reports it.
            let again = || errno.map_or(Ok(()), |errno| Err(errno.into()));
            done(cause.take().unwrap_or_else(again));
        }
    }

    /// Waits before the next try.
    fn rest(&self) {
        let mut state = self.state.lock();
        if !state.stop {
            self.changed.wait_for(&mut state, RETRY);
        }
    }
}

impl Pond {
    /// Refuses an operation while versions cannot be committed and too many records wait for it, with
    /// the error of the last commit.
    pub(super) fn must_have_memory_for_records(&self) -> FsResult<()> {
        self.refuse_from(self.refuse_at())
    }

    /// The same for an operation that only removes something: those go on for longer.
    pub(super) fn must_have_memory_to_remove(&self) -> FsResult<()> {
        self.refuse_from(self.refuse_at().saturating_mul(2))
    }

    /// Bytes of records at which operations are refused while versions cannot be committed.
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

    /// Has an open version of many records committed without waiting any longer.
    pub(super) fn hurry_large_version(&self) {
        let dirty = self.index.dirty();
        if dirty.bytes - dirty.unsettled >= self.limits.commit_at {
            self.committer.hurry();
        }
    }

    /// Refuses an operation that adds content while it cannot be spilled and there is too much of it.
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

    /// After a write: calls `done` when there is memory for the next one. At once, or, where too much
    /// content waits, from the spilling thread when it has moved it to segments.
    pub(super) fn apply_backpressure(&self, done: impl FnOnce(FsResult<()>) + Send + 'static) {
        let dirty = self.index.dirty();
        if dirty.unsettled < self.limits.wait_at {
            if dirty.unsettled >= self.limits.spill_at {
                self.spiller.want();
            }
            return done(Ok(()));
        }
        if let Some(done) = self.spiller.defer(Box::new(done), self.limits.held_replies) {
            // The pond is being closed, which spills all that is left.
            done(Ok(()));
        }
    }

    /// The spilling thread.
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

    /// Moves content of removed files that are still open out of memory. Nothing else ever does.
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
