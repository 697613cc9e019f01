//! Keeps files that are appended to version after version in few extents.
//!
//! Role: before a version is made, join the small extents at the end of the files that it changes,
//! where [`small_tail`] finds enough of them. In: the open version. Out: changes of it. Invariant:
//! no byte of a file changes; a tail is examined only when it has got enough new extents for a
//! join to be possible, since an examination passes over all earlier extents.

use super::Pond;
use crate::content::{MERGE_RUN, small_tail};
use crate::tinyfs::{ContentId, Extent, Extents, FsError, FsResult, NodeId, Nodes, Tx};
use bytes::BytesMut;
use parking_lot::Mutex;
use std::collections::HashMap;

/// Files whose new extents are counted; beyond that, all counts start again.
const COUNTED: usize = 1 << 16;

/// Number of new extents of each content since its tail was examined. For a content that is not
/// listed the number is unknown.
#[derive(Default)]
pub(super) struct Tails(Mutex<HashMap<ContentId, u64>>);

impl Tails {
    /// Returns whether the tail of `content`, which got `more` extents, is to be examined.
    fn are_due(&self, content: ContentId, more: u64) -> bool {
        let mut counts = self.0.lock();
        if counts.len() >= COUNTED {
            counts.clear();
        }
        let count = counts.entry(content).or_insert(MERGE_RUN);
        *count = count.saturating_add(more);
        let due = *count >= MERGE_RUN;
        if due {
            *count = 0;
        }
        due
    }
}

impl Pond {
    /// Joins the small extents that appending left at the end of files.
    pub(super) fn merge_tails(&self) -> FsResult<()> {
        self.freeze();
        for (id, content, extents) in self.index.changed_files() {
            if self.tails.are_due(content, extents) {
                self.merge_tail(id)?;
            }
        }
        Ok(())
    }

    fn merge_tail(&self, id: NodeId) -> FsResult<()> {
        // Joining reads from segments.
        let _no_short_change = self.gate.alone();
        let _one_at_a_time = self.changing.lock();
        let mut tx = Tx::new(&self.index);
        let Some(node) = tx.get::<Nodes>(&id)? else {
            return Ok(());
        };
        let Some((content, run)) = small_tail(&self.index, &node)? else {
            return Ok(());
        };
        let mut joined = BytesMut::new();
        let first = run.first().map_or(0, |(start, _)| *start);
        for (start, extent) in run {
            joined.extend_from_slice(&self.bytes_of(&extent).map_err(FsError::store)?);
            tx.remove::<Extents>((content, start));
        }
        tx.put::<Extents>((content, first), Extent::Inline(joined.freeze()));
        self.index.apply(tx.finish(), None);
        Ok(())
    }
}
