//! Typed access to the columns of a batch that was read, and builders for columns to be written.
//!
//! Role: keep the checks of columns in one place. In: a record batch and the columns of its record
//! type. Out: values, or an error that names the column. Invariant: a required value is present; a
//! nullable column that an older payload lacks reads as null.

use super::{Entry, RecordError};
use crate::tinyfs::Map;
use arrow::array::{
    Array, ArrayAccessor, ArrayRef, ArrowPrimitiveType, BinaryArray, BooleanArray, PrimitiveArray,
    RecordBatch,
};
use arrow::datatypes::Field;
use std::sync::Arc;

/// The columns of a batch, checked against those of its record type.
pub(in crate::oplog) struct Columns<'a> {
    batch: &'a RecordBatch,
}

impl<'a> Columns<'a> {
    pub(super) fn of(batch: &'a RecordBatch, fields: &[Field]) -> Result<Self, RecordError> {
        for (column, field) in batch.columns().iter().zip(batch.schema_ref().fields()) {
            match fields.iter().find(|f| f.name() == field.name()) {
                Some(known) if known.data_type() == field.data_type() => {}
                Some(_) => return Err(RecordError::Type(field.name().clone())),
                // A newer program may have added a column; while it has no values, ignoring it
                // loses nothing.
                None if column.null_count() == column.len() => {}
                None => return Err(RecordError::Unknown(field.name().clone())),
            }
        }
        let twice = |f: &Field| {
            let named = |g: &&Arc<Field>| g.name() == f.name();
            batch.schema_ref().fields().iter().filter(named).count() > 1
        };
        match fields.iter().find(|f| twice(f)) {
            Some(field) => Err(RecordError::Type(field.name().clone())),
            None => Ok(Columns { batch }),
        }
    }

    /// Returns the number of records.
    pub(super) fn len(&self) -> usize {
        self.batch.num_rows()
    }

    /// Returns a column that every payload of this record type has.
    pub(super) fn required<A: Array + 'static>(
        &self,
        name: &'static str,
    ) -> Result<Column<'a, A>, RecordError> {
        let column = self.added(name)?;
        match column.array {
            Some(_) => Ok(column),
            None => Err(RecordError::Missing(name.into())),
        }
    }

    /// Returns a column that an older payload lacks, since it was added later.
    pub(super) fn added<A: Array + 'static>(
        &self,
        name: &'static str,
    ) -> Result<Column<'a, A>, RecordError> {
        let array = match self.batch.column_by_name(name) {
            Some(array) => Some(
                (array.as_any().downcast_ref::<A>())
                    .ok_or_else(|| RecordError::Type(name.into()))?,
            ),
            None => None,
        };
        Ok(Column { name, array })
    }
}

/// One column.
pub(super) struct Column<'a, A> {
    name: &'static str,
    array: Option<&'a A>,
}

impl<'a, A> Column<'a, A>
where
    &'a A: ArrayAccessor,
{
    /// Returns the value of a record, if it has one.
    pub(super) fn get(&self, row: usize) -> Option<<&'a A as ArrayAccessor>::Item> {
        let array = self.array?;
        (row < array.len() && !array.is_null(row)).then(|| array.value(row))
    }

    /// Returns the value of a record that must have one.
    pub(super) fn need(&self, row: usize) -> Result<<&'a A as ArrayAccessor>::Item, RecordError> {
        self.get(row)
            .ok_or_else(|| RecordError::Null(self.name.into()))
    }
}

/// Returns the column that marks removed entries.
pub(super) fn removed<M: Map>(entries: &[Entry<'_, M>]) -> ArrayRef {
    let removed = entries.iter().map(|(_, value)| Some(value.is_none()));
    Arc::new(removed.collect::<BooleanArray>())
}

/// Returns a column of keys.
pub(super) fn keys<M: Map, T: ArrowPrimitiveType>(
    entries: &[Entry<'_, M>],
    of: impl Fn(&M::Key) -> T::Native,
) -> ArrayRef {
    let keys = entries.iter().map(|(key, _)| of(key));
    Arc::new(PrimitiveArray::<T>::from_iter_values(keys))
}

/// Returns a column of values; null where the entry is removed.
pub(super) fn values<M: Map, T: ArrowPrimitiveType>(
    entries: &[Entry<'_, M>],
    of: impl Fn(&M::Value) -> Option<T::Native>,
) -> ArrayRef {
    let values = entries.iter().map(|(_, value)| value.and_then(&of));
    Arc::new(values.collect::<PrimitiveArray<T>>())
}

/// Returns a column of bytes; null where the entry is removed.
pub(super) fn bytes<'a, M: Map>(
    entries: &[Entry<'a, M>],
    of: impl Fn(&'a M::Value) -> Option<&'a [u8]>,
) -> ArrayRef {
    let values = entries.iter().map(|(_, value)| value.and_then(&of));
    Arc::new(values.collect::<BinaryArray>())
}
