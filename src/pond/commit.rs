//! Versions, and the thread that makes them.
//!
//! A commit seals the open version as one generation, puts its content in the segments and syncs them,
//! writes its records to the oplog as one Delta commit, and notes them in the index. Operations go on
//! meanwhile, in the next generation. A commit that fails is tried again with the same generation, so
//! that it is made once, whatever became of the first try.
//!
//! Sealed generations are committed one by one and in order, also after an error or a crash: what
//! [`Pond::between_versions`] separates never ends up in one version.

use super::clock::info_of;
use super::lock::Lock;
use super::room::FOR_A_COMMIT;
use super::{Pond, PondError};
use crate::index::VersionInfo;
use crate::oplog::{Commit, Oplog, OplogError, Stamp};
use crate::tinyfs::{Changes, Errno, Time, Version, describe};
use parking_lot::{Condvar, Mutex};
use std::collections::VecDeque;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::sync_channel;
use std::time::{Duration, Instant};

/// A version of fewer entries than this is a trickle.
const TRICKLE: u64 = 100;
/// How long to wait after a moment between saves was missed, and how much longer each time.
const MISSED: Duration = Duration::from_millis(2);
const MISSED_MOST: Duration = Duration::from_millis(200);
/// How long after a commit that failed the next one is tried, at least.
const RETRY: Duration = Duration::from_millis(500);
/// How far trickling writes stretch the time between versions, in commit intervals.
const MAX_STRETCH: u32 = 12;

/// The oplog, and what it was told and may not have taken.
pub(super) struct Log {
    oplog: Oplog,
    pending: Option<Pending>,
    /// The generations that were committed last, with their versions.
    made: VecDeque<(u64, VersionInfo)>,
}

/// How many of the generations that were committed last are remembered.
const REMEMBERED: usize = 64;

struct Pending {
    generation: u64,
    changes: Changes,
}

impl Log {
    pub(super) fn new(oplog: Oplog) -> Log {
        Log {
            oplog,
            pending: None,
            made: VecDeque::new(),
        }
    }

    /// The version that a generation became, if it is one of the last.
    pub(super) fn version_of(&self, generation: u64) -> Option<VersionInfo> {
        let found = self.made.iter().rev().find(|(made, _)| *made == generation);
        found.map(|(_, info)| *info)
    }

    /// What a version changed, as the oplog has it.
    pub(super) fn changes_of(&self, version: Version) -> Result<Changes, PondError> {
        /// Why reading ends.
        enum End {
            Read(Changes),
            Failed(OplogError),
        }
        impl From<OplogError> for End {
            fn from(error: OplogError) -> End {
                End::Failed(error)
            }
        }
        let after = version.0.checked_sub(1).map(Version);
        let mut take = |commit: Commit, changes| match commit.version == version {
            true => Err(End::Read(changes)),
            false => Err(End::Read(Changes::default())),
        };
        match self.oplog.replay(after, &mut take) {
            Ok(()) => Ok(Changes::default()),
            Err(End::Read(changes)) => Ok(changes),
            Err(End::Failed(error)) => Err(error.into()),
        }
    }

    fn note(&mut self, generation: u64, info: VersionInfo) {
        if self.made.len() >= REMEMBERED {
            self.made.pop_front();
        }
        self.made.push_back((generation, info));
    }

    pub(super) fn oplog(&self) -> &Oplog {
        &self.oplog
    }

    pub(super) fn oplog_mut(&mut self) -> &mut Oplog {
        &mut self.oplog
    }

    #[cfg(test)]
    pub(super) fn checkpoint(&mut self) -> Result<(), OplogError> {
        self.oplog.checkpoint()
    }
}

impl Pond {
    /// Makes a version of everything that was changed so far, and answers the newest version.
    pub fn sync(&self) -> Result<Version, PondError> {
        self.commit()?;
        Ok(self.latest().version)
    }

    /// Commits the open version, if it changed anything. Answers how many entries.
    pub(super) fn commit(&self) -> Result<u64, PondError> {
        let done = self.commit_if(&|| true)?;
        Ok(done.unwrap_or_default())
    }

    /// The same, at a moment when no save is under way, if one comes soon.
    fn commit_between_saves(&self) -> Result<u64, PondError> {
        let until = Instant::now() + self.limits.save_wait;
        let hurry = || self.committer.is_hurried();
        let now = || self.saves.are_none() || hurry() || Instant::now() >= until;
        let every = self.committer.interval.max(Duration::from_secs(1));
        let mut missed = 0;
        loop {
            self.saves.wait(until.min(Instant::now() + every), hurry);
            if !now() {
                // Not a version yet, but no more than the interval is ever lost.
                self.fsync().map_err(PondError::Tree)?;
                continue;
            }
            if let Some(done) = self.commit_if(&now)? {
                return Ok(done);
            }
            // Each try freezes what there is: many in a row would make every read look through many layers.
            missed += 1;
            std::thread::sleep(MISSED.saturating_mul(missed).min(MISSED_MOST));
        }
    }

    /// Commits the open version, unless `now` says at the last moment that it is not the time.
    fn commit_if(&self, now: &dyn Fn() -> bool) -> Result<Option<u64>, PondError> {
        let mut log = self.log.lock();
        if self.index.dirty().entries == 0 && log.pending.is_none() {
            return Ok(Some(0));
        }
        self.must_be_able_to_commit()?;
        let retried = self.commit_sealed(&mut log)?;
        let sealed = {
            let _settling = self.flusher.settling.lock();
            self.prepare_to_seal()?;
            let _no_change_is_half_done = self.changing.lock();
            now() && {
                self.index.seal();
                true
            }
        };
        match sealed {
            true => Ok(Some(retried + self.commit_sealed(&mut log)?)),
            false => Ok(None),
        }
    }

    /// Runs `change` on the present between two versions: what was acknowledged before it gets a
    /// version of its own, and so does what it leaves, with nothing else in it. `change` is given the
    /// generation that ends before it, and what `prepare` found while the log was held and operations
    /// went on. No save is under way, unless none ended for the limit `save-wait`.
    ///
    /// Both versions are committed by [`Pond::commit`], which the caller has to call; if it fails, or
    /// after a crash, the next commit makes both.
    pub(super) fn between_versions<P, T>(
        &self,
        prepare: impl Fn(&Log) -> Result<P, PondError>,
        change: impl FnOnce(u64, P) -> Result<T, PondError>,
    ) -> Result<T, PondError> {
        let until = Instant::now() + self.limits.save_wait;
        let mut missed = 0;
        loop {
            let mut log = self.log.lock();
            self.must_be_able_to_commit()?;
            self.commit_sealed(&mut log)?;
            let prepared = prepare(&log)?;
            let settling = self.flusher.settling.lock();
            self.prepare_to_seal()?;
            let alone = self.gate.alone();
            let changing = self.changing.lock();
            if self.saves.are_none() || self.committer.stopped() || Instant::now() >= until {
                let before = self.index.seal();
                let changed = change(before, prepared);
                self.index.seal();
                return changed;
            }
            drop((changing, alone, settling, log));
            self.saves.wait(until, || self.committer.stopped());
            missed += 1;
            std::thread::sleep(MISSED.saturating_mul(missed).min(MISSED_MOST));
        }
    }

    /// Whether a commit can be tried: the pond takes changes, is ours, and its disk has room.
    fn must_be_able_to_commit(&self) -> Result<(), PondError> {
        if let Some(reason) = self.health.reason() {
            return Err(PondError::ReadOnly(reason));
        }
        self.must_hold_the_lock()?;
        // The key-value store does not recover from a write that failed.
        self.room.must_have(FOR_A_COMMIT + self.index.disk_bytes())
    }

    /// Takes no more changes once somebody else has taken the pond: what they do not know of is not
    /// committed behind their back.
    pub(super) fn must_hold_the_lock(&self) -> Result<(), PondError> {
        let lock = self.lock.lock();
        match lock.as_ref().map_or(Ok(None), Lock::lost)? {
            None => Ok(()),
            Some(lost) => {
                let reason = lost.to_string();
                self.health.fail(reason.clone());
                Err(PondError::ReadOnly(reason))
            }
        }
    }

    /// Settles most of the content of the open version, while operations go on. The caller holds
    /// `settling`.
    fn prepare_to_seal(&self) -> Result<(), PondError> {
        if let Err(error) = self.merge_tails() {
            tracing::warn!("small extents stay as they are: {}", describe(&error));
        }
        self.freeze_and_settle()
    }

    /// Commits the sealed generations, the oldest first. Returns how many entries.
    pub(super) fn commit_sealed(&self, log: &mut Log) -> Result<u64, PondError> {
        let mut done = self.commit_pending(log)?;
        while let Some(generation) = self.index.oldest_sealed() {
            {
                let _settling = self.flusher.settling.lock();
                self.settle()?;
                self.sync_content()?;
            }
            let changes = self.index.sealed(generation)?;
            if changes.is_empty() {
                self.index.committed(generation);
                continue;
            }
            log.pending = Some(Pending {
                generation,
                changes,
            });
            done += self.commit_pending(log)?;
        }
        Ok(done)
    }

    /// Returns when all settled content is on stable storage. After a sync that failed the pond takes
    /// no more changes.
    pub(super) fn sync_content(&self) -> Result<(), PondError> {
        Ok(self.content.sync().inspect_err(|error| {
            if error.is_lost_sync() {
                self.health.fail(describe(error));
            }
        })?)
    }

    fn commit_pending(&self, log: &mut Log) -> Result<u64, PondError> {
        let Some(pending) = &log.pending else {
            return Ok(0);
        };
        // The clock may step back; the times of versions never do.
        let last = self.latest().committed.micros();
        let clock = Time::from_micros((self.clock)().micros());
        let stamp = Stamp {
            committed: clock.max(Time::from_micros(last.saturating_add(1))),
            clock: Some(clock),
        };
        let commit = log
            .oplog
            .commit(pending.generation, stamp, &pending.changes)
            .inspect_err(|error| match error {
                OplogError::Conflict { .. } => self.health.fail(describe(error)),
                _ => tracing::warn!("the commit failed and is tried again: {}", describe(error)),
            })?;
        let info = info_of(&commit, None, &pending.changes);
        if let Err(error) = self.index.commit(&info, &pending.changes) {
            if !error.is_stuck() {
                return Err(error.into());
            }
            tracing::warn!("the index is opened anew: {}", describe(&error));
            self.index
                .reopen(|applied, take| replay(&log.oplog, applied, take))?;
        }
        let generation = pending.generation;
        self.index.committed(generation);
        log.pending = None;
        log.note(generation, info);
        *self.latest.lock() = info;
        self.note_clock();
        self.keeper.committed();
        if log.oplog.checkpoint_due()
            && let Err(error) = log.oplog.checkpoint()
        {
            tracing::warn!(
                "a checkpoint failed, and is tried again: {}",
                describe(&error)
            );
        }
        Ok(info.changes)
    }

    /// Logs that the clock is behind the newest version, once for as long as it is.
    pub(super) fn note_clock(&self) {
        let told = self.told_behind.load(Ordering::Relaxed);
        // A clock that runs as it should stands where the newest version was made, or later.
        if !told && (self.clock)() >= self.latest().committed {
            return;
        }
        let behind = self.clock_behind().unwrap_or_else(|error| {
            tracing::warn!(
                "whether the clock is right cannot be told: {}",
                describe(&error)
            );
            None
        });
        match behind {
            Some(behind) if !told => tracing::warn!("{behind}: dates and ages may mislead"),
            None if told => tracing::info!("the clock is not behind any more"),
            _ => {}
        }
        self.told_behind.store(behind.is_some(), Ordering::Relaxed);
    }

    /// The committing thread.
    pub(super) fn commit_until_stopped(&self) {
        let interval = self.committer.interval;
        let mut delay = interval;
        let mut last = Instant::now();
        while let Some(since) = self.committer.wait_for_change() {
            // Trickling writes: the next change comes soon after a small version.
            let trickles = since.duration_since(last) < delay;
            let at = since + delay;
            while self
                .committer
                .sleep_until(at.min(Instant::now() + interval))
                && Instant::now() < at
            {
                // Not a version yet, but no more than the interval is ever lost.
                if let Err(error) = self.fsync() {
                    tracing::warn!("a flush failed: {}", describe(&error));
                    break;
                }
            }
            if self.committer.stopped() {
                return;
            }
            self.committer.begin();
            let committed = self.commit_between_saves();
            self.committer.note(committed.as_ref().err());
            match committed {
                Ok(changes) if trickles && (1..TRICKLE).contains(&changes) => {
                    delay = (delay * 2).min(interval * MAX_STRETCH);
                }
                Ok(_) => delay = interval,
                Err(error) => {
                    tracing::warn!("no version was made: {}", describe(&error));
                    if self.health.is_read_only() {
                        return;
                    }
                    self.committer.changed();
                    self.committer.rest();
                    delay = interval.max(Duration::from_secs(1));
                }
            }
            last = Instant::now();
        }
    }
}

/// Reads back the commits after `after`, in order. One is read while the one before it is taken.
pub(super) fn replay<E>(
    oplog: &Oplog,
    after: Option<Version>,
    take: &mut dyn FnMut(&VersionInfo, &Changes) -> Result<(), E>,
) -> Result<(), PondError>
where
    PondError: From<E>,
{
    /// Why reading ends before its end.
    enum End {
        Failed(OplogError),
        /// Nobody takes any more.
        Left,
    }
    impl From<OplogError> for End {
        fn from(error: OplogError) -> End {
            End::Failed(error)
        }
    }
    std::thread::scope(|scope| {
        // A version may be as large as the memory that is meant for one.
        let (send, versions) = sync_channel(0);
        let read = move || {
            let mut before = None;
            oplog.replay(after, &mut |commit, changes| {
                let info = info_of(&commit, before.as_ref(), &changes);
                before = Some(info);
                send.send((info, changes)).map_err(|_| End::Left)
            })
        };
        let reader = std::thread::Builder::new()
            .name("pond-replay".into())
            .spawn_scoped(scope, read)
            .map_err(PondError::io(
                "start a thread that reads",
                Path::new("the oplog"),
            ))?;
        let mut taken = Ok(());
        for (info, changes) in &versions {
            taken = take(&info, &changes).map_err(PondError::from);
            if taken.is_err() {
                break;
            }
        }
        drop(versions);
        match reader.join() {
            Ok(Err(End::Failed(error))) => taken.and(Err(error.into())),
            Ok(Ok(()) | Err(End::Left)) => taken,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}

/// When the next version is due.
pub(super) struct Committer {
    interval: Duration,
    /// Whether a change came since the last commit began; the quick look of every operation.
    dirty: AtomicBool,
    /// Whether the last commit of the thread failed; the quick look of every operation.
    is_failing: AtomicBool,
    state: Mutex<State>,
    wake: Condvar,
}

#[derive(Default)]
struct State {
    since: Option<Instant>,
    hurry: bool,
    stop: bool,
    /// Why the last commit of the thread failed, if it did: for the caller, and in words.
    failed: Option<(Errno, String)>,
}

impl Committer {
    pub(super) fn new(interval: Duration) -> Committer {
        Committer {
            interval,
            dirty: AtomicBool::new(false),
            is_failing: AtomicBool::new(false),
            state: Mutex::default(),
            wake: Condvar::new(),
        }
    }

    /// Notes that something changed.
    pub(super) fn changed(&self) {
        if !self.dirty.load(Ordering::Relaxed) {
            let mut state = self.state.lock();
            self.dirty.store(true, Ordering::Relaxed);
            state.since.get_or_insert_with(Instant::now);
            self.wake.notify_all();
        }
    }

    /// Whether versions are not to wait for each other.
    pub(super) fn is_eager(&self) -> bool {
        self.interval.is_zero()
    }

    /// Has the open version committed at once.
    pub(super) fn hurry(&self) {
        self.state.lock().hurry = true;
        self.wake.notify_all();
    }

    pub(super) fn stop(&self) {
        self.state.lock().stop = true;
        self.wake.notify_all();
    }

    /// Whether somebody cannot wait.
    fn is_hurried(&self) -> bool {
        let state = self.state.lock();
        state.stop || state.hurry
    }

    /// Returns the error number of the last commit, if it failed.
    pub(super) fn failed(&self) -> Option<Errno> {
        let failed = || self.state.lock().failed.as_ref().map(|(errno, _)| *errno);
        self.is_failing.load(Ordering::Relaxed).then(failed)?
    }

    /// Returns why the last commit failed, if it did.
    pub(super) fn reason(&self) -> Option<String> {
        let state = self.state.lock();
        state.failed.as_ref().map(|(_, reason)| reason.clone())
    }

    fn note(&self, failed: Option<&PondError>) {
        let failed = failed.map(|error| (error.errno(), describe(error)));
        let is_failing = failed.is_some();
        self.state.lock().failed = failed;
        self.is_failing.store(is_failing, Ordering::Relaxed);
    }

    /// Waits after a commit that failed: operations that hurry the next one do not have it tried
    /// without a pause.
    fn rest(&self) {
        let until = Instant::now() + RETRY;
        let mut state = self.state.lock();
        while !state.stop && !self.wake.wait_until(&mut state, until).timed_out() {}
    }

    pub(super) fn stopped(&self) -> bool {
        self.state.lock().stop
    }

    /// When the first change came that no commit holds; `None` when it is time to stop.
    fn wait_for_change(&self) -> Option<Instant> {
        let mut state = self.state.lock();
        loop {
            match (state.stop, state.since) {
                (true, _) => return None,
                (false, Some(since)) => return Some(since),
                (false, None) => self.wake.wait(&mut state),
            }
        }
    }

    /// Sleeps until `at`; answers false where there is reason not to wait any longer.
    fn sleep_until(&self, at: Instant) -> bool {
        let mut state = self.state.lock();
        while !state.stop && !state.hurry {
            if self.wake.wait_until(&mut state, at).timed_out() {
                return true;
            }
        }
        false
    }

    /// Notes that a commit begins: what changes from now on is for the next one.
    fn begin(&self) {
        let mut state = self.state.lock();
        state.since = None;
        state.hurry = false;
        self.dirty.store(false, Ordering::Relaxed);
    }
}
