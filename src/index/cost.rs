//! Estimates the size of the open version: in memory, and on the disk until it is committed.
//!
//! `memtables` updates the figures of each memtable as it changes. Operations and commits add them
//! up, and fail if they exceed the free space of the disk. Invariant: the bytes of the disk are an
//! upper bound.

use crate::tinyfs::{AttrName, Changes, Extent, Name, Node, NodeId};
use bytes::Bytes;

/// Rough memory of an entry without its content, in bytes.
pub(super) const ENTRY: u64 = 256;

/// Times that a byte of a record is written until its commit is done: to the journal, to the oplog,
/// and to the index's journal and tables.
pub const RECORD_WRITES: u64 = 4;

/// Upper bounds of the bytes that a commit of a memtable writes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cost {
    /// To segments: content that does not stay inline and is not in segments yet.
    pub(super) content: u64,
    /// To each store of records, including small content.
    pub(super) records: u64,
}

impl Cost {
    /// Returns the cost of `changes`. With `settled`, all of their content that does not stay
    /// inline is in segments.
    pub(super) fn of(changes: &Changes, settled: bool, inline_max: usize) -> Cost {
        // The memory of an entry is twice the size of its record on disk.
        let mut cost = Cost {
            content: 0,
            records: ENTRY / 2 * changes.len() as u64 + payload(changes),
        };
        for extent in changes.extents.values() {
            match extent {
                Some(Extent::Inline(bytes)) if settled || bytes.len() <= inline_max => {
                    cost.records += bytes.len() as u64;
                }
                Some(Extent::Inline(bytes)) => cost.content += bytes.len() as u64,
                _ => {}
            }
        }
        cost
    }

    /// Returns the bytes of the disk that the commit takes, except those already in the journal.
    pub(super) fn disk_bytes(self, journaled: bool) -> u64 {
        self.content + (RECORD_WRITES - u64::from(journaled)) * self.records
    }
}

/// Returns the bytes of the parts of entries that have no fixed length, except content.
pub(super) fn payload(changes: &Changes) -> u64 {
    let nodes = changes.nodes.values().map(of_node);
    let names = changes.names.keys().map(of_name);
    let attrs = changes.attrs.iter().map(of_attr);
    nodes.sum::<u64>() + names.sum::<u64>() + attrs.sum::<u64>()
}

/// Returns the payload of an entry of *nodes*.
pub(super) fn of_node(node: &Option<Node>) -> u64 {
    node.as_ref().map_or(0, |node| node.target.len() as u64)
}

/// Returns the payload of an entry of *names*, removed or not.
pub(super) fn of_name((_, name): &(NodeId, Name)) -> u64 {
    name.as_bytes().len() as u64
}

/// Returns the payload of an entry of *attrs*.
pub(super) fn of_attr(((_, name), value): (&(NodeId, AttrName), &Option<Bytes>)) -> u64 {
    (name.as_bytes().len() + value.as_ref().map_or(0, Bytes::len)) as u64
}
