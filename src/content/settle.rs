//! Where the bytes of a frozen layer go.
//!
//! What costs time, hashing, comparing and packing, is done for several pieces at once; the
//! segment gets them one after another, in the order of the file.

use super::help::each;
use super::{Content, ContentError, Known};
use crate::tinyfs::{ContentId, Entries, Extent, Extents, Stored, describe};
use bytes::Bytes;
use std::collections::{BTreeMap, HashSet};

/// An extent of up to this many bytes stays inline in its record: it costs one write, not two, and
/// comes back without a second read.
///
/// A page that is rewritten somewhere in a large file has a place of its own: in records, a database's pages would be
/// written to the journal, the oplog and the index, and merged there again and again.
const INLINE_MAX: usize = (4 << 10) - 1;
/// Bytes from which on other threads help.
const WORTH_HELP: usize = 1 << 20;
/// Bytes that are prepared before the first of them are written: what they are packed to stands in memory.
const WINDOW: usize = 8 << 20;

/// Bytes that get a place of their own, and their hash.
struct Piece<'a> {
    key: (ContentId, u64),
    bytes: &'a Bytes,
    hash: [u8; 32],
}

/// What is to be done with a piece.
enum Plan {
    /// The same bytes stand there.
    Share(Stored),
    /// The frame is written, or the bytes themselves.
    Write(Option<Vec<u8>>),
}

impl Content {
    /// Gives the inline bytes of `extents` their place: what is small stays inline, what is stored already is
    /// shared, the rest goes to a segment. `known` tells where bytes of a hash stand. Answers the extents as
    /// they are then; they say the same.
    ///
    /// Every extent keeps its key and its length: later changes may have been made by them already.
    pub fn settle(
        &self,
        extents: &Entries<Extents>,
        known: &Known<'_>,
    ) -> Result<Entries<Extents>, ContentError> {
        let mut large: Vec<Large<'_>> = Vec::new();
        for (key, extent) in extents {
            if let Some(Extent::Inline(bytes)) = extent
                && bytes.len() > INLINE_MAX
            {
                large.push((*key, bytes));
            }
        }
        let mut places = BTreeMap::new();
        let mut rest = &large[..];
        while !rest.is_empty() {
            let (window, bytes, more) = window(rest);
            self.place(window, bytes >= WORTH_HELP, known, &mut places)?;
            rest = more;
        }
        let settled = extents.iter().map(|(key, extent)| {
            let extent = match (places.get(key), extent) {
                (Some(stored), _) => Some(Extent::Stored(*stored)),
                // A copy, where the run is a small part of a large buffer that would live as long.
                (None, Some(Extent::Inline(bytes))) => {
                    Some(Extent::Inline(Bytes::copy_from_slice(bytes)))
                }
                (None, other) => other.clone(),
            };
            (*key, extent)
        });
        Ok(settled.collect())
    }

    /// Gives some pieces their places.
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
            // The first of them stands among what was stored lately.
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

    /// The same bytes, where they stand already. They are read back first: what is damaged there is not what
    /// the writer gave, who has the true bytes at hand.
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
                tracing::warn!("stored once more: what stands there is damaged");
                None
            }
            Err(error) => {
                tracing::warn!("stored once more: {}", describe(&error));
                None
            }
        }
    }
}

/// A key, and what stands under it.
type Large<'a> = ((ContentId, u64), &'a Bytes);

/// The first of them, as many as a window has, with how many bytes they are; and the rest.
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
