//! Detects changes of content without reading it.

use super::Pond;
use crate::index::Index;
use crate::tinyfs::{Extent, FsResult, NodeId, Version, Wd, ops};
use std::ops::Range;

impl Pond {
    /// Returns the number of changes since the pond was opened. While it stays the same, so does
    /// the present.
    pub fn changes(&self) -> u64 {
        self.index.changes()
    }

    /// Returns the directory `dir` at version `at`, as the base of paths and patterns.
    pub fn directory(&self, at: Version, dir: NodeId) -> FsResult<Wd<'_, Index>> {
        Wd::at(&self.index, at, dir)
    }

    /// Returns a hash of the extents that make up a range of a file at version `at`. Equal hashes
    /// mean equal bytes. Equal bytes can have different hashes, since content is rechunked and
    /// joined.
    pub fn fingerprint(&self, at: Version, id: NodeId, range: Range<u64>) -> FsResult<[u8; 32]> {
        let mut hasher = blake3::Hasher::new();
        let node = self.node(at, id)?;
        let range = range.start..range.end.min(node.size);
        hasher.update(&range.end.saturating_sub(range.start).to_le_bytes());
        let Some(content) = node.content else {
            return Ok(*hasher.finalize().as_bytes());
        };
        for (start, extent) in ops::extents_in(&self.index, at, content, range.clone())? {
            let skip = range.start.saturating_sub(start);
            let begin = start + skip;
            let part = extent.slice(skip, range.end.saturating_sub(begin));
            hasher.update(&(begin - range.start).to_le_bytes());
            hasher.update(&part.len().to_le_bytes());
            match part {
                Extent::Inline(bytes) => hasher.update(blake3::hash(&bytes).as_bytes()),
                Extent::Stored(stored) => hasher
                    .update(&stored.hash)
                    .update(&stored.skip.to_le_bytes()),
            };
        }
        Ok(*hasher.finalize().as_bytes())
    }
}
