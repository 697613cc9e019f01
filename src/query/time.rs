//! Converts times to one form: µs since 1970, UTC.
//!
//! The time column is called `timestamp`, in any case. It may contain times of any unit, dates,
//! ISO 8601 texts, or numbers: seconds since 1970, from 10^11 milliseconds, from 10^14
//! microseconds, from 10^17 nanoseconds. (10^11 seconds are the year 5138.) A time without a zone
//! is UTC.

use super::QueryError;
use datafusion::arrow::array::types::{Float64Type, Int64Type};
use datafusion::arrow::array::{Array, ArrayRef, AsArray, TimestampMicrosecondArray};
use datafusion::arrow::compute::{CastOptions, cast_with_options};
use datafusion::arrow::datatypes::{DataType, Schema, TimeUnit};

/// Name of the time column.
pub(super) const NAME: &str = "timestamp";

/// Type of converted times.
pub(super) const KIND: DataType = DataType::Timestamp(TimeUnit::Microsecond, None);

/// Returns the index of the time column.
pub(super) fn column(schema: &Schema) -> Option<usize> {
    let is = |name: &str| name.eq_ignore_ascii_case(NAME);
    schema.fields().iter().position(|field| is(field.name()))
}

/// Converts a time column. Fails if its type is no time.
pub(super) fn normal(times: &ArrayRef) -> Result<TimestampMicrosecondArray, QueryError> {
    let cast = |array: &ArrayRef, to: &DataType| {
        let strict = CastOptions {
            safe: false,
            ..CastOptions::default()
        };
        cast_with_options(array, to, &strict)
    };
    let kind = times.data_type();
    Ok(match kind {
        DataType::Timestamp(_, None) | DataType::Date32 | DataType::Date64 => {
            cast(times, &KIND)?.as_primitive().clone()
        }
        // The value counts from 1970 in UTC; the zone only concerns display.
        DataType::Timestamp(_, Some(_)) => {
            let utc = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
            let times = cast(times, &utc)?;
            let times: &TimestampMicrosecondArray = times.as_primitive();
            times.clone().with_timezone_opt(None::<&str>)
        }
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => {
            let utc = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
            let times = cast(times, &utc)?;
            let times: &TimestampMicrosecondArray = times.as_primitive();
            times.clone().with_timezone_opt(None::<&str>)
        }
        kind if kind.is_integer() => {
            let numbers = cast(times, &DataType::Int64)?;
            let numbers = numbers.as_primitive::<Int64Type>();
            numbers
                .iter()
                .map(|number| number.and_then(of_whole))
                .collect()
        }
        kind if kind.is_numeric() => {
            let numbers = cast(times, &DataType::Float64)?;
            let numbers = numbers.as_primitive::<Float64Type>();
            numbers
                .iter()
                .map(|number| number.and_then(of_float))
                .collect()
        }
        DataType::Null => TimestampMicrosecondArray::new_null(times.len()),
        other => {
            let why = format!("the column of times is {other}, which is no time");
            return Err(QueryError::Recipe(why));
        }
    })
}

/// Returns a factor and a divisor that convert a number of this size to µs.
fn scale(size: f64) -> (f64, f64) {
    match size {
        size if size < 1e11 => (1e6, 1.0),
        size if size < 1e14 => (1e3, 1.0),
        size if size < 1e17 => (1.0, 1.0),
        _ => (1.0, 1e3),
    }
}

fn of_whole(number: i64) -> Option<i64> {
    let (times, by) = scale(number.unsigned_abs() as f64);
    // Exact: both are small whole numbers.
    number
        .checked_mul(times as i64)
        .map(|us| us.div_euclid(by as i64))
}

fn of_float(number: f64) -> Option<i64> {
    let (times, by) = scale(number.abs());
    let us = (number * times / by).round();
    // The cast saturates for numbers beyond the range.
    us.is_finite().then_some(us as i64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use datafusion::arrow::array::{Float64Array, Int64Array, StringArray, TimestampSecondArray};
    use std::sync::Arc;

    fn of(array: impl Array + 'static) -> Vec<Option<i64>> {
        normal(&(Arc::new(array) as ArrayRef))
            .unwrap()
            .iter()
            .collect()
    }

    #[test]
    fn all_forms_convert_to_the_same_time() {
        let want = vec![Some(1_704_067_200_000_000), None];
        assert_eq!(of(Int64Array::from(vec![Some(1_704_067_200), None])), want);
        assert_eq!(
            of(Int64Array::from(vec![Some(1_704_067_200_000), None])),
            want
        );
        assert_eq!(
            of(Int64Array::from(vec![
                Some(1_704_067_200_000_000_000),
                None
            ])),
            want
        );
        assert_eq!(
            of(Float64Array::from(vec![Some(1_704_067_200.0), None])),
            want
        );
        assert_eq!(
            of(TimestampSecondArray::from(vec![Some(1_704_067_200), None])),
            want
        );
        for text in [
            "2024-01-01T00:00:00Z",
            "2024-01-01 00:00:00",
            "2024-01-01T01:00:00+01:00",
            "2024-01-01",
        ] {
            assert_eq!(
                of(StringArray::from(vec![Some(text), None])),
                want,
                "{text}"
            );
        }
        assert_eq!(of(Int64Array::from(vec![-1])), [Some(-1_000_000)]);
        assert_eq!(of(Float64Array::from(vec![0.5])), [Some(500_000)]);
    }

    #[test]
    fn the_time_column_is_found_by_its_name() {
        use datafusion::arrow::datatypes::Field;
        let field = |name: &str| Field::new(name, DataType::Int64, true);
        assert_eq!(
            column(&Schema::new(vec![field("a"), field("TimeStamp")])),
            Some(1)
        );
        assert_eq!(column(&Schema::new(vec![field("time")])), None);
    }
}
