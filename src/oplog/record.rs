//! Inner records: the Arrow form of the entries of the four maps.
//!
//! Role: the inner layer of the table. In: entries of one map, sorted by key. Out: an Arrow record
//! batch, or the entries again. Invariant: what is written can be read back; a column that is
//! missing, unknown or out of range is an error, never a default. A record type evolves by adding
//! nullable columns: a payload that lacks one reads as null there.

mod attr;
mod columns;
mod extent;
mod name;
mod node;

pub(super) use columns::Columns;

use crate::tinyfs::{ID_LIMIT, Kind, Map, Name, Time};
use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, Schema};
use arrow::error::ArrowError;
use std::sync::Arc;

/// An error of encoding or decoding records.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// A required column is missing.
    #[error("column {0} is missing")]
    Missing(String),
    /// A column that this program does not know holds values.
    #[error("column {0} is not known to this program, a newer one wrote it")]
    Unknown(String),
    /// A column has another type.
    #[error("column {0} is of another type than it must be")]
    Type(String),
    /// A value is missing.
    #[error("column {0} lacks a value")]
    Null(String),
    /// A value is invalid in its map.
    #[error("{0}")]
    Invalid(&'static str),
    /// Arrow could not read or write the batch.
    #[error(transparent)]
    Arrow(#[from] ArrowError),
}

/// One changed entry of a map: its key, and its value unless it was removed.
pub(super) type Entry<'a, M> = (&'a <M as Map>::Key, Option<&'a <M as Map>::Value>);
/// A changed entry that was read.
pub(super) type Owned<M> = (<M as Map>::Key, Option<<M as Map>::Value>);

/// A map whose entries have an Arrow form.
pub(super) trait ForArrow: Map {
    /// Name and schema number of the record type, as in the outer row.
    const RECORD: &'static str;

    /// Returns the columns. Those of the value are nullable, since a removed entry has none.
    fn fields() -> Vec<Field>;

    /// Encodes `entries` as columns in the order of [`ForArrow::fields`].
    fn encode(entries: &[Entry<'_, Self>]) -> Result<RecordBatch, RecordError>;

    /// Decodes the entries of a batch. Columns outside of [`ForArrow::fields`] were refused before.
    fn decode(columns: &Columns<'_>) -> Result<Vec<Owned<Self>>, RecordError>;

    /// Returns the approximate bytes of an entry in a payload.
    fn weight(_: &Entry<'_, Self>) -> usize {
        100
    }
}

/// Returns the Arrow schema of a record type.
pub(super) fn schema_of<M: ForArrow>() -> Arc<Schema> {
    Arc::new(Schema::new(M::fields()))
}

/// Checks the columns of a batch and decodes its entries.
pub(super) fn decode<M: ForArrow>(batch: &RecordBatch) -> Result<Vec<Owned<M>>, RecordError> {
    M::decode(&Columns::of(batch, &M::fields())?)
}

fn required(name: &str, of: DataType) -> Field {
    Field::new(name, of, false)
}

fn nullable(name: &str, of: DataType) -> Field {
    Field::new(name, of, true)
}

fn time(sec: i64, nsec: u32) -> Result<Time, RecordError> {
    match nsec {
        0..1_000_000_000 => Ok(Time { sec, nsec }),
        _ => Err(RecordError::Invalid(
            "a time has more than a second of nanoseconds",
        )),
    }
}

/// Returns an id that was read if it is valid in a pond: not 0, and below [`ID_LIMIT`].
fn id(n: u64) -> Result<u64, RecordError> {
    match n {
        0 => Err(RecordError::Invalid("an id is 0")),
        1..ID_LIMIT => Ok(n),
        _ => Err(RecordError::Invalid("an id is greater than any is")),
    }
}

fn name(bytes: &[u8]) -> Result<Name, RecordError> {
    Name::new(bytes).map_err(|_| RecordError::Invalid("a name is not one that an entry can have"))
}

fn kind(name: &str) -> Result<Kind, RecordError> {
    (0..=u8::MAX)
        .map_while(|n| Kind::from_u8(n + 1))
        .find(|k| k.name() == name)
        .ok_or(RecordError::Invalid("a kind of node is unknown"))
}
