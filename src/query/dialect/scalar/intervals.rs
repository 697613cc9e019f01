//! Differences and intervals: `date_diff`, `date_add`, `to_hours` and others.
//!
//! `date_diff` counts the boundaries of a part between two instants in UTC: 23:59 and 00:01 are one
//! day apart. `date_add` returns a timestamp, `to_…` returns an interval. The translation writes
//! `INTERVAL (n) HOUR` as `to_hours(n)`, see [`grammar`](super::super::grammar).

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, Int64Array, IntervalMonthDayNanoArray};
use datafusion::arrow::compute::kernels::numeric::add;
use datafusion::arrow::datatypes::{
    DataType, Float64Type, Int64Type, IntervalMonthDayNano, IntervalUnit,
};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::ReturnFieldArgs;

use super::function::{Compute, ScalarFunction};
use super::timestamps::{instant, is_text, micros};
use super::timestamps::{interval, months};
use crate::query::dialect::errors::{count, fail, refuse};

const SECOND: i64 = 1_000_000_000;
const DAY: i64 = 86_400_000_000;

pub(super) fn functions() -> Vec<ScalarFunction> {
    vec![
        ScalarFunction::new(
            "date_diff",
            part_and_two,
            |_| Ok(DataType::Int64),
            difference,
        )
        .with_aliases(&["datediff"]),
        ScalarFunction::new(
            "date_add",
            |types| match types {
                [at, span] => Ok(vec![instant(at)?, interval(span)?]),
                _ => Err(count("a timestamp and an interval", types)),
            },
            |args| Ok(args.arg_fields[0].data_type().clone()),
            |args, _| Ok(add(&args[0], &args[1])?),
        ),
        whole("to_years", |a, _| spans(a, 12, 0, 0)),
        whole("to_quarters", |a, _| spans(a, 3, 0, 0)),
        whole("to_months", |a, _| spans(a, 1, 0, 0)),
        whole("to_weeks", |a, _| spans(a, 0, 7, 0)),
        whole("to_days", |a, _| spans(a, 0, 1, 0)),
        whole("to_hours", |a, _| spans(a, 0, 0, 3_600 * SECOND)),
        whole("to_minutes", |a, _| spans(a, 0, 0, 60 * SECOND)),
        ScalarFunction::new("to_seconds", number, interval_type, |a, _| {
            fractions(a, 1e9)
        }),
        ScalarFunction::new("to_milliseconds", number, interval_type, |a, _| {
            fractions(a, 1e6)
        }),
        whole("to_microseconds", |a, _| spans(a, 0, 0, 1_000)),
    ]
}

fn part_and_two(types: &[DataType]) -> Result<Vec<DataType>> {
    match types {
        [part, from, to] if is_text(part) => Ok(vec![DataType::Utf8, instant(from)?, instant(to)?]),
        [_, _, _] => Err(refuse(
            "takes the name of a part first, as in date_diff('day', a, b)",
        )),
        _ => Err(count("a part and two timestamps", types)),
    }
}

fn difference(args: &[ArrayRef], _: &DataType) -> Result<ArrayRef> {
    let names = args[0].as_string::<i32>();
    let (from, to) = (micros(&args[1])?, micros(&args[2])?);
    let mut differences = Int64Array::builder(from.len());
    let mut last: Option<(&str, Part)> = None;
    for row in 0..from.len() {
        if args.iter().any(|arg| arg.is_null(row)) {
            differences.append_null();
            continue;
        }
        let name = names.value(row);
        let part = match last {
            Some((known, part)) if known == name => part,
            _ => Part::named(name)?,
        };
        last = Some((name, part));
        differences.append_value(part.number(to.value(row))? - part.number(from.value(row))?);
    }
    Ok(Arc::new(differences.finish()))
}

/// The unit that a difference counts.
#[derive(Clone, Copy)]
enum Part {
    /// This many months.
    Months(i64),
    /// Weeks, from Monday to Monday.
    Weeks,
    /// This many microseconds.
    Even(i64),
}

impl Part {
    fn named(name: &str) -> Result<Self> {
        Ok(match name.to_lowercase().as_str() {
            "millennium" | "millennia" | "mil" => Self::Months(12_000),
            "century" | "centuries" | "cent" | "c" => Self::Months(1_200),
            "decade" | "decades" | "dec" | "decs" => Self::Months(120),
            "year" | "years" | "yr" | "yrs" | "y" => Self::Months(12),
            "quarter" | "quarters" => Self::Months(3),
            "month" | "months" | "mon" | "mons" => Self::Months(1),
            "week" | "weeks" | "w" => Self::Weeks,
            "day" | "days" | "d" | "dayofmonth" => Self::Even(DAY),
            "hour" | "hours" | "hr" | "hrs" | "h" => Self::Even(DAY / 24),
            "minute" | "minutes" | "min" | "mins" | "m" => Self::Even(60_000_000),
            "second" | "seconds" | "sec" | "secs" | "s" => Self::Even(1_000_000),
            "millisecond" | "milliseconds" | "msec" | "msecs" | "ms" => Self::Even(1_000),
            "microsecond" | "microseconds" | "usec" | "usecs" | "us" => Self::Even(1),
            _ => return Err(unknown(name)),
        })
    }

    /// Returns the number of the unit that contains an instant.
    fn number(self, at: i64) -> Result<i64> {
        Ok(match self {
            Self::Months(length) => months(at)?.div_euclid(length),
            // 1970-01-01 was a Thursday.
            Self::Weeks => (at.div_euclid(DAY) + 3).div_euclid(7),
            Self::Even(length) => at.div_euclid(length),
        })
    }
}

fn unknown(name: &str) -> DataFusionError {
    fail(format!(
        "date_diff: no part is named {name}; write year, month, day, hour, minute or second"
    ))
}

fn interval_type(_: &ReturnFieldArgs) -> Result<DataType> {
    Ok(DataType::Interval(IntervalUnit::MonthDayNano))
}

fn whole(name: &'static str, compute: Compute) -> ScalarFunction {
    let coerce = |types: &[DataType]| match types {
        [_] => Ok(vec![DataType::Int64]),
        _ => Err(count("a number", types)),
    };
    ScalarFunction::new(name, coerce, interval_type, compute)
}

fn number(types: &[DataType]) -> Result<Vec<DataType>> {
    match types {
        [_] => Ok(vec![DataType::Float64]),
        _ => Err(count("a number", types)),
    }
}

fn spans(args: &[ArrayRef], months: i32, days: i32, nanos: i64) -> Result<ArrayRef> {
    let counts = args[0].as_primitive::<Int64Type>();
    let spans: IntervalMonthDayNanoArray = counts.try_unary(|count| {
        let short = i32::try_from(count).ok();
        let times = |unit: i32| match unit {
            0 => Some(0),
            unit => short?.checked_mul(unit),
        };
        match (times(months), times(days), count.checked_mul(nanos)) {
            (Some(months), Some(days), Some(nanos)) => {
                Ok(IntervalMonthDayNano::new(months, days, nanos))
            }
            _ => Err(fail(format!("{count} is out of the range of intervals"))),
        }
    })?;
    Ok(Arc::new(spans))
}

fn fractions(args: &[ArrayRef], nanos: f64) -> Result<ArrayRef> {
    let counts = args[0].as_primitive::<Float64Type>();
    let spans: IntervalMonthDayNanoArray = counts.try_unary(|count| {
        let length = (count * nanos).round();
        if length.abs() >= i64::MAX as f64 || length.is_nan() {
            return Err(fail(format!("{count} is out of the range of intervals")));
        }
        Ok(IntervalMonthDayNano::new(0, 0, length as i64))
    })?;
    Ok(Arc::new(spans))
}

#[cfg(test)]
mod tests {
    use crate::query::dialect::testing::{error, expect};

    #[test]
    fn differences_count_boundaries() {
        for (part, from, to, expected) in [
            ("hour", "1992-09-30 23:59:59", "1992-10-01 01:58:00", "2"),
            ("day", "1992-09-30 23:59:59", "1992-10-01 00:00:00", "1"),
            ("month", "1992-09-15 00:00:00", "1992-11-14 00:00:00", "2"),
            ("quarter", "1992-09-30 00:00:00", "1992-10-01 00:00:00", "1"),
            ("year", "1999-12-31 23:59:59", "2000-01-01 00:00:00", "1"),
            ("week", "2024-03-03 00:00:00", "2024-03-04 00:00:00", "1"),
            ("week", "2024-03-04 00:00:00", "2024-03-10 23:00:00", "0"),
            ("decade", "1999-12-31 00:00:00", "2000-01-01 00:00:00", "1"),
            (
                "minutes",
                "2024-01-01 00:00:00",
                "2023-12-31 23:58:30",
                "-2",
            ),
            ("s", "1969-12-31 23:59:59", "1970-01-01 00:00:01", "2"),
            (
                "millisecond",
                "2024-01-01 00:00:00",
                "2024-01-01 00:00:00.0015",
                "1",
            ),
            (
                "us",
                "2024-01-01 00:00:00",
                "2024-01-01 00:00:01",
                "1000000",
            ),
        ] {
            let call = format!("date_diff('{part}', TIMESTAMP '{from}', TIMESTAMP '{to}')");
            expect(&[(&call, expected)]);
        }
        expect(&[
            (
                "datediff('day', DATE '1992-09-15', DATE '1992-11-14')",
                "60",
            ),
            ("date_diff('day', NULL, DATE '1992-11-14')", "NULL"),
        ]);
        assert!(
            error("SELECT date_diff('moon', DATE '2024-01-01', DATE '2024-01-02')")
                .contains("moon")
        );
    }

    #[test]
    fn intervals_are_added() {
        expect(&[
            (
                "date_add(DATE '1992-09-15', INTERVAL 2 MONTH)",
                "1992-11-15T00:00:00",
            ),
            (
                "date_add(TIMESTAMP '2024-01-31 00:00:00', INTERVAL 1 MONTH)",
                "2024-02-29T00:00:00",
            ),
            ("date_add(NULL, INTERVAL 1 MONTH)", "NULL"),
            ("DATE '2024-01-01' + INTERVAL (1 + 1) DAY", "2024-01-03"),
        ]);
    }

    #[test]
    fn counts_make_intervals() {
        let zero = "TIMESTAMP '2024-01-01 00:00:00'";
        for (span, expected) in [
            ("to_years(1)", "2025-01-01T00:00:00"),
            ("to_quarters(1)", "2024-04-01T00:00:00"),
            ("to_months(-1)", "2023-12-01T00:00:00"),
            ("to_weeks(2)", "2024-01-15T00:00:00"),
            ("to_days(1)", "2024-01-02T00:00:00"),
            ("to_hours(25)", "2024-01-02T01:00:00"),
            ("to_minutes(1)", "2024-01-01T00:01:00"),
            ("to_seconds(1.5)", "2024-01-01T00:00:01.500"),
            ("to_milliseconds(2)", "2024-01-01T00:00:00.002"),
            ("to_microseconds(3)", "2024-01-01T00:00:00.000003"),
            ("to_hours(NULL)", "NULL"),
        ] {
            expect(&[(&format!("{zero} + {span}"), expected)]);
        }
        assert!(error("SELECT to_years(1000000000)").contains("out of the range"));
    }
}
