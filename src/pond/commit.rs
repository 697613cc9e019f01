//! Commits versions, and has the thread that does so.
//!
//! A commit seals the open version as one generation, writes its content to the segments and
//! syncs them, appends its records to the oplog as one Delta commit, and notes them in the index.
//! Operations continue meanwhile, in the next generation. A failed commit is retried with the same
//! generation, so that it is committed once, whatever the outcome of the first try.
//!
//! Sealed generations are committed one by one and in order, also after an error or a crash:
//! operations that [`Pond::between_versions`] separates never end up in one version.

use super::clock::info_of;
use super::free_space::FOR_A_COMMIT;
use super::lock::Lock;
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

/// A version of fewer entries than this counts as trickling writes.
const TRICKLE: u64 = 100;
/// The wait after a missed gap between saves, and its increase with each miss.
const MISSED: Duration = Duration::from_millis(2);
const MISSED_MOST: Duration = Duration::from_millis(200);
/// The minimum wait before a failed commit is retried.
const RETRY: Duration = Duration::from_millis(500);
/// How far trickling writes stretch the time between versions, in commit intervals.
const MAX_STRETCH: u32 = 12;

/// The oplog, and the commits that were sent to it and may not have reached it.
pub(super) struct Log {
    oplog: Oplog,
    pending: Option<Pending>,
    /// The last committed generations, with their versions.
    made: VecDeque<(u64, VersionInfo)>,
}

/// How many of the last committed generations are remembered.
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

    /// Returns the version that a generation became, if it is one of the last.
    pub(super) fn version_of(&self, generation: u64) -> Option<VersionInfo> {
        let found = self.made.iter().rev().find(|(made, _)| *made == generation);
        found.map(|(_, info)| *info)
    }

    /// Returns the changes of a version, as the oplog has them.
    pub(super) fn changes_of(&self, version: Version) -> Result<Changes, PondError> {
        /// Why reading stops.
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
    /// Commits everything that was changed so far as a version, and returns the newest version.
    pub fn sync(&self) -> Result<Version, PondError> {
        self.commit()?;
        Ok(self.latest().version)
    }

    /// Commits the open version if it changed anything. Returns the number of entries.
    pub(super) fn commit(&self) -> Result<u64, PondError> {
        let done = self.commit_if(&|| true)?;
        Ok(done.unwrap_or_default())
    }

    /// Like [`Pond::commit`], at a moment without a save under way if one comes soon.
    fn commit_between_saves(&self) -> Result<u64, PondError> {
        let until = Instant::now() + self.limits.save_wait;
        let hurry = || self.committer.is_hurried();
        let now = || self.saves.are_none() || hurry() || Instant::now() >= until;
        let every = self.committer.interval.max(Duration::from_secs(1));
        let mut missed = 0;
        loop {
            self.saves.wait(until.min(Instant::now() + every), hurry);
            if !now() {
                // Without a version, but at most one interval of changes can be lost.
                self.fsync().map_err(PondError::Tree)?;
                continue;
            }
            if let Some(done) = self.commit_if(&now)? {
                return Ok(done);
            }
            // Each try freezes a memtable: many in a row would make every read search many of them.
            missed += 1;
            std::thread::sleep(MISSED.saturating_mul(missed).min(MISSED_MOST));
        }
    }

    /// Commits the open version, unless `now` returns false at the last moment.
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

    /// Runs `change` on the present between two versions: the operations acknowledged before it get
    /// a version of their own, and so does its result, with nothing else in it. `change` receives
    /// the generation that ends before it, and the result of `prepare`, which runs while the log is
    /// held and operations continue. No save is under way, unless none ended for the limit
    /// `save-wait`.
    ///
    /// The caller has to call [`Pond::commit`], which commits both versions. If that fails, or
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

    /// Checks that a commit can be tried: the pond takes changes, its lock is held, and its disk
    /// has enough free space.
    fn must_be_able_to_commit(&self) -> Result<(), PondError> {
        if let Some(reason) = self.health.reason() {
            return Err(PondError::ReadOnly(reason));
        }
        self.must_hold_the_lock()?;
        // The key-value store does not recover from a write that failed.
        self.free_space
            .must_have(FOR_A_COMMIT + self.index.disk_bytes())
    }

    /// Makes the pond read-only once another process has taken its lock: changes that the new
    /// holder does not know of must not be committed.
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

    /// Writes most of the content of the open version to segments while operations continue. The
    /// caller holds `settling`.
    fn prepare_to_seal(&self) -> Result<(), PondError> {
        if let Err(error) = self.merge_tails() {
            tracing::warn!("small extents stay as they are: {}", describe(&error));
        }
        self.freeze_and_settle()
    }

    /// Commits the sealed generations, the oldest first. Returns the number of entries.
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

    /// Returns when all content in segments is on stable storage. After a failed sync the pond
    /// takes no more changes.
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

    /// Logs that the clock is behind the newest version, once for each such period.
    pub(super) fn note_clock(&self) {
        let told = self.told_behind.load(Ordering::Relaxed);
        // A correct clock reads the time of the newest version, or later.
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

    /// Runs the committing thread.
    pub(super) fn commit_until_stopped(&self) {
        let interval = self.committer.interval;
        let mut delay = interval;
        let mut last = Instant::now();
        while let Some(since) = self.committer.wait_for_change() {
            // Trickling writes: the next change follows a small version soon.
            let trickles = since.duration_since(last) < delay;
            let at = since + delay;
            while self
                .committer
                .sleep_until(at.min(Instant::now() + interval))
                && Instant::now() < at
            {
                // Without a version, but at most one interval of changes can be lost.
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

/// Reads back the commits after `after`, in order. Each is read while the previous one is
/// applied.
pub(super) fn replay<E>(
    oplog: &Oplog,
    after: Option<Version>,
    take: &mut dyn FnMut(&VersionInfo, &Changes) -> Result<(), E>,
) -> Result<(), PondError>
where
    PondError: From<E>,
{
    /// Why reading stops before its end.
    enum End {
        Failed(OplogError),
        /// The receiver has gone.
        Left,
    }
    impl From<OplogError> for End {
        fn from(error: OplogError) -> End {
            End::Failed(error)
        }
    }
    std::thread::scope(|scope| {
        // A version may be as large as the memory limit for one.
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

/// Decides when the next version is due.
pub(super) struct Committer {
    interval: Duration,
    /// Whether something changed since the last commit began; checked by every operation.
    dirty: AtomicBool,
    /// Whether the last commit of the thread failed; checked by every operation.
    is_failing: AtomicBool,
    state: Mutex<State>,
    wake: Condvar,
}

#[derive(Default)]
struct State {
    since: Option<Instant>,
    hurry: bool,
    stop: bool,
    /// Why the last commit of the thread failed, if it did: the error number and the message.
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

    /// Notes a change.
    pub(super) fn changed(&self) {
        if !self.dirty.load(Ordering::Relaxed) {
            let mut state = self.state.lock();
            self.dirty.store(true, Ordering::Relaxed);
            state.since.get_or_insert_with(Instant::now);
            self.wake.notify_all();
        }
    }

    /// Returns whether versions are committed without waiting for the interval.
    pub(super) fn is_eager(&self) -> bool {
        self.interval.is_zero()
    }

    /// Requests a commit of the open version at once.
    pub(super) fn hurry(&self) {
        self.state.lock().hurry = true;
        self.wake.notify_all();
    }

    pub(super) fn stop(&self) {
        self.state.lock().stop = true;
        self.wake.notify_all();
    }

    /// Returns whether the thread must not wait: a commit at once is requested, or the stop.
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

    /// Waits after a failed commit: operations that request the next one must not cause retries
    /// without a pause.
    fn rest(&self) {
        let until = Instant::now() + RETRY;
        let mut state = self.state.lock();
        while !state.stop && !self.wake.wait_until(&mut state, until).timed_out() {}
    }

    pub(super) fn stopped(&self) -> bool {
        self.state.lock().stop
    }

    /// Returns when the first change came that no commit holds; `None` when it is time to stop.
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

    /// Sleeps until `at`; returns false where there is a reason to stop waiting.
    fn sleep_until(&self, at: Instant) -> bool {
        let mut state = self.state.lock();
        while !state.stop && !state.hurry {
            if self.wake.wait_until(&mut state, at).timed_out() {
                return true;
            }
        }
        false
    }

    /// Notes that a commit begins: later changes belong to the next one.
    fn begin(&self) {
        let mut state = self.state.lock();
        state.since = None;
        state.hurry = false;
        self.dirty.store(false, Ordering::Relaxed);
    }
}
