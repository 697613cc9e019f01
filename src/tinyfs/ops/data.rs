//! Data of files as extents: write, truncate, punch, share and seek.
//!
//! The extents of a content are disjoint. Each lies below the size of the file and has 1 to
//! [`MAX_EXTENT`](crate::tinyfs::MAX_EXTENT) bytes. A range that no extent covers is a hole and
//! reads as zeros.

use super::setattr::clear_set_id;
use super::{Caller, file};
use crate::tinyfs::{
    ContentId, Errno, Extent, Extents, FsResult, Node, NodeId, Nodes, Store, Tx, Version,
};
use bytes::Bytes;
use std::ops::{ControlFlow, Range};

/// Inline extents do not cross multiples of this many bytes: a write is split there, and the index
/// joins adjacent writes only up to there.
pub const CHUNK: u64 = 128 << 10;

/// Extents that a large punch reads at a time.
const PUNCH_BATCH: usize = 4_096;

/// Maximum size of a file: the largest offset of the system calls.
const MAX_SIZE: u64 = i64::MAX as u64;

/// The target of [`seek`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seek {
    /// The next byte that an extent covers.
    Data,
    /// The next byte that no extent covers. The end of the file counts as a hole.
    Hole,
}

/// Returns the extents of `content` that overlap `range` at version `at`, whole, sorted by offset.
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

/// Visits the extents of `content` that overlap `range`, sorted by offset, until `visit` breaks.
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
        // Extents are disjoint, so no later one overlaps the range: the store can stop the scan.
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

/// Makes `range` of `content` a hole: removes the extents in it and trims those at its edges.
/// Returns how many bytes of the range were covered. Holds at most [`PUNCH_BATCH`] extents of a
/// large range at a time.
pub fn punch<S: Store>(tx: &mut Tx<'_, S>, content: ContentId, range: Range<u64>) -> FsResult<u64> {
    let mut covered = 0;
    if range.end.saturating_sub(range.start) <= CHUNK {
        // Most writes: one read, which stops at the end of the range.
        for extent in extents_in(tx, Version::NOW, content, range.clone())? {
            covered += cut(tx, content, extent, &range);
        }
        return Ok(covered);
    }
    // Only the last extent that begins before the range can reach into it.
    if let Some(before) = range.start.checked_sub(1) {
        let last = tx.last::<Extents>(Version::NOW, &(content, 0), &(content, before))?;
        if let Some(((_, start), extent)) = last {
            covered += cut(tx, content, (start, extent), &range);
        }
    }
    let end = (content, range.end);
    let mut next = Some((content, range.start));
    while let Some(from) = next {
        let page = tx.page::<Extents>(Version::NOW, &from, &end, PUNCH_BATCH)?;
        for ((_, start), extent) in page.entries {
            covered += cut(tx, content, (start, extent), &range);
        }
        next = page.next;
    }
    Ok(covered)
}

/// Removes the part of an extent that is in `range`. Returns its length in bytes.
fn cut<S: Store>(
    tx: &mut Tx<'_, S>,
    content: ContentId,
    (start, extent): (u64, Extent),
    range: &Range<u64>,
) -> u64 {
    let end = start + extent.len();
    if end <= range.start {
        return 0;
    }
    if start < range.start {
        tx.put::<Extents>((content, start), extent.slice(0, range.start - start));
    } else {
        tx.remove::<Extents>((content, start));
    }
    if end > range.end {
        let kept = extent.slice(range.end - start, end - range.end);
        tx.put::<Extents>((content, range.end), kept);
    }
    end.min(range.end) - start.max(range.start)
}

/// Writes `data` at `offset` and returns the changed node. `fresh` returns an unused content id,
/// and is called if the file has none. `place` gets the content and the current size of the file.
/// It may store the bytes without a change of the maps, and returns whether it did. An empty write
/// changes nothing, at any offset.
///
/// Errors: `EISDIR`; `EINVAL` for other nodes that are not regular files; `EFBIG`.
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
        // Placed bytes overwrite covered bytes, or extend the file at its end.
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

/// Sets the size of the file. Truncation to zero writes one record however large the file was: it
/// drops the content, and the next write starts a new one.
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

/// Copies `len` bytes at `from_offset` of file `from` to `to_offset` of file `to` by sharing
/// extents. Returns the number of bytes copied: fewer than `len` if `from` ends earlier.
///
/// Errors: those of [`write`]; `EINVAL` if both are one file and the ranges overlap.
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

/// Returns the offset of the next data or hole at or after `offset`. `ENXIO` at or beyond the end
/// of the file, or if no data follows.
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

/// Updates the node of a file after its content changed. Clears the set-id bits unless the caller
/// keeps them. `allocated` is limited to the size, because a damaged node may have a wrong count.
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

/// Returns `offset + len`, or `EFBIG` beyond the maximum size of a file.
fn end_of(offset: u64, len: u64) -> FsResult<u64> {
    match offset.checked_add(len) {
        Some(end) if end <= MAX_SIZE => Ok(end),
        _ => Err(Errno::EFBIG.into()),
    }
}
