//! Group commit of `fsync`: one flush for all waiting callers.
//!
//! In: a callback for each caller that needs all acknowledged operations on stable storage.
//! Invariant: at most one flush runs, and only the callers that asked for it wait for it. A caller
//! that finds no flush running flushes in its own thread. A caller that arrives during a flush is
//! answered by the next one, which begins after its arrival. A thread of its own runs that flush,
//! so that no number of callers waiting for a slow disk blocks a thread that serves the mount.

use super::Pond;
use crate::tinyfs::{Errno, FsError, FsResult};
use parking_lot::{Condvar, Mutex};
use std::sync::mpsc;

/// A callback that receives the result of a flush.
type Done = Box<dyn FnOnce(FsResult<()>) + Send>;

/// The callers that wait for a flush.
#[derive(Default)]
pub(super) struct GroupCommit {
    state: Mutex<State>,
    wake: Condvar,
}

#[derive(Default)]
struct State {
    /// A flush runs, or is handed to the thread.
    flushing: bool,
    /// The next flush is to be run by the thread.
    handed: bool,
    waiting: Vec<Done>,
    stop: bool,
}

impl GroupCommit {
    pub(super) fn stop(&self) {
        self.state.lock().stop = true;
        self.wake.notify_all();
    }

    #[cfg(test)]
    pub(super) fn is_flushing(&self) -> bool {
        self.state.lock().flushing
    }

    /// Returns the callers of the next flush once it is the thread's turn; `None` when it is time
    /// to stop.
    fn wait_for_turn(&self) -> Option<Vec<Done>> {
        let mut state = self.state.lock();
        while !state.handed {
            if state.stop {
                return None;
            }
            self.wake.wait(&mut state);
        }
        state.handed = false;
        Some(std::mem::take(&mut state.waiting))
    }

    /// Ends a flush. Returns the callers of the next one if no thread is left to run it.
    fn end(&self) -> Vec<Done> {
        let mut state = self.state.lock();
        match (state.waiting.is_empty(), state.stop) {
            (true, _) => state.flushing = false,
            (false, true) => return std::mem::take(&mut state.waiting),
            (false, false) => {
                state.handed = true;
                self.wake.notify_all();
            }
        }
        Vec::new()
    }
}

impl Pond {
    /// Calls `done` once every operation acknowledged before is on stable storage, or has failed to
    /// get there. If a flush runs already, another thread calls it later.
    pub fn fsync_then(&self, done: impl FnOnce(FsResult<()>) + Send + 'static) {
        {
            let mut state = self.group_commit.state.lock();
            // A commit may wait for a prune: it is left to the thread.
            let leaves = self.commit_on_sync && !state.stop;
            if state.flushing || leaves {
                state.waiting.push(Box::new(done));
                if !state.flushing {
                    (state.flushing, state.handed) = (true, true);
                    self.group_commit.wake.notify_all();
                }
                return;
            }
            state.flushing = true;
        }
        self.flush_for(vec![Box::new(done)]);
    }

    /// Like [`Pond::fsync_then`], and waits for the result.
    pub fn fsync(&self) -> FsResult<()> {
        let (done, answer) = mpsc::sync_channel(1);
        self.fsync_then(move |flushed| {
            // The receiver below waits until then.
            done.send(flushed).ok();
        });
        answer.recv().unwrap_or(Err(Errno::EIO.into()))
    }

    /// Makes acknowledged operations durable: by a flush, or by a version if the pond was opened
    /// with `commit_on_sync`.
    fn make_durable(&self) -> FsResult<()> {
        match self.commit_on_sync && !self.health.is_read_only() {
            true => self.flush().and_then(|()| Ok(self.commit().map(drop)?)),
            false => self.flush(),
        }
    }

    fn flush_for(&self, mut waiting: Vec<Done>) {
        while let Some(first) = waiting.pop() {
            let flushed = self.make_durable();
            let errno = flushed.as_ref().err().map(FsError::errno);
            for done in waiting {
                done(errno.map_or(Ok(()), |errno| Err(errno.into())));
            }
            // Only one caller gets the cause, and logs it.
            first(flushed);
            waiting = self.group_commit.end();
        }
    }

    /// Runs the thread that flushes for the callers that arrived during a flush.
    pub(super) fn flush_until_stopped(&self) {
        while let Some(waiting) = self.group_commit.wait_for_turn() {
            self.flush_for(waiting);
        }
    }
}
