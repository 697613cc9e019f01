//! Spills the content of an immutable memtable to segments.
//!
//! Hashing, comparing and compressing take the time and run in parallel. Appending to the segment
//! is serial, in the order of the file.

use super::help::each;
use super::{Content, ContentError, Known};
use crate::tinyfs::{ContentId, Entries, Extent, Extents, Stored, describe};
use bytes::Bytes;
use std::collections::{BTreeMap, HashSet};
use std::sync::atomic::Ordering;

/// Bytes of a window from which it is worked on in parallel.
const WORTH_HELP: usize = 1 << 20;
/// Bytes that are hashed and compressed before the first of them is written. Bounds memory.
const WINDOW: usize = 8 << 20;

/// An inline extent to be stored in a segment, with its BLAKE3 hash.
struct Piece<'a> {
    key: (ContentId, u64),
    bytes: &'a Bytes,
    hash: [u8; 32],
}

/// How a piece gets its location.
enum Plan {
    /// Refer to a stored extent with the same bytes.
    Share(Stored),
    /// Append this zstd frame, or with `None` the bytes themselves.
    Write(Option<Vec<u8>>),
}

impl Content {
    /// Spills the inline bytes of `extents`: short ones stay inline, content that is stored already
    /// is shared, the rest is appended to a segment. `known` looks up stored content by its hash.
    /// Returns the extents with their new locations; readers see the same bytes. Appended bytes are
    /// durable after [`Content::sync`].
    ///
    /// Every extent keeps its key and length, because newer memtables may hold changes that refer
    /// to these extents.
    pub fn settle(
        &self,
        extents: &Entries<Extents>,
        known: &Known<'_>,
    ) -> Result<Entries<Extents>, ContentError> {
        let mut large: Vec<Large<'_>> = Vec::new();
        for (key, extent) in extents {
            if let Some(Extent::Inline(bytes)) = extent
                && bytes.len() > self.inline_max
            {
                large.push((*key, bytes));
            }
        }
        let mut places = BTreeMap::new();
        let mut rest = &large[..];
        while !rest.is_empty() {
            let (window, bytes, more) = window(rest);
            let placed = self.place(window, bytes >= WORTH_HELP, known, &mut places);
            placed.inspect_err(|_| self.spilled.store(0, Ordering::Release))?;
            rest = more;
        }
        let settled = extents.iter().map(|(key, extent)| {
            let extent = match (places.get(key), extent) {
                (Some(stored), _) => Some(Extent::Stored(*stored)),
                // A copy, since a slice of a large write buffer would keep the whole buffer in
                // memory.
                (None, Some(Extent::Inline(bytes))) => {
                    Some(Extent::Inline(Bytes::copy_from_slice(bytes)))
                }
                (None, other) => other.clone(),
            };
            (*key, extent)
        });
        let settled = settled.collect();
        self.spilled.store(0, Ordering::Release);
        Ok(settled)
    }

    /// Stores the pieces of one window and adds their locations to `places`.
    fn place(
        &self,
        window: &[Large<'_>],
        help: bool,
        known: &Known<'_>,
        places: &mut BTreeMap<(ContentId, u64), Stored>,
    ) -> Result<(), ContentError> {
        let pieces = each(window, help, |&(key, bytes)| Piece {
            key,
            bytes,
            hash: *blake3::hash(bytes).as_bytes(),
        });
        let mut seen = HashSet::new();
        let (firsts, again): (Vec<_>, Vec<_>) =
            pieces.iter().partition(|piece| seen.insert(piece.hash));
        let plans = each(&firsts, help, |piece| self.plan(piece, known));
        for (piece, plan) in firsts.into_iter().zip(plans) {
            places.insert(piece.key, self.carry_out(piece, plan?)?);
        }
        for piece in again {
            // Its first occurrence has been appended and is in `recent`.
            let plan = self.plan(piece, known)?;
            places.insert(piece.key, self.carry_out(piece, plan)?);
        }
        Ok(())
    }

    fn plan(&self, piece: &Piece<'_>, known: &Known<'_>) -> Result<Plan, ContentError> {
        if let Some(stored) = self.stored(piece, known) {
            return Ok(Plan::Share(stored));
        }
        let packed = self.packing.pack(piece.bytes);
        Ok(Plan::Write(packed.map_err(ContentError::packing)?))
    }

    fn carry_out(&self, piece: &Piece<'_>, plan: Plan) -> Result<Stored, ContentError> {
        let packed = match plan {
            Plan::Share(stored) => return Ok(stored),
            Plan::Write(packed) => packed,
        };
        let packed = packed.as_deref().unwrap_or(piece.bytes);
        let (segment, offset) = self.segments.append(packed)?;
        self.spilled
            .fetch_add(packed.len() as u64, Ordering::AcqRel);
        // An extent has at most MAX_EXTENT bytes, so its length fits.
        let len = piece.bytes.len() as u32;
        let stored = Stored {
            len,
            skip: 0,
            segment,
            offset,
            stored_len: len,
            packed_len: packed.len() as u32,
            hash: piece.hash,
        };
        self.recent.note(stored);
        Ok(stored)
    }

    /// Returns a stored extent with the same bytes as `piece`. It is read and compared first: if
    /// the stored copy is damaged, sharing it would lose bytes that the writer still has.
    fn stored(&self, piece: &Piece<'_>, known: &Known<'_>) -> Option<Stored> {
        let stored = self
            .recent
            .get(&piece.hash)
            .or_else(|| known(&piece.hash))?;
        let whole = stored.skip == 0 && stored.len == stored.stored_len;
        if !whole || stored.hash != piece.hash || stored.len as usize != piece.bytes.len() {
            return None;
        }
        match self.read_whole(&stored) {
            Ok(found) if found == *piece.bytes => Some(stored),
            Ok(_) => {
                tracing::warn!("stored again: the existing copy is damaged");
                None
            }
            Err(error) => {
                tracing::warn!("stored again: {}", describe(&error));
                None
            }
        }
    }
}

/// The key and bytes of an inline extent that goes to a segment.
type Large<'a> = ((ContentId, u64), &'a Bytes);

/// Splits off the first extents, up to about [`WINDOW`] bytes. Returns them, their total length in
/// bytes, and the rest.
fn window<'a, 'b>(large: &'a [Large<'b>]) -> (&'a [Large<'b>], usize, &'a [Large<'b>]) {
    let (mut bytes, mut upto) = (0, 0);
    while bytes < WINDOW
        && let Some((_, next)) = large.get(upto)
    {
        bytes += next.len();
        upto += 1;
    }
    let (window, rest) = large.split_at(upto);
    (window, bytes, rest)
}
