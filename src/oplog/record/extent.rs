//! Records of the map *extents*: `extent/1`.
//!
//! An extent has either `inline` bytes, or all of `segment`, `segment_offset`, `skip`,
//! `stored_length` and `hash`; and `packed_length`, where it is compressed in its segment.

use super::columns::{bytes, keys, removed, values};
use super::{Columns, Entry, ForArrow, Owned, RecordError, id, nullable, required, schema_of};
use crate::tinyfs::{ContentId, Extent, Extents, MAX_EXTENT, SegmentId, Stored};
use arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, FixedSizeBinaryArray, RecordBatch, UInt32Array,
    UInt64Array,
};
use arrow::datatypes::{DataType, Field, UInt32Type, UInt64Type};
use bytes::Bytes;
use std::sync::Arc;

const HASH: i32 = 32;

fn checked(offset: u64, extent: Extent) -> Result<Extent, RecordError> {
    let end = offset.checked_add(extent.len());
    let fits = end.is_some_and(|end| end <= i64::MAX as u64);
    match &extent {
        _ if !fits => Err(RecordError::Invalid(
            "an extent ends beyond the last offset",
        )),
        Extent::Inline(b) if b.is_empty() => Err(RecordError::Invalid("an extent has no bytes")),
        Extent::Inline(b) if b.len() > MAX_EXTENT as usize => {
            Err(RecordError::Invalid("an extent is too long"))
        }
        Extent::Stored(stored) if stored.checked().is_err() => Err(RecordError::Invalid(
            "an extent reaches beyond what is stored",
        )),
        _ => Ok(extent),
    }
}

fn stored(extent: &Extent) -> Option<&Stored> {
    match extent {
        Extent::Stored(stored) => Some(stored),
        Extent::Inline(_) => None,
    }
}

fn inline(extent: &Extent) -> Option<&[u8]> {
    match extent {
        Extent::Inline(bytes) => Some(bytes),
        Extent::Stored(_) => None,
    }
}

impl ForArrow for Extents {
    const RECORD: &'static str = "extent/1";

    fn fields() -> Vec<Field> {
        vec![
            required("content", DataType::UInt64),
            required("offset", DataType::UInt64),
            required("removed", DataType::Boolean),
            nullable("length", DataType::UInt32),
            nullable("inline", DataType::Binary),
            nullable("segment", DataType::UInt64),
            nullable("segment_offset", DataType::UInt64),
            nullable("skip", DataType::UInt32),
            nullable("stored_length", DataType::UInt32),
            nullable("hash", DataType::FixedSizeBinary(HASH)),
            nullable("packed_length", DataType::UInt32),
        ]
    }

    fn encode(entries: &[Entry<'_, Self>]) -> Result<RecordBatch, RecordError> {
        for ((_, offset), value) in entries {
            if let Some(extent) = value {
                checked(*offset, (*extent).clone())?;
            }
        }
        let hashes = entries.iter().map(|(_, v)| v.and_then(stored));
        let hashes = hashes.map(|stored| stored.map(|s| s.hash));
        let columns: Vec<ArrayRef> = vec![
            keys::<Self, UInt64Type>(entries, |(content, _)| content.0),
            keys::<Self, UInt64Type>(entries, |(_, offset)| *offset),
            removed::<Self>(entries),
            // Checked above: no longer than `MAX_EXTENT`.
            values::<Self, UInt32Type>(entries, |e| Some(e.len() as u32)),
            bytes::<Self>(entries, inline),
            values::<Self, UInt64Type>(entries, |e| Some(stored(e)?.segment.0)),
            values::<Self, UInt64Type>(entries, |e| Some(stored(e)?.offset)),
            values::<Self, UInt32Type>(entries, |e| Some(stored(e)?.skip)),
            values::<Self, UInt32Type>(entries, |e| Some(stored(e)?.stored_len)),
            Arc::new(FixedSizeBinaryArray::try_from_sparse_iter_with_size(
                hashes, HASH,
            )?),
            values::<Self, UInt32Type>(entries, |e| {
                let stored = stored(e)?;
                stored.is_packed().then_some(stored.packed_len)
            }),
        ];
        Ok(RecordBatch::try_new(schema_of::<Self>(), columns)?)
    }

    fn decode(columns: &Columns<'_>) -> Result<Vec<Owned<Self>>, RecordError> {
        let content = columns.required::<UInt64Array>("content")?;
        let offset = columns.required::<UInt64Array>("offset")?;
        let removed = columns.required::<BooleanArray>("removed")?;
        let length = columns.required::<UInt32Array>("length")?;
        let inline = columns.required::<BinaryArray>("inline")?;
        let segment = columns.required::<UInt64Array>("segment")?;
        let segment_offset = columns.required::<UInt64Array>("segment_offset")?;
        let skip = columns.required::<UInt32Array>("skip")?;
        let stored_length = columns.required::<UInt32Array>("stored_length")?;
        let hash = columns.required::<FixedSizeBinaryArray>("hash")?;
        let packed_length = columns.added::<UInt32Array>("packed_length")?;
        let read = |i| {
            let key = (ContentId(id(content.need(i)?)?), offset.need(i)?);
            if removed.need(i)? {
                return Ok((key, None));
            }
            let len = length.need(i)?;
            let extent = match (inline.get(i), segment.get(i)) {
                (Some(bytes), None) => Extent::Inline(Bytes::copy_from_slice(bytes)),
                (None, Some(segment)) => {
                    let stored_len = stored_length.need(i)?;
                    Extent::Stored(Stored {
                        len,
                        skip: skip.need(i)?,
                        segment: SegmentId(segment),
                        offset: segment_offset.need(i)?,
                        stored_len,
                        packed_len: packed_length.get(i).unwrap_or(stored_len),
                        hash: (hash.need(i)?.try_into())
                            .map_err(|_| RecordError::Invalid("a hash has not 32 bytes"))?,
                    })
                }
                _ => {
                    let why = "an extent is neither inline nor stored, or both";
                    return Err(RecordError::Invalid(why));
                }
            };
            if extent.len() != u64::from(len) {
                return Err(RecordError::Invalid(
                    "an extent has not the length it names",
                ));
            }
            Ok((key, Some(checked(key.1, extent)?)))
        };
        (0..columns.len()).map(read).collect()
    }

    fn weight((_, value): &Entry<'_, Self>) -> usize {
        100 + value.and_then(inline).map_or(0, <[u8]>::len)
    }
}
