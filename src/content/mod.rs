//! Stores the bytes of extents in append-only segment files and reads them back, verified.
//!
//! `pond` spills the inline extents of immutable memtables with [`Content::settle`], makes them
//! durable with [`Content::sync`], and reads single runs with [`Content::read`]. Equal content is
//! stored once, and is compressed where that pays.
//!
//! Invariants: a byte of a segment is written once. No byte is returned unless it matches the
//! BLAKE3 hash of its stored extent. After [`Content::sync`] has returned, everything that was
//! appended before the call is on stable storage.
//!
//! Why: [decision 10](../../docs/decisions/0010-deduplication-and-compression.md).

mod cache;
mod cut;
mod error;
mod groups;
mod help;
mod merge;
mod packing;
mod recent;
mod segments;
mod settle;
mod unfinished;

pub use cut::{MAX_PIECE, MIN_RUN, cut};
pub use error::ContentError;
pub use merge::{MERGE_RUN, Tail, small_tail};

use crate::disk::Disk;
use crate::limits::Limits;
use crate::tinyfs::{INLINE_MAX, SegmentId, Stored};
use bytes::Bytes;
use cache::Cache;
use groups::{Remembered, are_verified, around};
use packing::Packing;
use recent::Recent;
use segments::Segments;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Size in bytes of a disk below which extents stay inline only up to [`SMALL_DISK_INLINE_MAX`]: an
/// inline byte is on the disk twice, in the oplog and in the index.
const SMALL_DISK: u64 = 256 << 20;
/// Length in bytes of an extent whose location takes as much room in records as its bytes would.
const SMALL_DISK_INLINE_MAX: usize = 255;

const NO_MATCH: &str = "the bytes do not match their hash";

/// The content of one pond. All methods may be called from any thread.
pub struct Content {
    segments: Segments,
    packing: Packing,
    recent: Recent,
    cache: Cache,
    groups: Remembered,
    /// Bytes that the spill under way has appended.
    spilled: AtomicU64,
    /// Length in bytes up to which an extent stays inline.
    inline_max: usize,
}

/// Looks up where bytes with a BLAKE3 hash are stored; `None` if the index knows of none.
pub type Known<'a> = dyn Fn(&[u8; 32]) -> Option<Stored> + Sync + 'a;

impl Content {
    /// Opens the segments in folder `dir`, which must exist.
    pub fn open(disk: Arc<dyn Disk>, dir: &Path, limits: &Limits) -> Result<Content, ContentError> {
        let segments = Segments::open(disk, dir, limits.open_segments)?;
        let inline_max = match segments.disk_size() < SMALL_DISK {
            true => SMALL_DISK_INLINE_MAX,
            false => INLINE_MAX,
        };
        Ok(Content {
            segments,
            packing: Packing::default(),
            recent: Recent::default(),
            cache: Cache::new(usize::try_from(limits.content_cache).unwrap_or(usize::MAX)),
            groups: Remembered::default(),
            spilled: AtomicU64::new(0),
            inline_max,
        })
    }

    /// Returns the length in bytes up to which an extent stays inline.
    pub fn inline_max(&self) -> usize {
        self.inline_max
    }

    /// Returns the bytes that the spill under way has appended to segments. It is 0 from before
    /// [`Content::settle`] returns.
    pub fn spilled(&self) -> u64 {
        self.spilled.load(Ordering::Acquire)
    }

    /// Returns once everything that was appended before the call is on stable storage.
    pub fn sync(&self) -> Result<(), ContentError> {
        self.segments.sync()
    }

    /// Returns the bytes of `run`, verified. Fails with [`ContentError::Corrupt`] where the segment
    /// does not hold what the record says.
    pub fn read(&self, run: &Stored) -> Result<Bytes, ContentError> {
        let (skip, len) = (run.skip as usize, run.len as usize);
        let whole_len = run.stored_len as usize;
        let range = match skip.checked_add(len) {
            Some(end) if end <= whole_len => skip..end,
            _ => {
                return Err(ContentError::corrupt(
                    run,
                    "the extent reaches beyond what is stored",
                ));
            }
        };
        let place = (run.segment, run.offset);
        if let Some(whole) = self.cache.get(place, run.stored_len) {
            return Ok(whole.slice(range));
        }
        if let Some(part) = self.read_part(run, &range)? {
            return Ok(part);
        }
        let whole = Bytes::from(self.read_verified(run)?);
        if whole.len() != whole_len {
            return Err(ContentError::corrupt(run, "it is of another length"));
        }
        self.cache.put(place, whole.clone());
        Ok(whole.slice(range))
    }

    /// Returns the bytes of `range` in a stored extent if its group hashes are known, it is not
    /// compressed, and the groups around `range` are at most half of it; else `None`.
    fn read_part(&self, run: &Stored, range: &Range<usize>) -> Result<Option<Bytes>, ContentError> {
        let (numbers, around) = around(range.clone(), run.stored_len as usize);
        if run.is_packed() || around.len() * 2 > run.stored_len as usize {
            return Ok(None);
        }
        let Some(groups) = self.groups.get(&run.hash) else {
            return Ok(None);
        };
        // Both casts fit: the values are at most `stored_len`.
        let place = (run.segment, run.offset + around.start as u64);
        let len = around.len() as u32;
        let part = match self.cache.get(place, len) {
            Some(part) => part,
            None => {
                let part = self.segments.read(run, around.start as u32, len)?;
                if !are_verified(&groups, numbers.start, &part) {
                    return Err(ContentError::corrupt(run, NO_MATCH));
                }
                let part = Bytes::from(part);
                self.cache.put(place, part.clone());
                part
            }
        };
        let skip = range.start - around.start;
        Ok(Some(part.slice(skip..skip + range.len())))
    }

    /// Ends the open segment: the next extent begins a new one, so that the old one can be removed.
    pub fn end_segment(&self) {
        self.segments.end();
    }

    /// Copies a stored extent, compressed or not, to the open segment. Verifies it first. Returns
    /// its new location, for the whole of it.
    pub fn copy(&self, stored: &Stored) -> Result<Stored, ContentError> {
        self.read_verified(stored)?;
        let (segment, offset) = self.segments.append(&self.read_packed(stored)?)?;
        Ok(Stored {
            segment,
            offset,
            ..*stored
        })
    }

    /// Returns all segments, with their lengths in bytes.
    pub fn segments(&self) -> Result<BTreeMap<SegmentId, u64>, ContentError> {
        let mut found = BTreeMap::new();
        for id in self.segments.ids()? {
            found.extend(self.segments.len(id)?.map(|len| (id, len)));
        }
        Ok(found)
    }

    /// Removes all segments except those in `kept`, the open one and those that are not synced.
    /// Returns the number of bytes that were freed. The caller must ensure that no spill runs
    /// meanwhile: it could share an extent of a segment that is being removed.
    pub fn retain(&self, kept: &BTreeSet<SegmentId>) -> Result<u64, ContentError> {
        self.recent.forget();
        self.segments.retain(kept)
    }

    /// Notes on the disk that the history is being rewritten, and lists the segments with bytes
    /// that the rewrite is to erase.
    pub fn note_unfinished(&self, erased: &BTreeSet<SegmentId>) -> Result<(), ContentError> {
        self.segments.note_unfinished(erased)
    }

    /// Returns the segments of the last [`Content::note_unfinished`]; `None` after
    /// [`Content::note_finished`].
    pub fn unfinished(&self) -> Result<Option<BTreeSet<SegmentId>>, ContentError> {
        self.segments.unfinished()
    }

    /// Notes that nothing is left to erase.
    pub fn note_finished(&self) -> Result<(), ContentError> {
        self.segments.note_finished()
    }

    /// Returns the length of a segment in bytes, or `None` if it does not exist.
    pub fn segment_len(&self, segment: SegmentId) -> Result<Option<u64>, ContentError> {
        self.segments.len(segment)
    }

    /// Returns the stored extent of `run` as it is in the segment, compressed or not.
    fn read_packed(&self, run: &Stored) -> Result<Vec<u8>, ContentError> {
        self.segments.read(run, 0, run.packed_len)
    }

    /// Returns the whole stored extent of `run`, decompressed but not verified.
    fn read_whole(&self, run: &Stored) -> Result<Vec<u8>, ContentError> {
        let whole = self.read_packed(run)?;
        if !run.is_packed() {
            return Ok(whole);
        }
        let unpacked = self.packing.unpack(&whole, run.stored_len as usize);
        unpacked.map_err(|_| ContentError::corrupt(run, "the bytes cannot be unpacked"))
    }

    /// Returns the whole stored extent of `run`, decompressed and verified.
    pub fn read_verified(&self, run: &Stored) -> Result<Vec<u8>, ContentError> {
        let whole = self.read_whole(run)?;
        // No part of a zstd frame can be read without what precedes it, so group hashes are
        // useless.
        let verified = match run.is_packed() {
            true => blake3::hash(&whole).as_bytes() == &run.hash,
            false => self.groups.verify(&whole, &run.hash),
        };
        match verified {
            true => Ok(whole),
            false => Err(ContentError::corrupt(run, NO_MATCH)),
        }
    }
}

#[cfg(test)]
mod tests;
