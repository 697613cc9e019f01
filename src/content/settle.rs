//! Where the bytes of a frozen layer go.

use super::{Content, ContentError, Known};
use crate::tinyfs::{Entries, Extent, Extents, Stored, describe};
use bytes::Bytes;

/// An extent of up to this many bytes stays inline in its record: it costs one write, not two, and
/// comes back without a second read.
const INLINE_MAX: usize = 4 << 10;

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
        let place = |extent: &Extent| match extent {
            Extent::Inline(bytes) => self.place(bytes, known),
            Extent::Stored(_) => Ok(extent.clone()),
        };
        extents
            .iter()
            .map(|(key, extent)| Ok((*key, extent.as_ref().map(place).transpose()?)))
            .collect()
    }

    fn place(&self, bytes: &Bytes, known: &Known<'_>) -> Result<Extent, ContentError> {
        if bytes.len() <= INLINE_MAX {
            // A copy, where the run is a small part of a large buffer that would live as long.
            return Ok(Extent::Inline(Bytes::copy_from_slice(bytes)));
        }
        let hash = *blake3::hash(bytes).as_bytes();
        if let Some(stored) = self.stored(&hash, bytes, known) {
            return Ok(Extent::Stored(stored));
        }
        let packed = self.packing.pack(bytes).map_err(ContentError::packing)?;
        let packed = packed.as_deref().unwrap_or(bytes);
        let (segment, offset) = self.segments.append(packed)?;
        // An extent has at most MAX_EXTENT bytes, so its length fits.
        let stored = Stored {
            len: bytes.len() as u32,
            skip: 0,
            segment,
            offset,
            stored_len: bytes.len() as u32,
            packed_len: packed.len() as u32,
            hash,
        };
        self.recent.note(stored);
        Ok(Extent::Stored(stored))
    }

    /// The same bytes, where they stand already. They are read back first: what is damaged there is not what
    /// the writer gave, who has the true bytes at hand.
    fn stored(&self, hash: &[u8; 32], bytes: &[u8], known: &Known<'_>) -> Option<Stored> {
        let stored = self.recent.get(hash).or_else(|| known(hash))?;
        let whole = stored.skip == 0 && stored.len == stored.stored_len;
        if !whole || stored.hash != *hash || stored.len as usize != bytes.len() {
            return None;
        }
        match self.read_whole(&stored) {
            Ok(found) if found == bytes => Some(stored),
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
