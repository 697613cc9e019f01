//! Housekeeping: keeps a pond as fast and as small at its millionth version as at its first.
//!
//! After commits, a thread of low priority joins small data files of the oplog and removes files
//! that the log no longer needs. Where the pond has rules for it, old versions are forgotten.
//!
//! In: a signal after each commit. Out: fewer files. Invariant: readers see the same at any version
//! before and after; a commit waits for a merge's commit, never for its work; a failed step is
//! retried after the next commit; a crash at any point leaves an intact pond.

use super::{Pond, PondError};
use crate::oplog::OplogError;
use crate::tinyfs::describe;
use parking_lot::{Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

/// The nice(1) increment of the thread.
const NICE: i32 = 10;
/// The delay after opening before versions are first forgotten by the rules of the pond.
const FIRST_PRUNE: Duration = Duration::from_secs(600);
/// The delay after an error before that is retried.
const PRUNE_AGAIN: Duration = Duration::from_secs(86_400);
/// The delay before an incomplete erasure is retried: a writer needed the segment, or the disk
/// failed.
const FINISH_AGAIN: Duration = Duration::from_secs(600);
/// How often unused memory is returned to the system.
const TRIM_EVERY: Duration = Duration::from_secs(10);
/// Bytes of the disk that housekeeping leaves free.
const ROOM: u64 = 64 << 20;
/// The divisor for a small disk: this share of it is left free instead.
const ROOM_SHARE: u64 = 16;

/// Signals the housekeeping thread.
#[derive(Default)]
pub(super) struct Keeper {
    /// Held while data files are joined, files cleaned up or versions forgotten.
    working: Mutex<()>,
    state: Mutex<State>,
    wake: Condvar,
}

#[derive(Default)]
struct State {
    wanted: bool,
    stop: bool,
}

impl Keeper {
    /// Notes that a version was made.
    pub(super) fn committed(&self) {
        self.state.lock().wanted = true;
        self.wake.notify_all();
    }

    pub(super) fn stop(&self) {
        self.state.lock().stop = true;
        self.wake.notify_all();
    }

    /// Excludes all other housekeeping.
    pub(super) fn alone(&self) -> MutexGuard<'_, ()> {
        self.working.lock()
    }

    fn stopped(&self) -> bool {
        self.state.lock().stop
    }

    /// Waits for work; returns false when it is time to stop.
    fn wait(&self) -> bool {
        let mut state = self.state.lock();
        while !state.wanted && !state.stop {
            self.wake.wait(&mut state);
        }
        state.wanted = false;
        !state.stop
    }
}

impl Pond {
    /// Runs the housekeeping thread.
    pub(super) fn keep_until_stopped(&self) {
        // To the scheduler of Linux a thread is a process.
        let own = rustix::thread::gettid();
        if let Err(error) = rustix::process::setpriority_process(Some(own), NICE) {
            tracing::debug!("housekeeping has the priority of all else: {error}");
        }
        let mut finish_at = self.finish_soon();
        let mut prune_at = Instant::now() + FIRST_PRUNE;
        let mut trim_at = Instant::now() + TRIM_EVERY;
        while self.keeper.wait() {
            if self.health.is_read_only() {
                return;
            }
            self.leaps.note((self.clock)(), Instant::now());
            if Instant::now() >= finish_at {
                finish_at = self.finish_soon();
            }
            let mut kept = self.keep_house();
            if kept.is_ok() && Instant::now() >= prune_at {
                let pruned = self.prune_by_rule();
                let after = pruned.as_ref().map_or(PRUNE_AGAIN, |after| *after);
                prune_at = Instant::now() + after;
                kept = pruned.map(drop);
            }
            if let Err(error) = kept {
                tracing::warn!("housekeeping is left for later: {}", describe(&error));
            }
            if Instant::now() >= trim_at {
                give_memory_back();
                trim_at = Instant::now() + TRIM_EVERY;
            }
        }
    }

    /// Finishes a rewrite of the history that a crash or a writer interrupted. Returns the time of
    /// the next attempt.
    fn finish_soon(&self) -> Instant {
        let wait = match self.finish_rewrite() {
            Ok(left) if left.is_empty() => Duration::ZERO,
            Ok(_) => FINISH_AGAIN,
            Err(error) => {
                tracing::warn!("forgotten bytes are erased later: {}", describe(&error));
                FINISH_AGAIN
            }
        };
        Instant::now() + wait
    }

    /// Performs all housekeeping that is due.
    pub(super) fn keep_house(&self) -> Result<(), PondError> {
        let _alone = self.keeper.alone();
        while !self.keeper.stopped() && self.merge_once()? {}
        let due = self.log.lock().oplog_mut().clean_up_due()?;
        if let Some(due) = due {
            let removed = due.run()?;
            tracing::debug!("{removed} files of the oplog were cleaned away");
        }
        Ok(())
    }

    /// Joins some data files of the oplog if there are enough. Returns whether more may be due.
    fn merge_once(&self) -> Result<bool, PondError> {
        let Some(merge) = self.log.lock().oplog_mut().merge_due()? else {
            return Ok(false);
        };
        self.free_space
            .must_have(self.free_space.in_proportion(ROOM, ROOM_SHARE)?)?;
        let merged = merge.run()?;
        let mut log = self.log.lock();
        self.must_hold_the_lock()?;
        let committed = log.oplog_mut().commit_merge(merged);
        Ok(committed.inspect_err(|error| {
            if matches!(error, OplogError::Conflict { .. }) {
                self.health.fail(describe(error));
            }
        })?)
    }
}

/// Returns free memory of the allocator to the system. A commit and a merge allocate much for a
/// moment, and blocks that stay are placed behind it: after 500,000 versions, the daemon held
/// twice the memory in use.
fn give_memory_back() {
    #[cfg(target_env = "gnu")]
    // SAFETY: `malloc_trim` changes no memory that is in use.
    unsafe {
        libc::malloc_trim(0);
    }
}
