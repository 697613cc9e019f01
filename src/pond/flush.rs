//! Flushes: everything acknowledged so far goes to stable storage.
//!
//! A flush freezes the memtable and writes it to the index's journal with one sync. Before
//! that, a large amount of content goes to the segments, which are synced first. A small amount
//! goes to the journal itself, so that it costs one sync and not two, and to the segments with the
//! next version. [`spill`](super::spill) moves content to segments meanwhile, when much of it is
//! held in memory.

use super::{Pond, PondError};
use crate::content::{MAX_PIECE, MIN_RUN, cut};
use crate::index::{ImmutableMemtable, IndexError, Run};
use crate::tinyfs::ops::Caller;
use crate::tinyfs::{
    ContentId, Entries, Errno, Extent, Extents, FsError, FsResult, Node, NodeId, describe,
};
use bytes::Bytes;
use parking_lot::{Mutex, MutexGuard};

/// The most bytes of content that a flush writes to the journal itself.
const JOURNAL_MOST: u64 = 128 << 10;

/// The state that flushes, spills and commits share.
#[derive(Default)]
pub(super) struct Flusher {
    /// Held by a flush, a spill or a commit while it freezes memtables and spills their content.
    pub(super) settling: Mutex<()>,
}

/// Keeps flushes, spills and commits from beginning while it lives: the changes made meanwhile
/// become durable, and enter a version, as one. Its owner does not wait for other threads, and
/// changes little.
pub struct OneChange<'p> {
    pond: &'p Pond,
    _settling: MutexGuard<'p, ()>,
}

impl OneChange<'_> {
    /// Writes to a file, as [`Pond::write`] does, but does not wait for memory, which only a spill
    /// could free.
    pub fn write(&self, caller: &Caller, id: NodeId, offset: u64, data: &[u8]) -> FsResult<Node> {
        self.pond.write_now(caller, id, offset, data)
    }
}

impl Pond {
    /// Begins a change that consists of several operations.
    pub fn one_change(&self) -> OneChange<'_> {
        OneChange {
            pond: self,
            _settling: self.flusher.settling.lock(),
        }
    }

    /// Makes everything acknowledged so far durable.
    pub(super) fn flush(&self) -> FsResult<()> {
        // After a failed sync, the success of a later one proves nothing.
        if self.health.has_failed() {
            return Err(Errno::EIO.into());
        }
        let _settling = self.flusher.settling.lock();
        self.freeze();
        if self.index.unflushed() > JOURNAL_MOST || self.index.journal_len() > self.limits.journal {
            self.settle().map_err(FsError::store)?;
        }
        let known = self.latest().version;
        let synced = self.content.sync().map_err(PondError::from);
        synced
            .and_then(|()| Ok(self.index.journal(known)?))
            .map_err(|error| {
                // A failed write can be retried; after a failed sync the disk's state is unknown.
                let again = match &error {
                    PondError::Index(IndexError::Journal { .. }) => true,
                    PondError::Content(error) => !error.is_lost_sync(),
                    _ => false,
                };
                if !again {
                    self.health.fail(describe(&error));
                }
                FsError::store(error)
            })
    }

    /// Freezes the open changes, and writes their content to the segments.
    pub(super) fn freeze_and_settle(&self) -> Result<(), PondError> {
        self.freeze();
        self.settle()
    }

    pub(super) fn freeze(&self) {
        let _no_change_is_half_done = self.changing.lock();
        self.index.freeze();
    }

    /// Writes the content of immutable memtables to the segments.
    pub(super) fn settle(&self) -> Result<(), PondError> {
        let known = |hash: &[u8; 32]| self.index.stored(hash);
        for memtable in self.index.unsettled() {
            // A journaled memtable keeps the extents of the journal: later records refer to them.
            let memtable = match memtable.is_journaled() {
                true => memtable,
                false => self.rechunk(memtable)?,
            };
            let extents = self.content.settle(&memtable.changes.extents, &known)?;
            self.index.settle(memtable, extents);
        }
        Ok(())
    }

    /// Rechunks the long runs of an immutable memtable at boundaries that their content determines:
    /// until then they are cut where writes began and memtables ended.
    fn rechunk(&self, mut memtable: ImmutableMemtable) -> Result<ImmutableMemtable, PondError> {
        for (content, extents) in long_runs(&memtable.changes.extents) {
            let mut start = extents.first().copied().unwrap_or_default();
            let mut parts = Vec::with_capacity(extents.len() + 1);
            // The previous extent may end only because its memtable ended.
            let before = self.index.open_extent_before(content, start);
            if let Some((at, extent)) = before.filter(|(_, e)| e.len() <= MAX_PIECE as u64) {
                start = at;
                parts.push(self.bytes_of(&extent)?);
            }
            for at in extents {
                if let Some(Some(Extent::Inline(bytes))) =
                    memtable.changes.extents.get(&(content, at))
                {
                    parts.push(bytes.clone());
                }
            }
            let run = Run {
                content,
                start,
                pieces: cut(parts),
            };
            // An operation relies on the extents that it looked up until it applies its changes.
            let _no_change_is_half_done = self.changing.lock();
            (memtable, _) = self.index.rechunk(memtable, run);
        }
        Ok(memtable)
    }

    pub(super) fn bytes_of(&self, extent: &Extent) -> Result<Bytes, PondError> {
        Ok(match extent {
            Extent::Inline(bytes) => bytes.clone(),
            Extent::Stored(stored) => self.content.read(stored)?,
        })
    }
}

/// A content, and the offsets of neighbouring extents of it.
type Neighbours = (ContentId, Vec<u64>);

/// Returns the runs of neighbouring inline extents that are long enough to be rechunked.
fn long_runs(extents: &Entries<Extents>) -> Vec<Neighbours> {
    let mut runs: Vec<(Neighbours, u64)> = Vec::new();
    for (&(content, start), extent) in extents {
        // A removed entry says nothing about the bytes around it.
        let Some(Extent::Inline(bytes)) = extent else {
            continue;
        };
        let upto = start + bytes.len() as u64;
        match runs.last_mut() {
            Some(((of, run), end)) if *of == content && *end == start => {
                run.push(start);
                *end = upto;
            }
            _ => runs.push(((content, vec![start]), upto)),
        }
    }
    let is_long = |((_, run), end): &(Neighbours, u64)| {
        run.first().is_some_and(|start| end - start >= MIN_RUN)
    };
    runs.retain(is_long);
    runs.into_iter().map(|(run, _)| run).collect()
}
