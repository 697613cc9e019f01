//! Converts between instants and numbers: `epoch`, `epoch_ms`, `epoch_us`, `epoch_ns`.
//!
//! They take timestamps, differences of timestamps, or integers (`epoch_ms`). They return numbers
//! since 1970 in UTC, or for an integer (`epoch_ms`) a timestamp without a zone, as in DuckDB.
//! Results are exact; `epoch` as far as an f64 of seconds is.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, Float64Array, Int64Array};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{
    DataType, DurationNanosecondType, Int64Type, IntervalMonthDayNanoType, IntervalUnit, TimeUnit,
    TimestampMicrosecondType,
};
use datafusion::error::Result;
use datafusion::logical_expr::ReturnFieldArgs;

use super::function::ScalarFunction;
use super::timestamps::{instant, micros, nanos, stamp};
use crate::query::dialect::errors::{count, fail};

pub(super) fn functions() -> Vec<ScalarFunction> {
    vec![
        ScalarFunction::new("epoch", time, |_| Ok(DataType::Float64), seconds),
        ScalarFunction::new("epoch_ms", time_or_number, ms_type, milliseconds),
        ScalarFunction::new(
            "epoch_us",
            time,
            |_| Ok(DataType::Int64),
            |a, _| whole(&a[0], 1_000),
        ),
        ScalarFunction::new(
            "epoch_ns",
            time,
            |_| Ok(DataType::Int64),
            |a, _| whole(&a[0], 1),
        ),
    ]
}

fn time(types: &[DataType]) -> Result<Vec<DataType>> {
    match types {
        [DataType::Duration(_)] => Ok(vec![DataType::Duration(TimeUnit::Nanosecond)]),
        [DataType::Interval(_)] => Ok(vec![DataType::Interval(IntervalUnit::MonthDayNano)]),
        [given] => Ok(vec![instant(given)?]),
        _ => Err(count("a timestamp", types)),
    }
}

fn time_or_number(types: &[DataType]) -> Result<Vec<DataType>> {
    match types {
        [given] if given.is_integer() => Ok(vec![DataType::Int64]),
        _ => time(types),
    }
}

fn ms_type(args: &ReturnFieldArgs) -> Result<DataType> {
    Ok(match args.arg_fields[0].data_type() {
        DataType::Int64 => stamp(None),
        _ => DataType::Int64,
    })
}

fn milliseconds(args: &[ArrayRef], _: &DataType) -> Result<ArrayRef> {
    if args[0].data_type() != &DataType::Int64 {
        return whole(&args[0], 1_000_000);
    }
    let stamps = args[0]
        .as_primitive::<Int64Type>()
        .try_unary::<_, TimestampMicrosecondType, _>(|ms| {
            ms.checked_mul(1_000)
                .ok_or_else(|| fail(format!("{ms} is out of the range of timestamps")))
        })?;
    Ok(Arc::new(stamps))
}

/// Returns the count of units of `unit` nanoseconds.
fn whole(array: &ArrayRef, unit: i64) -> Result<ArrayRef> {
    let counted = match array.data_type() {
        DataType::Timestamp(..) if unit == 1 => nanos(array)?,
        // Microseconds cover years that nanoseconds do not.
        DataType::Timestamp(..) => micros(array)?.unary(|us| us.div_euclid(unit / 1_000)),
        _ => span(array)?.unary(|ns: i64| ns.div_euclid(unit)),
    };
    Ok(Arc::new(counted))
}

fn seconds(args: &[ArrayRef], _: &DataType) -> Result<ArrayRef> {
    let array = &args[0];
    let counted: Float64Array = match array.data_type() {
        DataType::Timestamp(TimeUnit::Nanosecond, _) => {
            nanos(array)?.unary(|ns| divided(ns, 1_000_000_000))
        }
        DataType::Timestamp(..) => micros(array)?.unary(|us| divided(us, 1_000_000)),
        _ => span(array)?.unary(|ns: i64| divided(ns, 1_000_000_000)),
    };
    Ok(Arc::new(counted))
}

// Whole seconds are added separately: more exact than one division.
fn divided(count: i64, per_second: i64) -> f64 {
    count.div_euclid(per_second) as f64 + count.rem_euclid(per_second) as f64 / per_second as f64
}

/// Returns the nanoseconds of a difference. A month has 30 days and a year 365.25, as in DuckDB.
fn span(array: &ArrayRef) -> Result<Int64Array> {
    if array.data_type() == &DataType::Interval(IntervalUnit::MonthDayNano) {
        let intervals = array.as_primitive::<IntervalMonthDayNanoType>();
        return intervals.try_unary(|interval| {
            let (years, months) = (interval.months / 12, interval.months % 12);
            let hours =
                i64::from(years) * 8_766 + (i64::from(months) * 30 + i64::from(interval.days)) * 24;
            hours
                .checked_mul(3_600_000_000_000)
                .and_then(|ns| ns.checked_add(interval.nanoseconds))
                .ok_or_else(|| fail("the interval is longer than 292 years".to_string()))
        });
    }
    let spans = cast(array, &DataType::Duration(TimeUnit::Nanosecond))?;
    let spans = spans.as_primitive::<DurationNanosecondType>();
    Ok(Int64Array::new(
        spans.values().clone(),
        spans.nulls().cloned(),
    ))
}

#[cfg(test)]
mod tests {
    use crate::query::dialect::testing::{error, expect};

    #[test]
    fn instants_become_numbers() {
        expect(&[
            ("epoch(TIMESTAMP '2022-11-07 08:43:04')", "1667810584.0"),
            ("epoch(TIMESTAMP '1969-12-31 23:59:59.5')", "-0.5"),
            (
                "epoch_ms(TIMESTAMP '2022-11-07 08:43:04.123456')",
                "1667810584123",
            ),
            (
                "epoch_us(TIMESTAMP '2022-11-07 08:43:04.123456')",
                "1667810584123456",
            ),
            (
                "epoch_ns(TIMESTAMP '2022-11-07 08:43:04.123456')",
                "1667810584123456000",
            ),
            ("epoch(DATE '1970-01-02')", "86400.0"),
            ("epoch(NULL)", "NULL"),
            ("epoch_ms(NULL)", "NULL"),
        ]);
    }

    #[test]
    fn all_units_and_zones_are_accepted() {
        for unit in ["Second", "Millisecond", "Microsecond", "Nanosecond"] {
            for zone in ["None", "Some(\"+02:00\")"] {
                let cast = format!("arrow_cast(1000000 * 86400, 'Timestamp({unit}, {zone})')");
                let day = match unit {
                    "Second" => "86400000000.0",
                    "Millisecond" => "86400000.0",
                    "Microsecond" => "86400.0",
                    _ => "86.4",
                };
                expect(&[(&format!("epoch({cast})"), day)]);
            }
        }
    }

    #[test]
    fn integers_become_instants() {
        expect(&[
            ("epoch_ms(701222400000)", "1992-03-22T00:00:00"),
            ("epoch_ms(-1)", "1969-12-31T23:59:59.999"),
            ("arrow_typeof(epoch_ms(1))", "Timestamp(µs)"),
            ("epoch_ms(CAST(NULL AS BIGINT))", "NULL"),
        ]);
        assert!(error("SELECT epoch_ms(9223372036854775807)").contains("out of the range"));
        assert!(error("SELECT epoch(true)").contains("takes a timestamp"));
    }

    #[test]
    fn differences_become_numbers() {
        expect(&[
            (
                "epoch(TIMESTAMP '2024-01-02' - TIMESTAMP '2024-01-01')",
                "86400.0",
            ),
            ("epoch(INTERVAL '1 month 1 day')", "2678400.0"),
            ("epoch(INTERVAL '1 year')", "31557600.0"),
        ]);
    }
}
