//! Finds stored extents by the hash of their bytes, so that equal content is stored once.
//!
//! One keyspace, written with every version and rebuilt with the index: BLAKE3 of a stored extent →
//! its segment, offset, length and compressed length. The first location is kept.

use super::IndexError;
use super::disk::{CUT, Disk, u64_at_start};
use crate::tinyfs::{SegmentId, Stored};

pub(super) fn stored_value(stored: &Stored) -> Vec<u8> {
    let mut value = stored.segment.0.to_le_bytes().to_vec();
    value.extend_from_slice(&stored.offset.to_le_bytes());
    value.extend_from_slice(&stored.stored_len.to_le_bytes());
    value.extend_from_slice(&stored.packed_len.to_le_bytes());
    value
}

impl Disk {
    /// Returns the stored extent whose bytes have `hash`.
    pub(super) fn stored(&self, hash: &[u8; 32]) -> Result<Option<Stored>, IndexError> {
        let Some(value) = self.stored.get(hash)? else {
            return Ok(None);
        };
        let (segment, rest) = u64_at_start(&value)?;
        let (offset, rest) = u64_at_start(rest)?;
        let (stored_len, packed_len) = rest.split_first_chunk().ok_or(CUT)?;
        let stored_len = u32::from_le_bytes(*stored_len);
        let packed_len = u32::from_le_bytes(packed_len.try_into().map_err(|_| CUT)?);
        let stored = Stored {
            len: stored_len,
            skip: 0,
            segment: SegmentId(segment),
            offset,
            stored_len,
            packed_len,
            hash: *hash,
        };
        Ok(Some(stored.checked()?))
    }
}
