//! Bytes of files, as extents: writing, cutting, sharing and finding them.
//!
//! Always holds: the extents of a content are disjoint, each lies below the file's size, and each
//! has at least one byte and at most [`MAX_EXTENT`](crate::tinyfs::MAX_EXTENT). What no extent
//! covers is a hole and reads as zeros.

use super::setattr::clear_set_id;
use super::{Caller, file};
use crate::tinyfs::{
    ContentId, Errno, Extent, Extents, FsResult, Node, NodeId, Nodes, Store, Tx, Version,
};
use bytes::Bytes;
use std::ops::{ControlFlow, Range};

/// New extents do not cross multiples of this many bytes. It is what a small read fetches and
/// verifies at least, and what one record describes at most.
pub const CHUNK: u64 = 128 << 10;

/// The largest size of a file: what an offset of the system calls can say.
const MAX_SIZE: u64 = i64::MAX as u64;

/// What [`seek`] looks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seek {
    /// The next byte that an extent covers.
    Data,
    /// The next byte that none covers; the end of the file counts as one.
    Hole,
}

/// The extents of `content` that touch `range` at version `at`, in order, whole.
pub fn extents_in<S: Store>(
    store: &S,
    at: Version,
    content: ContentId,
    range: Range<u64>,
) -> FsResult<Vec<(u64, Extent)>> {
    let mut found = Vec::new();
    visit_extents(store, at, content, range, &mut |start, extent| {
        found.push((start, extent));
        ControlFlow::Continue(())
    })?;
    Ok(found)
}

/// Visits the extents of `content` that touch `range`, in order, until `visit` breaks.
fn visit_extents<S: Store>(
    store: &S,
    at: Version,
    content: ContentId,
    range: Range<u64>,
    visit: &mut dyn FnMut(u64, Extent) -> ControlFlow<()>,
) -> FsResult<()> {
    if range.is_empty() {
        return Ok(());
    }
    let (from, to) = ((content, range.start), (content, range.end));
    let mut touching = |(_, start): (ContentId, u64), extent: Extent| {
        let end = start + extent.len();
        if end > range.start {
            visit(start, extent)?;
        }
        // No other reaches into the range, and the store need not look for more.
        match end >= range.end {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    };
    // Only the last extent that begins before the range can reach into it.
    match range.start.checked_sub(1) {
        None => store.scan::<Extents>(at, &from, &to, &mut touching),
        Some(before) => {
            let before = (content, 0)..=(content, before);
            store.scan_with_last::<Extents>(at, before, from..to, &mut touching)
        }
    }
}

/// Makes `range` of `content` a hole: removes the extents in it and trims those at its edges. Answers
/// how many bytes they covered of it.
pub fn punch<S: Store>(tx: &mut Tx<'_, S>, content: ContentId, range: Range<u64>) -> FsResult<u64> {
    let mut covered = 0;
    for (start, extent) in extents_in(tx, Version::NOW, content, range.clone())? {
        let end = start + extent.len();
        if start < range.start {
            tx.put::<Extents>((content, start), extent.slice(0, range.start - start));
        } else {
            tx.remove::<Extents>((content, start));
        }
        if end > range.end {
            let kept = extent.slice(range.end - start, end - range.end);
            tx.put::<Extents>((content, range.end), kept);
        }
        covered += end.min(range.end) - start.max(range.start);
    }
    Ok(covered)
}

/// Writes `data` at `offset`. `fresh` gives an unused content id, if the file has none; `place` may
/// put the bytes where they go without any change of the maps, told the content and the file's size
/// so far, and says whether it did. Writing nothing changes nothing, wherever it is.
///
/// Errors: `EISDIR`, `EINVAL` for what is no regular file, `EFBIG`.
pub fn write<S: Store>(
    tx: &mut Tx<'_, S>,
    caller: &Caller,
    id: NodeId,
    fresh: impl FnOnce() -> ContentId,
    offset: u64,
    data: &[u8],
    place: impl FnOnce(ContentId, u64) -> bool,
) -> FsResult<Node> {
    let mut node = file(tx, id)?;
    if data.is_empty() {
        return Ok(node);
    }
    let end = end_of(offset, data.len() as u64)?;
    let content = *node.content.get_or_insert_with(fresh);
    let placed = place(content, node.size);
    if placed {
        // Over bytes that are there already, and on from where the file ended.
        node.allocated += end.saturating_sub(node.size);
    } else {
        if offset < node.size {
            let freed = punch(tx, content, offset..end)?;
            node.allocated = node.allocated.saturating_sub(freed);
        }
        node.allocated += data.len() as u64;
    }
    let (mut at, mut rest) = (offset, if placed { &[] } else { data });
    while !rest.is_empty() {
        let room = (CHUNK - at % CHUNK).min(rest.len() as u64);
        let (piece, tail) = rest.split_at(room as usize);
        tx.put::<Extents>((content, at), Extent::Inline(Bytes::copy_from_slice(piece)));
        at += room;
        rest = tail;
    }
    node.size = node.size.max(end);
    Ok(modified(tx, caller, id, node))
}

/// Makes the file `size` bytes long. Cutting all of it off costs one record however long it was:
/// the next write starts a new content.
pub fn truncate<S: Store>(
    tx: &mut Tx<'_, S>,
    caller: &Caller,
    id: NodeId,
    size: u64,
) -> FsResult<Node> {
    let mut node = file(tx, id)?;
    end_of(0, size)?;
    match node.content {
        Some(_) if size == 0 => (node.content, node.allocated) = (None, 0),
        Some(content) if size < node.size => {
            let freed = punch(tx, content, size..node.size)?;
            node.allocated = node.allocated.saturating_sub(freed);
        }
        _ => {}
    }
    node.size = size;
    Ok(modified(tx, caller, id, node))
}

/// Makes a range a hole (`FALLOC_FL_PUNCH_HOLE`, `FALLOC_FL_ZERO_RANGE`) and the file at least
/// `min_size` bytes long.
pub fn zero<S: Store>(
    tx: &mut Tx<'_, S>,
    caller: &Caller,
    id: NodeId,
    range: Range<u64>,
    min_size: u64,
) -> FsResult<Node> {
    let mut node = file(tx, id)?;
    end_of(range.start, range.end.saturating_sub(range.start))?;
    end_of(0, min_size)?;
    if let Some(content) = node.content
        && range.start < node.size
    {
        let freed = punch(tx, content, range.start..range.end.min(node.size))?;
        node.allocated = node.allocated.saturating_sub(freed);
    }
    node.size = node.size.max(min_size);
    Ok(modified(tx, caller, id, node))
}

/// Makes `len` bytes at `to_offset` of file `to` the same as those at `from_offset` of file `from`,
/// by sharing their extents. Answers how many bytes that were: fewer where `from` ends.
///
/// Errors: those of [`write`]; `EINVAL` where both are one file and the ranges overlap.
pub fn copy_range<S: Store>(
    tx: &mut Tx<'_, S>,
    caller: &Caller,
    (from, from_offset): (NodeId, u64),
    (to, to_offset): (NodeId, u64),
    fresh: impl FnOnce() -> ContentId,
    len: u64,
) -> FsResult<u64> {
    let source = file(tx, from)?;
    let mut target = file(tx, to)?;
    let len = len.min(source.size.saturating_sub(from_offset));
    if len == 0 {
        return Ok(0);
    }
    let (from_end, to_end) = (end_of(from_offset, len)?, end_of(to_offset, len)?);
    if from == to && from_offset < to_end && to_offset < from_end {
        return Err(Errno::EINVAL.into());
    }
    let shared = match source.content {
        Some(content) => extents_in(tx, Version::NOW, content, from_offset..from_end)?,
        None => Vec::new(),
    };
    let content = *target.content.get_or_insert_with(fresh);
    if to_offset < target.size {
        let freed = punch(tx, content, to_offset..to_end)?;
        target.allocated = target.allocated.saturating_sub(freed);
    }
    for (start, extent) in shared {
        let skip = from_offset.saturating_sub(start);
        let begin = start + skip;
        let part = extent.slice(skip, from_end.min(start + extent.len()) - begin);
        target.allocated += part.len();
        tx.put::<Extents>((content, to_offset + (begin - from_offset)), part);
    }
    target.size = target.size.max(to_end);
    modified(tx, caller, to, target);
    Ok(len)
}

/// The next data or hole at or after `offset`, or `ENXIO` beyond the end.
pub fn seek<S: Store>(
    store: &S,
    at: Version,
    node: &Node,
    offset: u64,
    what: Seek,
) -> FsResult<u64> {
    if offset >= node.size {
        return Err(Errno::ENXIO.into());
    }
    let (mut data, mut hole) = (None, offset);
    if let Some(content) = node.content {
        visit_extents(
            store,
            at,
            content,
            offset..node.size,
            &mut |start, extent| {
                data = data.or(Some(start.max(offset)));
                if what == Seek::Data || start > hole {
                    return ControlFlow::Break(());
                }
                hole = start + extent.len();
                ControlFlow::Continue(())
            },
        )?;
    }
    match what {
        Seek::Data => Ok(data.ok_or(Errno::ENXIO)?),
        Seek::Hole => Ok(hole.min(node.size)),
    }
}

/// Notes in a file's node that its content changed; drops the set-id bits of a caller who may not
/// keep them. (A node from elsewhere may have said that less was allocated, or more, than there was.)
fn modified<S: Store>(tx: &mut Tx<'_, S>, caller: &Caller, id: NodeId, mut node: Node) -> Node {
    node.allocated = node.allocated.min(node.size);
    node.mtime = caller.now;
    node.ctime = caller.now;
    if !caller.keeps_set_id() {
        clear_set_id(caller, &mut node);
    }
    tx.put::<Nodes>(id, node.clone());
    node
}

/// `offset + len`, or `EFBIG` beyond what a file can hold.
fn end_of(offset: u64, len: u64) -> FsResult<u64> {
    match offset.checked_add(len) {
        Some(end) if end <= MAX_SIZE => Ok(end),
        _ => Err(Errno::EFBIG.into()),
    }
}
