//! Tests of records: what is encoded into a row is decoded again, and invalid rows are refused.

use super::*;
use crate::oplog::payload::{Parts, absorb, rows_of};
use crate::oplog::record::{ForArrow, RecordError, decode};
use crate::tinyfs::MAX_EXTENT;
use arrow::array::{Array, ArrayRef, Int64Array, RecordBatch, new_null_array};
use arrow::datatypes::{DataType, Field, Schema};
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use std::sync::Arc;

fn times() -> impl Strategy<Value = Time> {
    (any::<i64>(), 0..1_000_000_000u32).prop_map(|(sec, nsec)| Time { sec, nsec })
}

fn kinds() -> impl Strategy<Value = Kind> {
    (1..=7u8).prop_map(|n| Kind::from_u8(n).unwrap())
}

fn ids() -> impl Strategy<Value = u64> {
    prop_oneof![1..50u64, 1..1u64 << 50]
}

fn names() -> impl Strategy<Value = Name> {
    vec(any::<u8>(), 1..=255).prop_filter_map("a name", |bytes| Name::new(&bytes).ok())
}

fn attr_names() -> impl Strategy<Value = AttrName> {
    vec(1..=u8::MAX, 1..=255).prop_map(|bytes| AttrName::new(&bytes).unwrap())
}

fn nodes() -> impl Strategy<Value = Node> {
    let numbers = (
        any::<u32>(),
        any::<u32>(),
        any::<u32>(),
        0..=i64::MAX as u64,
        any::<u32>(),
    );
    let optional = (proptest::option::of(ids()), proptest::option::of(ids()));
    let target = vec(1..=u8::MAX, 0..100);
    let times = (times(), times(), times(), times());
    (kinds(), 0..=0o7777u16, numbers, times, optional, target).prop_map(
        |(kind, mode, (uid, gid, nlink, size, rdev), (atime, mtime, ctime, btime), ids, target)| {
            Node {
                kind,
                mode,
                uid,
                gid,
                nlink,
                size,
                allocated: size / 3,
                atime,
                mtime,
                ctime,
                btime,
                rdev,
                content: ids.0.map(ContentId),
                target: target.into(),
                parent: ids.1.map(NodeId),
            }
        },
    )
}

fn extents() -> impl Strategy<Value = Extent> {
    let inline = vec(any::<u8>(), 1..300).prop_map(|bytes| Extent::Inline(bytes.into()));
    let stored = (
        1..=MAX_EXTENT,
        any::<u64>(),
        any::<u64>(),
        any::<[u8; 32]>(),
        (0.0..1.0f64, 0.0..=1.0f64),
    );
    let stored = stored.prop_map(|(stored_len, segment, offset, hash, (at, packed))| {
        let skip = (f64::from(stored_len - 1) * at) as u32;
        let len = stored_len - skip;
        let segment = SegmentId(segment);
        Extent::Stored(Stored {
            len,
            skip,
            segment,
            offset,
            stored_len,
            packed_len: ((f64::from(stored_len) * packed) as u32).max(1),
            hash,
        })
    });
    prop_oneof![inline, stored]
}

pub(super) fn all_changes() -> impl Strategy<Value = Changes> {
    fn values<V: std::fmt::Debug>(
        of: impl Strategy<Value = V>,
    ) -> impl Strategy<Value = Option<V>> {
        proptest::option::weighted(0.8, of)
    }
    let node = btree_map(ids().prop_map(NodeId), values(nodes()), 0..20);
    let dentry = (ids(), kinds()).prop_map(|(child, kind)| Dentry {
        child: NodeId(child),
        kind,
    });
    let name = btree_map((ids().prop_map(NodeId), names()), values(dentry), 0..20);
    let offset = 0..i64::MAX as u64 - 2 * u64::from(MAX_EXTENT);
    let extent = btree_map(
        (ids().prop_map(ContentId), offset),
        values(extents()),
        0..20,
    );
    let value = vec(any::<u8>(), 0..200).prop_map(Bytes::from);
    let attr = btree_map((ids().prop_map(NodeId), attr_names()), values(value), 0..20);
    (node, name, extent, attr).prop_map(|(nodes, names, extents, attrs)| Changes {
        nodes,
        names,
        extents,
        attrs,
    })
}

fn back(parts: &Parts) -> Result<Changes, OplogError> {
    let mut changes = Changes::default();
    for (part, rows) in parts {
        rows.iter()
            .try_for_each(|row| absorb(row, *part, "file", &mut changes))?;
    }
    Ok(changes)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn records_round_trip(changes in all_changes()) {
        let parts = rows_of(&changes, Version(9), time(9)).unwrap();
        for rows in parts.values() {
            prop_assert!(rows.is_sorted_by_key(|r| (r.record.clone(), r.first_node)));
            prop_assert!(rows.iter().all(|r| r.version == 9 && r.committed == time(9).micros()));
        }
        prop_assert_eq!(dump(&back(&parts).unwrap()), dump(&changes));
    }

    #[test]
    fn invalid_payloads_with_a_valid_checksum_do_not_panic(
        changes in all_changes(), at: usize, junk in vec(any::<u8>(), 1..40), cut: bool,
    ) {
        let parts = rows_of(&changes, Version(9), time(9)).unwrap();
        let Some((part, row)) = parts.iter().find_map(|(part, rows)| Some((part, rows.first()?))) else {
            return Ok(());
        };
        let mut row = row.clone();
        let mut payload = row.payload.to_vec();
        let at = at % payload.len();
        match cut {
            true => payload.truncate(at),
            false => drop(payload.splice(at..(at + junk.len()).min(row.payload.len()), junk)),
        }
        row.checksum = *blake3::hash(&payload).as_bytes();
        row.payload = payload.into();
        // It may decode to other entries, but must not panic.
        let _ = absorb(&row, *part, "file", &mut Changes::default());
    }

    #[test]
    fn a_flipped_bit_of_a_payload_is_caught(changes in all_changes(), at: usize, bit in 0..8u32) {
        let mut parts = rows_of(&changes, Version(9), time(9)).unwrap();
        let Some(row) = parts.values_mut().next().and_then(|rows| rows.first_mut()) else {
            return Ok(());
        };
        let mut payload = row.payload.to_vec();
        let at = at % payload.len();
        payload[at] ^= 1 << bit;
        row.payload = payload.into();
        let error = back(&parts).unwrap_err();
        prop_assert!(error.to_string().contains("has not its checksum"), "{error}");
    }
}

#[test]
fn rows_are_split_by_count_bytes_and_partition() {
    let mut many = Changes::default();
    for n in 0..2_500 {
        many.set::<Nodes>(NodeId((1 << 20) - 100 + n), None);
    }
    let parts = rows_of(&many, Version(1), time(1)).unwrap();
    let counts = |part: i32| parts[&part].iter().map(|r| r.rows).collect::<Vec<_>>();
    assert_eq!((counts(0), counts(1)), (vec![100], vec![1_000, 1_000, 400]));
    assert_eq!(parts[&1][1].first_node, (1 << 20) + 1_000);
    assert_eq!(dump(&back(&parts).unwrap()), dump(&many));
    let mut heavy = Changes::default();
    for n in 0..10 {
        let extent = Extent::Inline(vec![n as u8; MAX_EXTENT as usize].into());
        heavy.set::<Extents>((ContentId(7), n << 20), Some(extent));
    }
    let parts = rows_of(&heavy, Version(1), time(1)).unwrap();
    assert_eq!(
        parts[&0].iter().map(|r| r.rows).collect::<Vec<_>>(),
        [3, 3, 3, 1]
    );
    assert_eq!(dump(&back(&parts).unwrap()), dump(&heavy));
}

#[test]
fn a_row_that_contradicts_its_payload_is_refused() {
    let parts = rows_of(&changes(4), Version(4), time(4)).unwrap();
    let sound = parts[&0].last().unwrap().clone();
    assert_eq!(sound.record, "node/1");
    let refused = |row: &_, part| absorb(row, part, "file", &mut Changes::default()).unwrap_err();
    let mut row = sound.clone();
    row.rows += 1;
    refused(&row, 0);
    row.rows -= 2;
    refused(&row, 0);
    row = sound.clone();
    row.first_node -= 1;
    refused(&row, 0);
    row = sound.clone();
    row.record = "node/2".into();
    assert!(refused(&row, 0).to_string().contains("not known"));
    row.record = "attr/1".into();
    refused(&row, 0);
    refused(&sound, 1);
    let mut twice = Changes::default();
    absorb(&sound, 0, "file", &mut twice).unwrap();
    absorb(&sound, 0, "file", &mut twice).unwrap_err();
}

/// Returns the columns of one node, after `change` was applied to them.
fn node_batch(
    change: impl FnOnce(&mut Vec<(Field, ArrayRef)>),
) -> Result<Vec<Option<Node>>, RecordError> {
    let one = node(Kind::Symlink, 3);
    let batch = Nodes::encode(&[(&NodeId(3), Some(&one))]).unwrap();
    let fields = batch
        .schema()
        .fields()
        .iter()
        .map(|f| f.as_ref().clone())
        .collect::<Vec<_>>();
    let mut columns: Vec<_> = fields.into_iter().zip(batch.columns().to_vec()).collect();
    change(&mut columns);
    let (fields, arrays): (Vec<_>, Vec<_>) = columns.into_iter().unzip();
    let batch = RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).unwrap();
    Ok(decode::<Nodes>(&batch)?
        .into_iter()
        .map(|(_, value)| value)
        .collect())
}

fn put(columns: &mut [(Field, ArrayRef)], name: &str, array: ArrayRef) {
    let at = columns.iter().position(|(f, _)| f.name() == name).unwrap();
    columns[at].0 = Field::new(name, array.data_type().clone(), true);
    columns[at].1 = array;
}

#[test]
fn ids_out_of_range_are_refused() {
    let one = node(Kind::Directory, 3);
    for wrong in [0, 1 << 50, 1 << 62, u64::MAX] {
        let refused = |batch: Result<RecordBatch, RecordError>, names: bool| {
            let batch = batch.unwrap();
            let error = match names {
                true => decode::<Names>(&batch).map(drop),
                false => decode::<Nodes>(&batch).map(drop),
            };
            assert!(
                matches!(error, Err(RecordError::Invalid(_))),
                "{wrong}: {error:?}"
            );
        };
        refused(Nodes::encode(&[(&NodeId(wrong), Some(&one))]), false);
        refused(Nodes::encode(&[(&NodeId(wrong), None)]), false);
        if wrong > 0 {
            let (mut content, mut parent) = (one.clone(), one.clone());
            content.content = Some(ContentId(wrong));
            parent.parent = Some(NodeId(wrong));
            refused(Nodes::encode(&[(&NodeId(3), Some(&content))]), false);
            refused(Nodes::encode(&[(&NodeId(3), Some(&parent))]), false);
        }
        let dentry = Dentry {
            child: NodeId(wrong),
            kind: Kind::File,
        };
        let key = (NodeId(1), Name::new(b"f").unwrap());
        refused(Names::encode(&[(&key, Some(&dentry))]), true);
    }
}

#[test]
fn missing_or_mistyped_columns_are_refused() {
    assert_eq!(node_batch(|_| {}).unwrap(), [Some(node(Kind::Symlink, 3))]);
    let missing = node_batch(|c| c.retain(|(f, _)| f.name() != "uid"));
    assert!(matches!(missing, Err(RecordError::Missing(name)) if name == "uid"));
    let null = node_batch(|c| put(c, "uid", new_null_array(&DataType::UInt32, 1)));
    assert!(matches!(null, Err(RecordError::Null(name)) if name == "uid"));
    let other = node_batch(|c| put(c, "uid", Arc::new(Int64Array::from(vec![1]))));
    assert!(matches!(other, Err(RecordError::Type(name)) if name == "uid"));
    let newer = |array: ArrayRef| {
        let field = Field::new("flags", DataType::Int64, true);
        node_batch(|c| c.push((field, array)))
    };
    let unknown = newer(Arc::new(Int64Array::from(vec![1])));
    assert!(matches!(unknown, Err(RecordError::Unknown(name)) if name == "flags"));
    assert!(newer(new_null_array(&DataType::Int64, 1)).is_ok());
    let late = node_batch(|c| {
        put(
            c,
            "mtime_ns",
            Arc::new(arrow::array::UInt32Array::from(vec![1_000_000_000])),
        )
    });
    assert!(matches!(late, Err(RecordError::Invalid(_))));
    let kind = node_batch(|c| {
        put(
            c,
            "kind",
            Arc::new(arrow::array::StringArray::from(vec!["door"])),
        )
    });
    assert!(matches!(kind, Err(RecordError::Invalid(_))));
    // Nullable columns may be null.
    let bare = node_batch(|c| put(c, "target", new_null_array(&DataType::Binary, 1))).unwrap();
    assert_eq!(bare[0].as_ref().unwrap().target.len(), 0);
}

#[test]
fn every_kind_has_a_distinct_name() {
    for n in 1..=7 {
        let of = node(Kind::from_u8(n).unwrap(), 1);
        let batch = Nodes::encode(&[(&NodeId(1), Some(&of))]).unwrap();
        assert_eq!(decode::<Nodes>(&batch).unwrap(), [(NodeId(1), Some(of))]);
    }
    assert!(
        Kind::from_u8(8).is_none(),
        "a new kind needs a name in its record"
    );
}
