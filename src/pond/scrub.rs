//! Reading all content, slowly, while the pond is in use, so that damage is known while there is still
//! another copy.
//!
//! In: the bytes a second that it may read. Out: what was damaged. Holds always: it reads what the present
//! and every past version need, each stored extent once; it never has a lock while it reads; it ends when
//! the pond is closed.

use super::{Pond, PondError};
use crate::tinyfs::{Extent, Extents, SegmentId, Stored, Time, describe};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// Findings that are kept in words; the rest are counted.
const TOLD: usize = 100;

/// A scrub that runs, or the last one that did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scrub {
    /// When it began.
    pub began: Time,
    /// When it ended; `None` while it runs.
    pub ended: Option<Time>,
    /// Stored extents in all.
    pub extents: u64,
    /// Of them, read so far.
    pub read: u64,
    /// Their bytes.
    pub bytes: u64,
    /// How many were damaged.
    pub damaged: u64,
    /// What is wrong with the first of them.
    pub problems: Vec<String>,
}

/// The scrub of a pond.
#[derive(Debug, Default)]
pub(super) struct Scrubber(Mutex<Option<Scrub>>);

impl Pond {
    /// The scrub that runs, or the last one since the pond was opened.
    pub fn last_scrub(&self) -> Option<Scrub> {
        self.scrubber.0.lock().clone()
    }

    /// Reads and verifies all content, at most `rate` bytes a second (0: as fast as it goes). Answers
    /// what came of it; the same as [`Pond::last_scrub`] if one runs already.
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

    /// Every stored extent that the present or a past version needs, in the order in which they stand.
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
            // What is not needed any more may be gone.
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
            // In steps, so that whoever closes the pond does not wait.
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
