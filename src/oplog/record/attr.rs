//! Records of the map *attrs*: `attr/1`.

use super::columns::{bytes, keys, removed};
use super::{Columns, Entry, ForArrow, Owned, RecordError, id, nullable, required, schema_of};
use crate::tinyfs::{AttrName, Attrs, NodeId};
use arrow::array::{ArrayRef, BinaryArray, BooleanArray, RecordBatch, UInt64Array};
use arrow::datatypes::{DataType, Field, UInt64Type};
use bytes::Bytes;
use std::sync::Arc;

/// The maximum length of an extended attribute's value in bytes (`XATTR_SIZE_MAX` of Linux).
const MAX_VALUE: usize = 64 * 1024;

fn name(bytes: &[u8]) -> Result<AttrName, RecordError> {
    AttrName::new(bytes).map_err(|_| RecordError::Invalid("a name is not one of an attribute"))
}

fn checked(value: &[u8]) -> Result<&[u8], RecordError> {
    match value.len() {
        0..=MAX_VALUE => Ok(value),
        _ => Err(RecordError::Invalid("an attribute is longer than 64 KiB")),
    }
}

/// Returns the owner of an attribute: a node, or the pond itself.
fn owner(number: u64) -> Result<NodeId, RecordError> {
    match NodeId(number) {
        NodeId::POND => Ok(NodeId::POND),
        _ => id(number).map(NodeId),
    }
}

impl ForArrow for Attrs {
    const RECORD: &'static str = "attr/1";

    fn fields() -> Vec<Field> {
        vec![
            required("node", DataType::UInt64),
            required("name", DataType::Binary),
            required("removed", DataType::Boolean),
            nullable("value", DataType::Binary),
        ]
    }

    fn encode(entries: &[Entry<'_, Self>]) -> Result<RecordBatch, RecordError> {
        let names = entries.iter().map(|((_, name), _)| name.as_bytes());
        for (key, value) in entries {
            name(key.1.as_bytes())?;
            checked(value.map_or(&[], |v| v))?;
        }
        let columns: Vec<ArrayRef> = vec![
            keys::<Self, UInt64Type>(entries, |(node, _)| node.0),
            Arc::new(BinaryArray::from_iter_values(names)),
            removed::<Self>(entries),
            bytes::<Self>(entries, |v| Some(v)),
        ];
        Ok(RecordBatch::try_new(schema_of::<Self>(), columns)?)
    }

    fn decode(columns: &Columns<'_>) -> Result<Vec<Owned<Self>>, RecordError> {
        let node = columns.required::<UInt64Array>("node")?;
        let names = columns.required::<BinaryArray>("name")?;
        let removed = columns.required::<BooleanArray>("removed")?;
        let values = columns.required::<BinaryArray>("value")?;
        let read = |i| {
            let key = (owner(node.need(i)?)?, name(names.need(i)?)?);
            if removed.need(i)? {
                return Ok((key, None));
            }
            let value = Bytes::copy_from_slice(checked(values.need(i)?)?);
            Ok((key, Some(value)))
        };
        (0..columns.len()).map(read).collect()
    }

    fn weight((_, value): &Entry<'_, Self>) -> usize {
        100 + value.map_or(0, |v| v.len())
    }
}
