//! Records of the map *nodes*: `node/1`.
//!
//! A time is a pair of columns: whole seconds, and the nanoseconds after them.

use super::columns::{bytes, keys, removed, values};
use super::{
    Columns, Entry, ForArrow, Owned, RecordError, id, kind, nullable, required, schema_of, time,
};
use crate::tinyfs::{ContentId, Node, NodeId, Nodes};
use arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, Int64Array, RecordBatch, StringArray, UInt16Array,
    UInt32Array, UInt64Array,
};
use arrow::datatypes::{DataType, Field, Int64Type, UInt16Type, UInt32Type, UInt64Type};
use std::sync::Arc;

/// The maximum length of a symbolic link's target in bytes (`PATH_MAX` without its NUL).
const MAX_TARGET: usize = 4095;

fn checked(node: &Node) -> Result<(), RecordError> {
    for t in [node.atime, node.mtime, node.ctime, node.btime] {
        time(t.sec, t.nsec)?;
    }
    match () {
        () if node.mode > 0o7777 => Err(RecordError::Invalid("a mode has bits outside 07777")),
        () if node.allocated > node.size => Err(RecordError::Invalid(
            "more of a file is allocated than it is long",
        )),
        () if node.size > i64::MAX as u64 => Err(RecordError::Invalid(
            "a file is longer than an offset can say",
        )),
        () if node.target.contains(&0) => {
            Err(RecordError::Invalid("a link's target has a NUL in it"))
        }
        () if node.target.len() > MAX_TARGET => {
            Err(RecordError::Invalid("a link's target is too long"))
        }
        // Ids start at 1; the index uses 0 for none.
        () if node.content == Some(ContentId(0)) || node.parent == Some(NodeId(0)) => {
            Err(RecordError::Invalid("an id is 0"))
        }
        () => Ok(()),
    }
}

impl ForArrow for Nodes {
    const RECORD: &'static str = "node/1";

    fn fields() -> Vec<Field> {
        vec![
            required("node", DataType::UInt64),
            required("removed", DataType::Boolean),
            nullable("kind", DataType::Utf8),
            nullable("mode", DataType::UInt16),
            nullable("uid", DataType::UInt32),
            nullable("gid", DataType::UInt32),
            nullable("nlink", DataType::UInt32),
            nullable("size", DataType::UInt64),
            nullable("allocated", DataType::UInt64),
            nullable("atime", DataType::Int64),
            nullable("atime_ns", DataType::UInt32),
            nullable("mtime", DataType::Int64),
            nullable("mtime_ns", DataType::UInt32),
            nullable("ctime", DataType::Int64),
            nullable("ctime_ns", DataType::UInt32),
            nullable("btime", DataType::Int64),
            nullable("btime_ns", DataType::UInt32),
            nullable("rdev", DataType::UInt32),
            nullable("content", DataType::UInt64),
            nullable("target", DataType::Binary),
            nullable("parent", DataType::UInt64),
        ]
    }

    fn encode(entries: &[Entry<'_, Self>]) -> Result<RecordBatch, RecordError> {
        for (_, value) in entries {
            value.map_or(Ok(()), checked)?;
        }
        let kinds = entries.iter().map(|(_, v)| v.map(|n| n.kind.name()));
        let columns: Vec<ArrayRef> = vec![
            keys::<Self, UInt64Type>(entries, |node| node.0),
            removed::<Self>(entries),
            Arc::new(kinds.collect::<StringArray>()),
            values::<Self, UInt16Type>(entries, |n| Some(n.mode)),
            values::<Self, UInt32Type>(entries, |n| Some(n.uid)),
            values::<Self, UInt32Type>(entries, |n| Some(n.gid)),
            values::<Self, UInt32Type>(entries, |n| Some(n.nlink)),
            values::<Self, UInt64Type>(entries, |n| Some(n.size)),
            values::<Self, UInt64Type>(entries, |n| Some(n.allocated)),
            values::<Self, Int64Type>(entries, |n| Some(n.atime.sec)),
            values::<Self, UInt32Type>(entries, |n| Some(n.atime.nsec)),
            values::<Self, Int64Type>(entries, |n| Some(n.mtime.sec)),
            values::<Self, UInt32Type>(entries, |n| Some(n.mtime.nsec)),
            values::<Self, Int64Type>(entries, |n| Some(n.ctime.sec)),
            values::<Self, UInt32Type>(entries, |n| Some(n.ctime.nsec)),
            values::<Self, Int64Type>(entries, |n| Some(n.btime.sec)),
            values::<Self, UInt32Type>(entries, |n| Some(n.btime.nsec)),
            values::<Self, UInt32Type>(entries, |n| Some(n.rdev)),
            values::<Self, UInt64Type>(entries, |n| Some(n.content?.0)),
            bytes::<Self>(entries, |n| {
                Some(&n.target).filter(|t| !t.is_empty()).map(|t| &**t)
            }),
            values::<Self, UInt64Type>(entries, |n| Some(n.parent?.0)),
        ];
        Ok(RecordBatch::try_new(schema_of::<Self>(), columns)?)
    }

    fn decode(columns: &Columns<'_>) -> Result<Vec<Owned<Self>>, RecordError> {
        let node = columns.required::<UInt64Array>("node")?;
        let removed = columns.required::<BooleanArray>("removed")?;
        let kinds = columns.required::<StringArray>("kind")?;
        let mode = columns.required::<UInt16Array>("mode")?;
        let u32s = |name| columns.required::<UInt32Array>(name);
        let u64s = |name| columns.required::<UInt64Array>(name);
        let i64s = |name| columns.required::<Int64Array>(name);
        let (uid, gid, nlink) = (u32s("uid")?, u32s("gid")?, u32s("nlink")?);
        let (size, allocated, rdev) = (u64s("size")?, u64s("allocated")?, u32s("rdev")?);
        let atime = (i64s("atime")?, u32s("atime_ns")?);
        let mtime = (i64s("mtime")?, u32s("mtime_ns")?);
        let ctime = (i64s("ctime")?, u32s("ctime_ns")?);
        let btime = (i64s("btime")?, u32s("btime_ns")?);
        let (content, parent) = (u64s("content")?, u64s("parent")?);
        let target = columns.required::<BinaryArray>("target")?;
        let read = |i| {
            let key = NodeId(id(node.need(i)?)?);
            if removed.need(i)? {
                return Ok((key, None));
            }
            let value = Node {
                kind: kind(kinds.need(i)?)?,
                mode: mode.need(i)?,
                uid: uid.need(i)?,
                gid: gid.need(i)?,
                nlink: nlink.need(i)?,
                size: size.need(i)?,
                allocated: allocated.need(i)?,
                atime: time(atime.0.need(i)?, atime.1.need(i)?)?,
                mtime: time(mtime.0.need(i)?, mtime.1.need(i)?)?,
                ctime: time(ctime.0.need(i)?, ctime.1.need(i)?)?,
                btime: time(btime.0.need(i)?, btime.1.need(i)?)?,
                rdev: rdev.need(i)?,
                content: content.get(i).map(id).transpose()?.map(ContentId),
                target: target.get(i).unwrap_or_default().into(),
                parent: parent.get(i).map(id).transpose()?.map(NodeId),
            };
            checked(&value)?;
            Ok((key, Some(value)))
        };
        (0..columns.len()).map(read).collect()
    }

    fn weight((_, value): &Entry<'_, Self>) -> usize {
        140 + value.map_or(0, |node| node.target.len())
    }
}
