//! Directory entries and extents: the values of the maps *names* and *extents*.

use super::{Kind, NodeId, SegmentId};
use bytes::Bytes;

/// The longest extent, in bytes: what one read has to fetch and verify at most.
pub const MAX_EXTENT: u32 = 1 << 20;

/// A directory entry: which node a name leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dentry {
    /// The node.
    pub child: NodeId,
    /// Its kind, so that listing a directory needs no second look-up.
    pub kind: Kind,
}

/// A run of bytes of one content. Its key tells where the run starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Extent {
    /// The bytes themselves.
    Inline(Bytes),
    /// Bytes that stand in a segment.
    Stored(Stored),
}

/// A run of bytes in a segment: `len` bytes from byte `skip` on, of the stored extent that was
/// written as one piece and carries the hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Length of this run in bytes, at least 1.
    pub len: u32,
    /// First byte of this run within the stored extent.
    pub skip: u32,
    /// The segment.
    pub segment: SegmentId,
    /// Where in the segment the stored extent begins.
    pub offset: u64,
    /// Length of the stored extent; at most [`MAX_EXTENT`].
    pub stored_len: u32,
    /// Bytes that it takes in the segment: fewer than `stored_len` where it is one zstd frame there, else as many.
    pub packed_len: u32,
    /// BLAKE3 of the whole stored extent, as it is when it is unpacked.
    pub hash: [u8; 32],
}

impl Stored {
    /// Whether it is compressed in the segment.
    pub fn is_packed(&self) -> bool {
        self.packed_len < self.stored_len
    }
}

impl Extent {
    /// Length of the run in bytes.
    pub fn len(&self) -> u64 {
        match self {
            Extent::Inline(bytes) => bytes.len() as u64,
            Extent::Stored(stored) => u64::from(stored.len),
        }
    }

    /// Whether the run has no bytes; no map ever holds such an extent.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The part of this run that starts `skip` bytes in and has `len` bytes.
    ///
    /// Both must lie within the run; what lies beyond its end is cut off.
    pub fn slice(&self, skip: u64, len: u64) -> Extent {
        let skip = skip.min(self.len());
        let len = len.min(self.len() - skip);
        match self {
            Extent::Inline(bytes) => {
                Extent::Inline(bytes.slice(skip as usize..(skip + len) as usize))
            }
            // Both fit: they are at most `self.len()`, which is a u32 here.
            Extent::Stored(stored) => Extent::Stored(Stored {
                len: len as u32,
                skip: stored.skip + skip as u32,
                ..*stored
            }),
        }
    }
}
