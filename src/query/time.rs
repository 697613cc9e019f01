//! Times in one form: µs since 1970, UTC.
//!
//! A column called `timestamp`, in any case of letters, is that of times. It may hold times of any unit, dates,
//! texts as ISO 8601 has them, or numbers: seconds since 1970; from 10^11 on milliseconds, from 10^14 on
//! microseconds, from 10^17 on nanoseconds. (In seconds, 10^11 is the year 5138.) A time without a zone is UTC.

use super::QueryError;
use datafusion::arrow::array::types::{Float64Type, Int64Type};
use datafusion::arrow::array::{Array, ArrayRef, AsArray, TimestampMicrosecondArray};
use datafusion::arrow::compute::{CastOptions, cast_with_options};
use datafusion::arrow::datatypes::{DataType, Schema, TimeUnit};

/// What a column of times is called.
pub(super) const NAME: &str = "timestamp";

/// The type that times have in here.
pub(super) const KIND: DataType = DataType::Timestamp(TimeUnit::Microsecond, None);

/// The number of the column of times.
pub(super) fn column(schema: &Schema) -> Option<usize> {
    let is = |name: &str| name.eq_ignore_ascii_case(NAME);
    schema.fields().iter().position(|field| is(field.name()))
}

/// A column of times in their one form.
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
        // Counted from 1970 in UTC already: the zone is for display only.
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

/// How many µs one of the unit is that a number of this size is in; below one, how many make a µs.
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
    // Both are small whole numbers.
    number
        .checked_mul(times as i64)
        .map(|us| us.div_euclid(by as i64))
}

fn of_float(number: f64) -> Option<i64> {
    let (times, by) = scale(number.abs());
    let us = (number * times / by).round();
    // Far from the ends of the range, by the scale.
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
    fn all_forms_are_one() {
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
    fn the_column_of_times_is_found_by_its_name() {
        use datafusion::arrow::datatypes::Field;
        let field = |name: &str| Field::new(name, DataType::Int64, true);
        assert_eq!(
            column(&Schema::new(vec![field("a"), field("TimeStamp")])),
            Some(1)
        );
        assert_eq!(column(&Schema::new(vec![field("time")])), None);
    }
}
