//! Where the bytes of a frozen layer go.

use super::ContentError;
use super::segments::Segments;
use crate::tinyfs::{Entries, Extent, Extents, Stored};
use bytes::Bytes;

/// An extent of up to this many bytes stays inline in its record: it costs one write, not two, and
/// comes back without a second read.
const INLINE_MAX: usize = 4 << 10;

/// Every extent keeps its key and its length: later changes may have been made by them already.
pub(super) fn settle(
    segments: &Segments,
    extents: &Entries<Extents>,
) -> Result<Entries<Extents>, ContentError> {
    let place = |extent: &Extent| match extent {
        Extent::Inline(bytes) => place(segments, bytes),
        Extent::Stored(_) => Ok(extent.clone()),
    };
    extents
        .iter()
        .map(|(key, extent)| Ok((*key, extent.as_ref().map(place).transpose()?)))
        .collect()
}

fn place(segments: &Segments, bytes: &Bytes) -> Result<Extent, ContentError> {
    if bytes.len() <= INLINE_MAX {
        // A copy, where the run is a small part of a large buffer that would live as long.
        return Ok(Extent::Inline(Bytes::copy_from_slice(bytes)));
    }
    let hash = *blake3::hash(bytes).as_bytes();
    let (segment, offset) = segments.append(bytes)?;
    // An extent has at most MAX_EXTENT bytes, so its length fits.
    let len = bytes.len() as u32;
    Ok(Extent::Stored(Stored {
        len,
        skip: 0,
        segment,
        offset,
        stored_len: len,
        hash,
    }))
}
