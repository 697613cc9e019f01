//! `fsync` by many at once: one flush for all who wait.
//!
//! In: who wants to know when all that was acknowledged so far is on stable storage, and what to call
//! then. Holds always: at most one flush runs, and nobody waits for it but who asked for that. Whoever
//! finds none running flushes there and then; whoever comes meanwhile is answered by the next flush,
//! which began after they came. That one is made by a thread of its own, so that however many wait
//! for a slow disk, none of the threads that serve the mount is kept.

use super::Pond;
use crate::tinyfs::{Errno, FsError, FsResult};
use parking_lot::{Condvar, Mutex};
use std::sync::mpsc;

/// What is called with what came of a flush.
type Done = Box<dyn FnOnce(FsResult<()>) + Send>;

/// Who waits for a flush.
#[derive(Default)]
pub(super) struct Group {
    state: Mutex<State>,
    wake: Condvar,
}

#[derive(Default)]
struct State {
    /// A flush runs, or is handed to the thread.
    flushing: bool,
    /// The next flush is for the thread to make.
    handed: bool,
    waiting: Vec<Done>,
    stop: bool,
}

impl Group {
    pub(super) fn stop(&self) {
        self.state.lock().stop = true;
        self.wake.notify_all();
    }

    #[cfg(test)]
    pub(super) fn is_flushing(&self) -> bool {
        self.state.lock().flushing
    }

    /// Those that the next flush is for, if it is the thread's turn; `None` when it is time to stop.
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

    /// Ends a flush. Answers those that the next one is for, where no thread is left to make it.
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
    /// Calls `done` when every operation acknowledged before is on stable storage, or could not be
    /// put there; where a flush runs already, from another thread later on.
    pub fn fsync_then(&self, done: impl FnOnce(FsResult<()>) + Send + 'static) {
        {
            let mut state = self.group.state.lock();
            // A commit may wait for a prune: it is left to the thread.
            let leaves = self.commit_on_sync && !state.stop;
            if state.flushing || leaves {
                state.waiting.push(Box::new(done));
                if !state.flushing {
                    (state.flushing, state.handed) = (true, true);
                    self.group.wake.notify_all();
                }
                return;
            }
            state.flushing = true;
        }
        self.flush_for(vec![Box::new(done)]);
    }

    /// Like [`Pond::fsync_then`], and waits.
    pub fn fsync(&self) -> FsResult<()> {
        let (done, answer) = mpsc::sync_channel(1);
        self.fsync_then(move |flushed| {
            // Nobody stops waiting before.
            done.send(flushed).ok();
        });
        answer.recv().unwrap_or(Err(Errno::EIO.into()))
    }

    /// What `fsync` waits for: a flush, or a version, if the pond was opened so.
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
            // The cause goes to one of them, who logs it.
            first(flushed);
            waiting = self.group.end();
        }
    }

    /// The thread that flushes for those who came while a flush ran.
    pub(super) fn flush_until_stopped(&self) {
        while let Some(waiting) = self.group.wait_for_turn() {
            self.flush_for(waiting);
        }
    }
}
