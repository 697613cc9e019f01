//! Files that are appended to version after version stay in few pieces.
//!
//! Role: before a version is made, join the small extents at the end of the files that it changes, where
//! [`small_tail`] finds enough of them. In: the open version. Out: changes of it. Holds always: no byte of a file is
//! another one after it; a tail is looked at only when so many extents have come to it that there can be something to
//! join, since a look passes by all that stood there before.

use super::Pond;
use crate::content::{MERGE_RUN, small_tail};
use crate::tinyfs::{ContentId, Extent, Extents, FsError, FsResult, NodeId, Nodes, Tx};
use bytes::BytesMut;
use parking_lot::Mutex;
use std::collections::HashMap;

/// Files whose new extents are counted; the counts of more are begun anew.
const COUNTED: usize = 1 << 16;

/// How many extents each content got since its tail was looked at. Of one that is not here, nobody knows.
#[derive(Default)]
pub(super) struct Tails(Mutex<HashMap<ContentId, u64>>);

impl Tails {
    /// Whether it is time to look at the tail of `content`, which got `more` extents.
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
        // It reads from segments.
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
