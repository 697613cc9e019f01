//! A flush: everything acknowledged so far goes to stable storage.
//!
//! It freezes the fresh layer, gives its content a place in the segments, syncs those, and writes the
//! layer to the index's journal with one sync. A thread of its own moves content out of memory when
//! much of it waits.

use super::{Pond, PondError};
use crate::content::{MAX_PIECE, MIN_RUN, pieces, small_tail};
use crate::index::{Frozen, IndexError, Run};
use crate::tinyfs::{
    ContentId, Entries, Errno, Extent, Extents, FsError, FsResult, NodeId, Nodes, Tx, describe,
};
use bytes::{Bytes, BytesMut};
use parking_lot::{Condvar, Mutex};

/// Bytes of content in memory at which they begin to be moved to segments.
const SPILL_AT: u64 = 16 << 20;
/// Bytes of content in memory at which writers wait until some are moved.
const WAIT_AT: u64 = 64 << 20;
/// Bytes of a run that are cut anew at once.
const WINDOW: u64 = 8 << 20;
/// Bytes of the open version's entries at which it is committed without waiting any longer.
const COMMIT_AT: u64 = 64 << 20;

/// Who moves content out of memory.
#[derive(Default)]
pub(super) struct Flusher {
    /// Held by whoever freezes and settles layers: a flush, a spill or a commit.
    pub(super) settling: Mutex<()>,
    spill: Mutex<Spill>,
    spilled: Condvar,
}

#[derive(Default)]
struct Spill {
    wanted: bool,
    stop: bool,
}

impl Flusher {
    pub(super) fn stop(&self) {
        self.spill.lock().stop = true;
        self.spilled.notify_all();
    }
}

impl Pond {
    /// Makes everything acknowledged so far durable.
    pub(super) fn flush(&self) -> FsResult<()> {
        // Once a sync failed, success of a later one would be a lie.
        if self.health.has_failed() {
            return Err(Errno::EIO.into());
        }
        let _settling = self.flusher.settling.lock();
        self.freeze_and_settle().map_err(FsError::store)?;
        let known = self.latest().version;
        let synced = self.content.sync().map_err(PondError::from);
        synced
            .and_then(|()| Ok(self.index.journal(known)?))
            .map_err(|error| {
                // What could not be written can be later; what could not be synced, nobody knows.
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

    /// Freezes what changed so far, and gives its content a place in the segments.
    pub(super) fn freeze_and_settle(&self) -> Result<(), PondError> {
        {
            let _no_change_is_half_done = self.changing.lock();
            self.index.freeze();
        }
        self.settle()
    }

    /// Gives the content of frozen layers a place in the segments.
    pub(super) fn settle(&self) -> Result<(), PondError> {
        let known = |hash: &[u8; 32]| self.index.stored(hash);
        for layer in self.index.unsettled() {
            let layer = self.recut(layer)?;
            let extents = self.content.settle(&layer.changes.extents, &known)?;
            self.index.settle(layer, extents);
        }
        Ok(())
    }

    /// Cuts the long runs of a frozen layer anew, where their content says: writes cut them where they came, and
    /// layers where they were frozen.
    fn recut(&self, mut layer: Frozen) -> Result<Frozen, PondError> {
        for (content, extents) in long_runs(&layer.changes.extents) {
            let first = extents.first().map_or(0, |(start, _)| *start);
            // What went before may have been cut off only because the layer ended.
            let before = self.index.open_extent_before(content, first);
            let before = before.filter(|(_, extent)| extent.len() <= MAX_PIECE as u64);
            let mut before = match before {
                Some((start, extent)) => Some((start, self.bytes_of(&extent)?)),
                None => None,
            };
            // A window at a time, so that not all of it is in memory twice.
            for window in extents.chunk_by(|a, b| (a.0 - first) / WINDOW == (b.0 - first) / WINDOW)
            {
                let mut whole = BytesMut::new();
                let mut start = window.first().map_or(first, |(start, _)| *start);
                if let Some((at, bytes)) = before.take() {
                    start = at;
                    whole.extend_from_slice(&bytes);
                }
                for (at, _) in window {
                    if let Some(Some(extent)) = layer.changes.extents.get(&(content, *at)) {
                        whole.extend_from_slice(&self.bytes_of(extent)?);
                    }
                }
                let run = cut(content, start, whole.freeze());
                let last = run.pieces.last().cloned();
                let end = run.end();
                let done;
                (layer, done) = {
                    // An operation that has looked at the pieces goes by them when it applies what it decided.
                    let _no_change_is_half_done = self.changing.lock();
                    self.index.recut(layer, run)
                };
                if done {
                    before = last.map(|bytes| (end - bytes.len() as u64, bytes));
                }
            }
        }
        Ok(layer)
    }

    fn bytes_of(&self, extent: &Extent) -> Result<Bytes, PondError> {
        Ok(match extent {
            Extent::Inline(bytes) => bytes.clone(),
            Extent::Stored(stored) => self.content.read(stored)?,
        })
    }

    /// Moves content of removed files that are still open out of memory. Nothing else ever does.
    fn settle_orphans(&self) -> Result<(), PondError> {
        let _no_operation_between = self.changing.lock();
        let (extents, in_memory) = self.index.orphan_extents();
        if in_memory >= SPILL_AT {
            let known = |hash: &[u8; 32]| self.index.stored(hash);
            self.index
                .settle_orphans(self.content.settle(&extents, &known)?);
        }
        Ok(())
    }

    /// Joins the small extents that appending left at the end of files.
    pub(super) fn merge_tails(&self) -> FsResult<()> {
        for id in self.index.changed_files() {
            self.merge_tail(id)?;
        }
        Ok(())
    }

    fn merge_tail(&self, id: NodeId) -> FsResult<()> {
        let _one_at_a_time = self.changing.lock();
        let mut tx = Tx::new(&self.index);
        let Some(node) = tx.get::<Nodes>(&id)? else {
            return Ok(());
        };
        let Some((content, run)) = small_tail(&self.index, &node)? else {
            return Ok(());
        };
        let mut joined = BytesMut::new();
        let first = run.first().map_or(0, |(start, _)| *start);
        for (start, extent) in run {
            joined.extend_from_slice(&self.bytes_of(&extent).map_err(FsError::store)?);
            tx.remove::<Extents>((content, start));
        }
        tx.put::<Extents>((content, first), Extent::Inline(joined.freeze()));
        self.index.apply(tx.finish(), None);
        Ok(())
    }

    /// After a write: has content moved out of memory, waits while there is far too much of it, and
    /// has a large open version committed.
    pub(super) fn relieve(&self) {
        let dirty = self.index.dirty();
        if dirty.bytes - dirty.unsettled >= COMMIT_AT {
            self.committer.hurry();
        }
        if dirty.unsettled < SPILL_AT {
            return;
        }
        let mut spill = self.flusher.spill.lock();
        spill.wanted = true;
        self.flusher.spilled.notify_all();
        if dirty.unsettled >= WAIT_AT {
            // The content is safe in memory either way: a spill that fails is tried again by the
            // flush or commit that has to report it.
            while spill.wanted && !spill.stop {
                self.flusher.spilled.wait(&mut spill);
            }
        }
    }

    /// The spilling thread.
    pub(super) fn spill_until_stopped(&self) {
        loop {
            {
                let mut spill = self.flusher.spill.lock();
                while !spill.wanted && !spill.stop {
                    self.flusher.spilled.wait(&mut spill);
                }
                if spill.stop {
                    return;
                }
            }
            {
                let _settling = self.flusher.settling.lock();
                let settled = self
                    .freeze_and_settle()
                    .and_then(|()| self.settle_orphans());
                if let Err(error) = settled {
                    tracing::warn!("content stays in memory: {}", describe(&error));
                }
            }
            self.flusher.spill.lock().wanted = false;
            self.flusher.spilled.notify_all();
        }
    }
}

/// A run in the pieces that its bytes say.
fn cut(content: ContentId, start: u64, whole: Bytes) -> Run {
    let mut at = 0;
    let lengths: Vec<usize> = pieces(&whole).collect();
    let piece = |len| {
        at += len;
        whole.slice(at - len..at)
    };
    Run {
        content,
        start,
        pieces: lengths.into_iter().map(piece).collect(),
    }
}

/// Where neighbouring extents of a content begin, and their lengths.
type Neighbours = (ContentId, Vec<(u64, u64)>);

/// The runs of neighbouring inline extents that are long enough to be cut anew.
fn long_runs(extents: &Entries<Extents>) -> Vec<Neighbours> {
    let mut runs: Vec<Neighbours> = Vec::new();
    let mut end = 0;
    for (&(content, start), extent) in extents {
        // A removed entry says nothing of the bytes around it.
        let Some(Extent::Inline(bytes)) = extent else {
            continue;
        };
        let len = bytes.len() as u64;
        match runs.last_mut() {
            Some((of, run)) if *of == content && end == start => run.push((start, len)),
            _ => runs.push((content, vec![(start, len)])),
        }
        end = start + len;
    }
    let length = |run: &[(u64, u64)]| run.iter().map(|(_, len)| len).sum::<u64>();
    runs.retain(|(_, run)| length(run) >= MIN_RUN);
    runs
}
