//! Small extents at the end of a file, which appending leaves behind, become one.
//!
//! Each merge joins [`MERGE_RUN`] or more neighbours, so that a byte is rewritten about
//! log(file) / log(16) times until it stands in a full chunk, however slowly the file grows.

use crate::tinyfs::ops::{CHUNK, extents_in};
use crate::tinyfs::{ContentId, Extent, FsResult, Node, Store, Version};
use std::cmp::Ordering;

/// Small neighbours that are worth one merge.
pub const MERGE_RUN: usize = 16;

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
    // From the end backwards, by classes of size: enough of one class, with what is smaller and
    // later, make one of the next.
    let mut best = None;
    let mut class = 0;
    let mut in_class = 0;
    for (n, (start, extent)) in tail.iter().enumerate().rev() {
        let later = tail.get(n + 1).map(|(next, _)| *next);
        if later.is_some_and(|next| start + extent.len() != next) {
            break;
        }
        let own = extent.len().ilog(MERGE_RUN as u64);
        match own.cmp(&class) {
            Ordering::Less => {}
            Ordering::Equal => in_class += 1,
            Ordering::Greater => (class, in_class) = (own, 1),
        }
        if in_class >= MERGE_RUN {
            best = Some(n);
        }
    }
    Ok(best.map(|first| (content, tail.split_off(first))))
}
