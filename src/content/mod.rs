//! The heap of bytes: segments that are only ever appended to, and extents that say where in them
//! the bytes of a file stand.
//!
//! Role: keep content, equal bytes once. In: the extents of frozen layers, with their bytes. Out: where those bytes
//! stand now, and the bytes again, verified. Holds always: a byte in a segment is written once;
//! nothing is read that does not match the hash of its stored extent; what [`Content::sync`] returned
//! after is on stable storage.

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

pub use cut::{MAX_PIECE, MIN_RUN, cut};
pub use error::ContentError;
pub use merge::{MERGE_RUN, Tail, small_tail};

use crate::disk::Disk;
use crate::tinyfs::{SegmentId, Stored};
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

/// Bytes of verified extents kept in memory.
const CACHE_BYTES: usize = 16 << 20;

const NO_MATCH: &str = "the bytes do not match their hash";

/// The content of one pond. All methods may be called from any thread.
pub struct Content {
    segments: Segments,
    packing: Packing,
    recent: Recent,
    cache: Cache,
    groups: Remembered,
}

/// Tells where bytes of a hash are stored, if they are.
pub type Known<'a> = dyn Fn(&[u8; 32]) -> Option<Stored> + Sync + 'a;

impl Content {
    /// Opens the segments in folder `dir`, which exists.
    pub fn open(disk: Arc<dyn Disk>, dir: &Path) -> Result<Content, ContentError> {
        Ok(Content {
            segments: Segments::open(disk, dir)?,
            packing: Packing::default(),
            recent: Recent::default(),
            cache: Cache::new(CACHE_BYTES),
            groups: Remembered::default(),
        })
    }

    /// Returns when everything that was settled is on stable storage.
    pub fn sync(&self) -> Result<(), ContentError> {
        self.segments.sync()
    }

    /// The bytes of a run, verified.
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

    /// The bytes of `range` in a stored extent, if they can be had and verified for less than the whole.
    fn read_part(&self, run: &Stored, range: &Range<usize>) -> Result<Option<Bytes>, ContentError> {
        let (numbers, around) = around(range.clone(), run.stored_len as usize);
        if run.is_packed() || around.len() * 2 > run.stored_len as usize {
            return Ok(None);
        }
        let Some(groups) = self.groups.get(&run.hash) else {
            return Ok(None);
        };
        // Both fit: they are at most `stored_len`.
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

    /// Has what comes go to a new segment, so that the one that was written to can be removed.
    pub fn end_segment(&self) {
        self.segments.end();
    }

    /// Writes a stored extent once more, as it stands. Answers where, for the whole of it.
    pub fn copy(&self, stored: &Stored) -> Result<Stored, ContentError> {
        self.read_verified(stored)?;
        let (segment, offset) = self.segments.append(&self.read_packed(stored)?)?;
        Ok(Stored {
            segment,
            offset,
            ..*stored
        })
    }

    /// All segments, with their lengths in bytes.
    pub fn segments(&self) -> Result<BTreeMap<SegmentId, u64>, ContentError> {
        let mut found = BTreeMap::new();
        for id in self.segments.ids()? {
            found.extend(self.segments.len(id)?.map(|len| (id, len)));
        }
        Ok(found)
    }

    /// Removes all segments but these, and the one that is written to. Answers how many bytes they had. Nobody
    /// may settle meanwhile.
    pub fn retain(&self, kept: &BTreeSet<SegmentId>) -> Result<u64, ContentError> {
        self.recent.forget();
        self.segments.retain(kept)
    }

    /// The length of a segment in bytes, or `None` where there is none.
    pub fn segment_len(&self, segment: SegmentId) -> Result<Option<u64>, ContentError> {
        self.segments.len(segment)
    }

    /// The stored extent that `run` is of, as it stands in its segment.
    fn read_packed(&self, run: &Stored) -> Result<Vec<u8>, ContentError> {
        self.segments.read(run, 0, run.packed_len)
    }

    /// The whole stored extent that `run` is of, read from the segment.
    fn read_whole(&self, run: &Stored) -> Result<Vec<u8>, ContentError> {
        let whole = self.read_packed(run)?;
        if !run.is_packed() {
            return Ok(whole);
        }
        let unpacked = self.packing.unpack(&whole, run.stored_len as usize);
        unpacked.map_err(|_| ContentError::corrupt(run, "the bytes cannot be unpacked"))
    }

    /// The same, verified.
    pub fn read_verified(&self, run: &Stored) -> Result<Vec<u8>, ContentError> {
        let whole = self.read_whole(run)?;
        // Of what is packed, no part can be had without the rest.
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
