//! Scrubs: reads all content slowly while the pond is in use, so that damage is detected while
//! another copy still exists.
//!
//! In: the maximum rate in bytes a second. Out: the damaged extents. Invariant: a scrub reads the
//! extents of the present and every past version, each once; it holds no lock while it reads; it
//! ends when the pond is closed.

use super::{Pond, PondError};
use crate::tinyfs::{Extent, Extents, SegmentId, Stored, Time, describe};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// Findings that are kept as sentences; the rest are counted.
const TOLD: usize = 100;

/// A running scrub, or the last one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scrub {
    /// The start time.
    pub began: Time,
    /// The end time; `None` while it runs.
    pub ended: Option<Time>,
    /// Number of stored extents in all.
    pub extents: u64,
    /// Number of extents read so far.
    pub read: u64,
    /// Bytes of those extents.
    pub bytes: u64,
    /// Number of damaged extents.
    pub damaged: u64,
    /// Descriptions of the first damaged extents.
    pub problems: Vec<String>,
}

/// The state of a pond's scrub.
#[derive(Debug, Default)]
pub(super) struct Scrubber(Mutex<Option<Scrub>>);

impl Pond {
    /// Returns the running scrub, or the last one since the pond was opened.
    pub fn last_scrub(&self) -> Option<Scrub> {
        self.scrubber.0.lock().clone()
    }

    /// Reads and verifies all content at no more than `rate` bytes a second (0: unlimited). Returns
    /// the result; that of [`Pond::last_scrub`] if a scrub runs already.
    pub fn scrub(&self, rate: u64) -> Result<Scrub, PondError> {
        {
            let mut last = self.scrubber.0.lock();
            if let Some(running) = last.as_ref().filter(|scrub| scrub.ended.is_none()) {
                return Ok(running.clone());
            }
            *last = Some(Scrub {
                began: (self.clock)(),
                ..Scrub::default()
            });
        }
        let read = self
            .stored()
            .and_then(|stored| self.read_all(&stored, rate));
        let mut last = self.scrubber.0.lock();
        let scrub = last.get_or_insert_default();
        scrub.ended = Some((self.clock)());
        read.map(|()| scrub.clone())
    }

    fn note(&self, note: impl FnOnce(&mut Scrub)) {
        note(self.scrubber.0.lock().get_or_insert_default());
    }

    /// Returns every stored extent that the present or a past version needs, sorted by position.
    fn stored(&self) -> Result<BTreeMap<(SegmentId, u64), Stored>, PondError> {
        let mut stored = BTreeMap::new();
        self.index.visit_history::<Extents>(&mut |_, extent| {
            if let Extent::Stored(run) = extent {
                stored.insert((run.segment, run.offset), run);
            }
        })?;
        self.note(|scrub| scrub.extents = stored.len() as u64);
        Ok(stored)
    }

    fn read_all(
        &self,
        stored: &BTreeMap<(SegmentId, u64), Stored>,
        rate: u64,
    ) -> Result<(), PondError> {
        let (start, mut bytes) = (Instant::now(), 0);
        let rewrites = self.rewrites.load(Ordering::Acquire);
        for run in stored.values() {
            let found = self.content.read_verified(run).err();
            // An extent that is no longer needed may have been removed.
            let moved = rewrites != self.rewrites.load(Ordering::Acquire);
            let found = found.filter(|_| !moved);
            bytes += u64::from(run.packed_len);
            self.note(|scrub| {
                scrub.read += 1;
                scrub.bytes = bytes;
                if let Some(error) = found {
                    scrub.damaged += 1;
                    if scrub.problems.len() < TOLD {
                        scrub.problems.push(describe(&error));
                    }
                }
            });
            // In steps, so that the close of the pond does not wait.
            let due = bytes.saturating_mul(1000).checked_div(rate).unwrap_or(0);
            while start.elapsed() < Duration::from_millis(due) && !self.committer.stopped() {
                std::thread::sleep(Duration::from_millis(20));
            }
            if self.committer.stopped() {
                return Err(PondError::ReadOnly("it is being closed".into()));
            }
        }
        Ok(())
    }
}
