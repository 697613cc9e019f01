//! Common schema of several files: columns by name, absent ones null, types widened.
//!
//! Two different types widen to one that holds the values of both: integers to `Int64`, integers
//! with `UInt64` and other numbers to `Float64`, times and dates to µs, strings to large strings,
//! and anything else to strings.

use super::QueryError;
use bytes::Bytes;
use datafusion::arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions, new_null_array};
use datafusion::arrow::compute::{CastOptions, cast_with_options};
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use datafusion::arrow::ipc::reader::StreamReader;
use datafusion::arrow::ipc::writer::StreamWriter;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Fails if two columns of a file have the same name.
pub(super) fn distinct(name: &str, schema: &Schema) -> Result<(), QueryError> {
    let mut seen = BTreeSet::new();
    match schema
        .fields()
        .iter()
        .find(|field| !seen.insert(field.name()))
    {
        Some(twice) => {
            let why = format!("two of its columns are called {:?}", twice.name());
            Err(QueryError::input(name, why))
        }
        None => Ok(()),
    }
}

/// Returns the types of a schema's columns.
pub(super) fn types_of(schema: &Schema) -> Vec<DataType> {
    let types = schema
        .fields()
        .iter()
        .map(|field| field.data_type().clone());
    types.collect()
}

/// Widens `types` by the types `by`, column by column.
pub(super) fn widen_all(types: &mut [DataType], by: &[DataType]) {
    for (kind, by) in types.iter_mut().zip(by) {
        *kind = widen(kind, by);
    }
}

/// Returns the type to which the values of both are converted.
pub(super) fn widen(a: &DataType, b: &DataType) -> DataType {
    use DataType::{Date32, Date64, Float64, Int64, LargeUtf8, Null, Timestamp, Utf8, Utf8View};
    match (a, b) {
        (a, b) if a == b => a.clone(),
        (Null, other) | (other, Null) => other.clone(),
        (a, b) if a.is_signed_integer() && b.is_signed_integer() => Int64,
        (a, b) if a.is_integer() && b.is_integer() => match (a, b) {
            // `Int64` does not hold the range of `UInt64`.
            (DataType::UInt64, _) | (_, DataType::UInt64) => Float64,
            _ => Int64,
        },
        (a, b) if a.is_numeric() && b.is_numeric() => Float64,
        (Timestamp(_, a), Timestamp(_, b)) => {
            let zone = a.as_ref().filter(|zone| Some(*zone) == b.as_ref());
            Timestamp(TimeUnit::Microsecond, zone.cloned())
        }
        (Timestamp(_, zone), Date32 | Date64) | (Date32 | Date64, Timestamp(_, zone)) => {
            Timestamp(TimeUnit::Microsecond, zone.clone())
        }
        (Date32, Date64) | (Date64, Date32) => Date64,
        (LargeUtf8, Utf8 | Utf8View) | (Utf8 | Utf8View, LargeUtf8) => LargeUtf8,
        _ => Utf8,
    }
}

/// Returns the columns of two schemas by name, those of the first in front. `name` is the file of
/// the second, for errors.
pub(super) fn union(name: &str, a: &Schema, b: &Schema) -> Result<Schema, QueryError> {
    let mut fields: Vec<Field> = a.fields().iter().map(|field| (**field).clone()).collect();
    for field in b.fields() {
        match fields
            .iter_mut()
            .find(|before| before.name() == field.name())
        {
            None => fields.push((**field).clone().with_nullable(true)),
            Some(before) => {
                let (old, new) = (before.data_type(), field.data_type());
                if old.is_nested() != new.is_nested()
                    && old != &DataType::Null
                    && new != &DataType::Null
                {
                    let why = format!(
                        "column {:?} is {new} here and {old} in what comes before it",
                        field.name()
                    );
                    return Err(QueryError::input(name, why));
                }
                *before = Field::new(field.name(), widen(old, new), true);
            }
        }
    }
    Ok(Schema::new(fields))
}

/// Returns the schema with `first` as its first column, because files may name their times
/// differently.
pub(super) fn led_by(first: &Field, schema: &Schema) -> Schema {
    let rest = schema
        .fields()
        .iter()
        .skip(1)
        .map(|field| (**field).clone());
    Schema::new(
        std::iter::once(first.clone())
            .chain(rest)
            .collect::<Vec<_>>(),
    )
}

/// Returns the schema with columns that have no values anywhere as text.
pub(super) fn known(schema: &Schema) -> Schema {
    let fields = schema.fields().iter().map(|field| match field.data_type() {
        DataType::Null => Field::new(field.name(), DataType::Utf8, true),
        _ => (**field).clone(),
    });
    Schema::new(fields.collect::<Vec<_>>())
}

/// Converts rows to a wider schema: absent columns become null, others are cast.
pub(super) fn adapt(batch: &RecordBatch, to: &SchemaRef) -> Result<RecordBatch, QueryError> {
    let strict = CastOptions {
        safe: false,
        ..CastOptions::default()
    };
    let column = |field: &Arc<Field>| -> Result<ArrayRef, QueryError> {
        match batch.column_by_name(field.name()) {
            None => Ok(new_null_array(field.data_type(), batch.num_rows())),
            Some(array) if array.data_type() == field.data_type() => Ok(array.clone()),
            Some(array) => Ok(cast_with_options(array, field.data_type(), &strict)?),
        }
    };
    let columns = to.fields().iter().map(column).collect::<Result<_, _>>()?;
    let rows = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    Ok(RecordBatch::try_new_with_options(
        to.clone(),
        columns,
        &rows,
    )?)
}

/// Casts columns, by position, to the types of a schema.
pub(super) fn cast_to(
    columns: &[ArrayRef],
    rows: usize,
    to: &SchemaRef,
) -> Result<RecordBatch, QueryError> {
    let strict = CastOptions {
        safe: false,
        ..CastOptions::default()
    };
    let cast = |(array, field): (&ArrayRef, &Arc<Field>)| {
        cast_with_options(array, field.data_type(), &strict)
    };
    let columns = columns
        .iter()
        .zip(to.fields())
        .map(cast)
        .collect::<Result<_, _>>()?;
    let rows = RecordBatchOptions::new().with_row_count(Some(rows));
    Ok(RecordBatch::try_new_with_options(
        to.clone(),
        columns,
        &rows,
    )?)
}

/// Encodes a schema as bytes.
pub(super) fn encode(schema: &Schema) -> Result<Bytes, QueryError> {
    let mut writer = StreamWriter::try_new(Vec::new(), schema)?;
    writer.finish()?;
    Ok(writer.into_inner()?.into())
}

/// Decodes what [`encode`] wrote; `None` if the bytes are invalid.
pub(super) fn decode(bytes: &[u8]) -> Option<Schema> {
    let reader = StreamReader::try_new(bytes, None).ok()?;
    Some(reader.schema().as_ref().clone())
}

/// Returns whether a column's name matches a pattern in which `*` stands for any text.
pub fn column_matches(pattern: &str, name: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|first| name.strip_prefix(first)) else {
        return false;
    };
    let mut parts: Vec<&str> = parts.collect();
    let Some(last) = parts.pop() else {
        return rest.is_empty();
    };
    for part in parts {
        match rest.split_once(part) {
            Some((_, behind)) => rest = behind,
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;
    use datafusion::arrow::array::{Float64Array, Int64Array};

    fn schema(fields: &[(&str, DataType)]) -> Schema {
        let field = |(name, kind): &(&str, DataType)| Field::new(*name, kind.clone(), true);
        Schema::new(fields.iter().map(field).collect::<Vec<_>>())
    }

    #[test]
    fn columns_are_matched_by_name_and_widened() {
        let a = schema(&[("t", DataType::Int64), ("x", DataType::Int64)]);
        let b = schema(&[("x", DataType::Float64), ("y", DataType::Utf8)]);
        let both = union("b", &a, &b).unwrap();
        let fields = [
            ("t", DataType::Int64),
            ("x", DataType::Float64),
            ("y", DataType::Utf8),
        ];
        assert_eq!(both, schema(&fields));
        let rows =
            RecordBatch::try_from_iter([("x", Arc::new(Int64Array::from(vec![1, 2])) as ArrayRef)]);
        let rows = adapt(&rows.unwrap(), &Arc::new(both)).unwrap();
        assert_eq!(rows.column(1).as_ref(), &Float64Array::from(vec![1.0, 2.0]));
        assert_eq!(
            (rows.column(0).null_count(), rows.column(2).null_count()),
            (2, 2)
        );
    }

    #[test]
    fn every_value_fits_into_the_wider_type() {
        use DataType::*;
        assert_eq!(widen(&Int32, &Int64), Int64);
        assert_eq!(widen(&UInt64, &Int64), Float64);
        assert_eq!(widen(&Boolean, &Int64), Utf8);
        assert_eq!(widen(&Null, &Date32), Date32);
        let time = |unit| Timestamp(unit, None);
        assert_eq!(
            widen(&time(TimeUnit::Second), &Date32),
            time(TimeUnit::Microsecond)
        );
    }

    #[test]
    fn schema_round_trips() {
        let schema = schema(&[("a", DataType::Utf8), ("b", DataType::Boolean)]);
        assert_eq!(decode(&encode(&schema).unwrap()), Some(schema));
        assert_eq!(decode(b"nonsense"), None);
    }

    #[test]
    fn stars_match_any_text() {
        for (glob, column) in [
            ("a.b", "a.b"),
            ("*", ""),
            ("*", "a"),
            ("*.DO.*", "x.DO.mg/L"),
            ("a*c", "ac"),
            ("a*c", "abcc"),
            ("*a*a", "aa"),
            ("µ*", "µg/L"),
            ("a**b", "ab"),
        ] {
            assert!(column_matches(glob, column), "{glob} {column}");
        }
        for (glob, column) in [
            ("a.b", "aXb"),
            ("a", "A"),
            ("*.DO.*", "x.DO"),
            ("a*c", "abcd"),
            ("*a*a", "a"),
            ("ab*ba", "aba"),
            ("", "a"),
        ] {
            assert!(!column_matches(glob, column), "{glob} {column}");
        }
    }
}
