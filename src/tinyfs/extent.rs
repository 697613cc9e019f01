//! Directory entries and extents: the values of the maps *names* and *extents*.

use super::{Kind, NodeId, SegmentId};
use bytes::Bytes;

/// Maximum length of an extent in bytes: it bounds what a small read has to fetch and verify.
pub const MAX_EXTENT: u32 = 1 << 20;

/// Extents of up to this many bytes stay inline in their record: that costs one write instead of
/// two, and no second read.
///
/// A database's page of 4 KiB is above it. Were such pages inline, each rewrite of one would be
/// written to the journal, the oplog and the index, and copied by every merge of these.
pub const INLINE_MAX: usize = (4 << 10) - 1;

/// A directory entry: the node that a name leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dentry {
    /// The node.
    pub child: NodeId,
    /// Its kind, so that a listing needs no second look-up.
    pub kind: Kind,
}

/// A run of bytes of a content. Its key holds the offset at which it starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Extent {
    /// The bytes themselves.
    Inline(Bytes),
    /// Bytes in a segment.
    Stored(Stored),
}

/// A run of bytes in a segment: `len` bytes from byte `skip` of a stored extent. A stored extent is
/// written in one piece, and its hash covers all of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Length of this run in bytes, at least 1.
    pub len: u32,
    /// Offset of this run within the stored extent.
    pub skip: u32,
    /// The segment.
    pub segment: SegmentId,
    /// Offset of the stored extent in the segment.
    pub offset: u64,
    /// Length of the stored extent, uncompressed; at most [`MAX_EXTENT`].
    pub stored_len: u32,
    /// Bytes that it occupies in the segment: fewer than `stored_len` if it is a zstd frame,
    /// otherwise as many.
    pub packed_len: u32,
    /// BLAKE3 of the whole stored extent, uncompressed.
    pub hash: [u8; 32],
}

impl Stored {
    /// Returns whether the stored extent is compressed in the segment.
    pub fn is_packed(&self) -> bool {
        self.packed_len < self.stored_len
    }
}

impl Extent {
    /// Returns the length of the run in bytes.
    pub fn len(&self) -> u64 {
        match self {
            Extent::Inline(bytes) => bytes.len() as u64,
            Extent::Stored(stored) => u64::from(stored.len),
        }
    }

    /// Returns whether the run has no bytes. No map contains such an extent.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the part of this run that starts at byte `skip` and has `len` bytes. It is cut at
    /// the end of the run.
    pub fn slice(&self, skip: u64, len: u64) -> Extent {
        let skip = skip.min(self.len());
        let len = len.min(self.len() - skip);
        match self {
            Extent::Inline(bytes) => {
                Extent::Inline(bytes.slice(skip as usize..(skip + len) as usize))
            }
            // Both casts are exact: `skip` and `len` are at most `self.len()`, here a u32.
            Extent::Stored(stored) => Extent::Stored(Stored {
                len: len as u32,
                skip: stored.skip + skip as u32,
                ..*stored
            }),
        }
    }
}
