//! Small extents at the end of a file, which appending leaves behind, become one.
//!
//! Each merge joins [`MERGE_RUN`] or more neighbours of one class of size, so that a byte is rewritten about
//! log(64 KiB) / log(16) times until it stands in a piece as large as those of a file that was written at once,
//! however slowly the file grows. What is joined and long is then cut where its content says, like all else.

use super::MIN_RUN;
use crate::tinyfs::ops::extents_in;
use crate::tinyfs::{ContentId, Extent, FsResult, MAX_EXTENT, Node, Store, Version, first_to_join};

/// Small neighbours that are worth one merge.
pub const MERGE_RUN: u64 = 16;

/// A content and neighbouring extents of it, each with its file offset.
pub type Tail = (ContentId, Vec<(u64, Extent)>);

/// The run of small extents at the end of a file, oldest bytes first, if there are enough of about
/// one size to merge. Together they are no longer than an extent may be.
pub fn small_tail<S: Store>(store: &S, node: &Node) -> FsResult<Option<Tail>> {
    let Some(content) = node.content else {
        return Ok(None);
    };
    let from = node.size.saturating_sub(u64::from(MAX_EXTENT));
    let mut tail = extents_in(store, Version::NOW, content, from..node.size)?;
    tail.retain(|(start, _)| *start >= from);
    // Without a gap between them, or a piece that is large enough as it is.
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
