//! Records of the map *names*: `name/1`.

use super::columns::{keys, removed, values};
use super::{
    Columns, Entry, ForArrow, Owned, RecordError, id, kind, name, nullable, required, schema_of,
};
use crate::tinyfs::{Dentry, Names, NodeId};
use arrow::array::{ArrayRef, BinaryArray, BooleanArray, RecordBatch, StringArray, UInt64Array};
use arrow::datatypes::{DataType, Field, UInt64Type};
use std::sync::Arc;

impl ForArrow for Names {
    const RECORD: &'static str = "name/1";

    fn fields() -> Vec<Field> {
        vec![
            required("directory", DataType::UInt64),
            required("name", DataType::Binary),
            required("removed", DataType::Boolean),
            nullable("child", DataType::UInt64),
            nullable("kind", DataType::Utf8),
        ]
    }

    fn encode(entries: &[Entry<'_, Self>]) -> Result<RecordBatch, RecordError> {
        let names = entries.iter().map(|((_, name), _)| name.as_bytes());
        for (key, _) in entries {
            // `Name::lowest` is a bound of scans and is in no map.
            name(key.1.as_bytes())?;
        }
        let kinds = entries.iter().map(|(_, v)| v.map(|d| d.kind.name()));
        let columns: Vec<ArrayRef> = vec![
            keys::<Self, UInt64Type>(entries, |(directory, _)| directory.0),
            Arc::new(BinaryArray::from_iter_values(names)),
            removed::<Self>(entries),
            values::<Self, UInt64Type>(entries, |d| Some(d.child.0)),
            Arc::new(kinds.collect::<StringArray>()),
        ];
        Ok(RecordBatch::try_new(schema_of::<Self>(), columns)?)
    }

    fn decode(columns: &Columns<'_>) -> Result<Vec<Owned<Self>>, RecordError> {
        let directory = columns.required::<UInt64Array>("directory")?;
        let names = columns.required::<BinaryArray>("name")?;
        let removed = columns.required::<BooleanArray>("removed")?;
        let child = columns.required::<UInt64Array>("child")?;
        let kinds = columns.required::<StringArray>("kind")?;
        let read = |i| {
            let key = (NodeId(id(directory.need(i)?)?), name(names.need(i)?)?);
            if removed.need(i)? {
                return Ok((key, None));
            }
            let child = NodeId(id(child.need(i)?)?);
            let kind = kind(kinds.need(i)?)?;
            Ok((key, Some(Dentry { child, kind })))
        };
        (0..columns.len()).map(read).collect()
    }
}
