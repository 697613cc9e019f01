//! Converts between the entries of the maps and outer rows.
//!
//! Role: split changes into rows, and join rows again. In: a set of changes, or rows that were
//! read. Out: rows by partition, sorted by record type and key, or the changes. Invariant: a row's
//! checksum, count and range of owners are those of its payload; a payload is verified before it
//! is decoded, and no key occurs twice in one version.

use super::Stamp;
use super::error::OplogError;
use super::ipc;
use super::record::{Entry, ForArrow, Owned, RecordError, decode};
use super::schema::{Row, part_of};
use crate::observe::guarded;
use crate::tinyfs::{Attrs, Changes, Extents, Names, Nodes, Time, Version};
use arrow::array::RecordBatch;
use arrow::ipc::reader::StreamReader;
use arrow::ipc::writer::StreamWriter;
use bytes::Bytes;
use std::collections::BTreeMap;

/// The most records in a row that is written.
const ROW_RECORDS: usize = 1_000;
/// The approximate maximum of bytes in a row that is written.
const ROW_BYTES: usize = 4 << 20;
/// The most records accepted in a row that is read.
const MAX_RECORDS: u32 = 1 << 16;
/// The most bytes accepted in a payload that is read.
pub(super) const MAX_PAYLOAD: usize = 64 << 20;

/// Rows of each partition.
pub(super) type Parts = BTreeMap<i32, Vec<Row>>;

/// Returns the rows that hold `changes`.
pub(super) fn rows_of(
    changes: &Changes,
    version: Version,
    stamp: impl Into<Stamp>,
) -> Result<Parts, OplogError> {
    let Stamp { committed, clock } = stamp.into();
    let mut cut = Cut {
        version: version.0,
        committed: micros(committed)?,
        clock: clock.map(micros).transpose()?,
        parts: Parts::new(),
    };
    // In the order of their record types, which is the order of rows in a file.
    cut.map::<Attrs>(changes)?;
    cut.map::<Extents>(changes)?;
    cut.map::<Names>(changes)?;
    cut.map::<Nodes>(changes)?;
    Ok(cut.parts)
}

/// Converts a time to the table's microseconds.
pub(super) fn micros(time: Time) -> Result<i64, OplogError> {
    let micros = time.micros();
    match Time::from_micros(micros).sec == time.sec {
        true => Ok(micros),
        false => Err(OplogError::Range("the time of a commit")),
    }
}

struct Cut {
    version: u64,
    committed: i64,
    clock: Option<i64>,
    parts: Parts,
}

impl Cut {
    fn map<M: ForArrow>(&mut self, changes: &Changes) -> Result<(), OplogError> {
        let mut entries: Vec<Entry<'_, M>> = Vec::new();
        let (mut part, mut weight) = (0, 0);
        for (key, value) in M::of(changes) {
            let entry = (key, value.as_ref());
            let (this, more) = (part_of(M::owner(key))?, M::weight(&entry));
            // Keys begin with their owner, so those of one partition are adjacent.
            if this != part || entries.len() >= ROW_RECORDS || weight + more > ROW_BYTES {
                self.row::<M>(part, &entries)?;
                entries.clear();
                (part, weight) = (this, 0);
            }
            weight += more;
            entries.push(entry);
        }
        self.row::<M>(part, &entries)
    }

    fn row<M: ForArrow>(&mut self, part: i32, entries: &[Entry<'_, M>]) -> Result<(), OplogError> {
        let (Some((first, _)), Some((last, _))) = (entries.first(), entries.last()) else {
            return Ok(());
        };
        let batch = M::encode(entries).map_err(|e| failed(M::RECORD, "written", e))?;
        let payload = to_ipc(&batch).map_err(|e| failed(M::RECORD, "written", e))?;
        self.parts.entry(part).or_default().push(Row {
            version: self.version,
            committed: self.committed,
            record: M::RECORD.into(),
            first_node: M::owner(first),
            last_node: M::owner(last),
            // At most `ROW_RECORDS`.
            rows: entries.len() as u32,
            checksum: *blake3::hash(&payload).as_bytes(),
            payload,
            clock: self.clock,
        });
        Ok(())
    }
}

/// Verifies a row of file `path` and adds its entries to `changes`.
pub(super) fn absorb(
    row: &Row,
    part: i32,
    path: &str,
    changes: &mut Changes,
) -> Result<(), OplogError> {
    let damaged = |why: String| OplogError::DamagedFile {
        path: path.into(),
        why,
    };
    if row.rows == 0 || row.rows > MAX_RECORDS || row.payload.len() > MAX_PAYLOAD {
        return Err(damaged(format!(
            "a row of version {} has {} records in {} bytes",
            row.version,
            row.rows,
            row.payload.len()
        )));
    }
    if blake3::hash(&row.payload) != blake3::Hash::from_bytes(row.checksum) {
        let why = format!("a payload of version {} has not its checksum", row.version);
        return Err(damaged(why));
    }
    let taken = match row.record.as_str() {
        Attrs::RECORD => take::<Attrs>(row, part, changes)?,
        Extents::RECORD => take::<Extents>(row, part, changes)?,
        Names::RECORD => take::<Names>(row, part, changes)?,
        Nodes::RECORD => take::<Nodes>(row, part, changes)?,
        other => Err(format!(
            "records of type {other} are not known to this program, a newer one wrote them"
        )),
    };
    taken.map_err(damaged)
}

fn take<M: ForArrow>(
    row: &Row,
    part: i32,
    changes: &mut Changes,
) -> Result<Result<(), String>, OplogError> {
    let senseless = || Err(RecordError::Invalid("a payload makes no sense as Arrow"));
    let entries = guarded(|| from_ipc::<M>(row)).unwrap_or_else(senseless);
    let entries = entries.map_err(|e| failed(M::RECORD, "read", e))?;
    let owners = |f: fn(u64, u64) -> u64| entries.iter().map(|(k, _)| M::owner(k)).reduce(f);
    if owners(u64::min) != Some(row.first_node) || owners(u64::max) != Some(row.last_node) {
        return Ok(Err("a row names other nodes than its payload has".into()));
    }
    if part_of(row.first_node)? != part || part_of(row.last_node)? != part {
        return Ok(Err(
            "a row stands in another partition than its nodes".into()
        ));
    }
    let map = M::of_mut(changes);
    for (key, value) in entries {
        if map.insert(key.clone(), value).is_some() {
            let why = format!("version {} changes {key:?} twice", row.version);
            return Ok(Err(why));
        }
    }
    Ok(Ok(()))
}

fn to_ipc(batch: &RecordBatch) -> Result<Bytes, RecordError> {
    let mut out = Vec::with_capacity(batch.get_array_memory_size() + 1024);
    let mut writer = StreamWriter::try_new(&mut out, batch.schema_ref())?;
    writer.write(batch)?;
    writer.finish()?;
    drop(writer);
    Ok(Bytes::from(out))
}

fn from_ipc<M: ForArrow>(row: &Row) -> Result<Vec<Owned<M>>, RecordError> {
    let rows = row.rows as usize;
    ipc::check(&row.payload)?;
    let mut entries = Vec::with_capacity(rows.min(ROW_RECORDS));
    for batch in StreamReader::try_new(&*row.payload, None)? {
        let batch = batch?;
        if batch.num_rows() > rows - entries.len() {
            return Err(RecordError::Invalid(
                "a payload has more records than its row names",
            ));
        }
        entries.extend(decode::<M>(&batch)?);
    }
    match entries.len() == rows {
        true => Ok(entries),
        false => Err(RecordError::Invalid(
            "a payload has fewer records than its row names",
        )),
    }
}

fn failed(record: &str, done: &'static str, source: RecordError) -> OplogError {
    OplogError::Record {
        record: record.into(),
        done,
        source,
    }
}
