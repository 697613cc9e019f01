//! Small extents at the end of a file, which appending leaves behind, become one.
//!
//! Each merge joins [`MERGE_RUN`] or more neighbours, so that a byte is rewritten about
//! log(file) / log(16) times until it stands in a full chunk, however slowly the file grows.

use crate::tinyfs::ops::{CHUNK, extents_in};
use crate::tinyfs::{ContentId, Extent, FsResult, Node, Store, Version, first_to_join};

/// Small neighbours that are worth one merge.
pub const MERGE_RUN: u64 = 16;

/// A content and neighbouring extents of it, each with its file offset.
pub type Tail = (ContentId, Vec<(u64, Extent)>);

/// The run of small extents at the end of a file, oldest bytes first, if there are enough of about
/// one size to merge. They lie in one chunk.
pub fn small_tail<S: Store>(store: &S, node: &Node) -> FsResult<Option<Tail>> {
    let Some(content) = node.content else {
        return Ok(None);
    };
    let Some(last) = node.size.checked_sub(1) else {
        return Ok(None);
    };
    let chunk = last / CHUNK * CHUNK;
    let mut tail = extents_in(store, Version::NOW, content, chunk..node.size)?;
    tail.retain(|(start, _)| *start >= chunk);
    // Without a gap between them.
    let gap = tail.windows(2).rposition(|pair| match pair {
        [(start, extent), (next, _)] => start + extent.len() != *next,
        _ => false,
    });
    let mut tail = tail.split_off(gap.map_or(0, |gap| gap + 1));
    let sizes: Vec<u64> = tail.iter().map(|(_, extent)| extent.len()).collect();
    let first = first_to_join(&sizes, MERGE_RUN);
    Ok(first.map(|first| (content, tail.split_off(first))))
}
