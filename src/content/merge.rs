//! Finds small extents at the end of a file, as slow appends leave them, to be joined into one.
//!
//! Each merge joins [`MERGE_RUN`] or more neighbours of one size class. So a byte is rewritten
//! about log(64 KiB) / log(16) times until its extent is as large as those of a file that was
//! written at once, however slowly the file grows. `pond` joins them; a run of [`MIN_RUN`] bytes or
//! more is then chunked by content, as any other.

use super::MIN_RUN;
use crate::tinyfs::ops::extents_in;
use crate::tinyfs::{ContentId, Extent, FsResult, MAX_EXTENT, Node, Store, Version, first_to_join};

/// Small neighbours of one size class that are worth a merge.
pub const MERGE_RUN: u64 = 16;

/// A content id and neighbouring extents of it, each with its file offset.
pub type Tail = (ContentId, Vec<(u64, Extent)>);

/// Returns the run of small extents at the end of `node`'s content, in file order, if at least
/// [`MERGE_RUN`] of one size class are there. Their total length is at most [`MAX_EXTENT`].
pub fn small_tail<S: Store>(store: &S, node: &Node) -> FsResult<Option<Tail>> {
    let Some(content) = node.content else {
        return Ok(None);
    };
    let from = node.size.saturating_sub(u64::from(MAX_EXTENT));
    let mut tail = extents_in(store, Version::NOW, content, from..node.size)?;
    tail.retain(|(start, _)| *start >= from);
    // Keep only what follows the last large extent and the last gap.
    let large = tail.iter().rposition(|(_, extent)| extent.len() >= MIN_RUN);
    let mut tail = tail.split_off(large.map_or(0, |large| large + 1));
    let gap = tail.windows(2).rposition(|pair| match pair {
        [(start, extent), (next, _)] => start + extent.len() != *next,
        _ => false,
    });
    let mut tail = tail.split_off(gap.map_or(0, |gap| gap + 1));
    let sizes: Vec<u64> = tail.iter().map(|(_, extent)| extent.len()).collect();
    let first = first_to_join(&sizes, MERGE_RUN);
    Ok(first.map(|first| (content, tail.split_off(first))))
}
