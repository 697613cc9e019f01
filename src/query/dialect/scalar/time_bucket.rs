//! `time_bucket`: the start of the bucket that contains an instant.
//!
//! It takes a width, an instant and perhaps an origin. It returns microseconds in the instant's
//! zone, or for a date a date. Widths below a month count from Monday 2000-01-03, months and years
//! as in the calendar from 2000-01-01, both in UTC. No bucket begins after its instant.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, Int64Array, TimestampMicrosecondArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, IntervalMonthDayNano, IntervalMonthDayNanoType};
use datafusion::error::Result;

use super::function::ScalarFunction;
use super::timestamps::{
    instant, interval, is_text, micros, month_start, months, stamp, stamp_like,
};
use crate::query::dialect::errors::{count, fail, refuse};

/// 2000-01-03T00:00:00Z, in microseconds since 1970.
const MONDAY: i64 = 946_857_600_000_000;
/// January 2000, in months since year 0.
const JANUARY: i64 = 24_000;

pub(super) fn functions() -> Vec<ScalarFunction> {
    vec![ScalarFunction::new(
        "time_bucket",
        coerce,
        |args| {
            Ok(match args.arg_fields[1].data_type() {
                DataType::Date32 => DataType::Date32,
                other => stamp_like(other),
            })
        },
        starts,
    )]
}

fn coerce(types: &[DataType]) -> Result<Vec<DataType>> {
    let (width, at, origin) = match types {
        [width, at] => (width, at, None),
        [width, at, origin] => (width, at, Some(origin)),
        _ => return Err(count("a width, an instant and perhaps an origin", types)),
    };
    let mut types = vec![interval(width)?];
    types.push(match at {
        DataType::Date32 | DataType::Date64 => DataType::Date32,
        other => instant(other)?,
    });
    if let Some(origin) = origin {
        if matches!(origin, DataType::Interval(_) | DataType::Duration(_)) {
            return Err(refuse(
                "takes no offset; write time_bucket(width, ts - offset) + offset",
            ));
        }
        if is_text(origin) && matches!(at, DataType::Timestamp(_, Some(_))) {
            return Err(refuse(
                "takes no zone; write time_bucket(width, to_local_time(ts AT TIME ZONE 'zone'))",
            ));
        }
        types.push(instant(origin)?);
    }
    Ok(types)
}

fn starts(args: &[ArrayRef], given: &DataType) -> Result<ArrayRef> {
    let widths = args[0].as_primitive::<IntervalMonthDayNanoType>();
    let at = match args[1].data_type() {
        DataType::Date32 => micros(&cast(&args[1], &stamp(None))?)?,
        _ => micros(&args[1])?,
    };
    let origins = args.get(2).map(micros).transpose()?;
    let mut starts = Int64Array::builder(at.len());
    let mut last = None;
    for row in 0..at.len() {
        if args.iter().any(|arg| arg.is_null(row)) {
            starts.append_null();
            continue;
        }
        let (width, origin) = (widths.value(row), origins.as_ref().map(|o| o.value(row)));
        let rule = match last {
            Some((key, rule)) if key == (width, origin) => rule,
            _ => Rule::new(width, origin)?,
        };
        last = Some(((width, origin), rule));
        starts.append_value(rule.start(at.value(row))?);
    }
    let starts: TimestampMicrosecondArray = starts.finish().reinterpret_cast();
    match given {
        DataType::Timestamp(_, zone) => Ok(Arc::new(starts.with_timezone_opt(zone.clone()))),
        other => Ok(cast(&starts, other)?),
    }
}

/// How the buckets of one width lie relative to an origin.
#[derive(Clone, Copy)]
enum Rule {
    Even { width: i64, origin: i64 },
    Months { width: i64, origin: i64 },
}

impl Rule {
    fn new(width: IntervalMonthDayNano, origin: Option<i64>) -> Result<Self> {
        let rest = i128::from(width.days) * 86_400_000_000_000 + i128::from(width.nanoseconds);
        if width.months != 0 {
            if width.days != 0 || width.nanoseconds != 0 {
                return Err(fail(
                    "time_bucket: a width is months or shorter units, not both".into(),
                ));
            }
            if width.months < 0 {
                return Err(fail("time_bucket: a width is greater than zero".into()));
            }
            return Ok(Self::Months {
                width: i64::from(width.months),
                origin: origin.map_or(Ok(JANUARY), months)?,
            });
        }
        match i64::try_from(rest / 1_000) {
            Ok(us) if us > 0 && rest % 1_000 == 0 => Ok(Self::Even {
                width: us,
                origin: origin.unwrap_or(MONDAY),
            }),
            _ => Err(fail(
                "time_bucket: a width is greater than zero, in whole microseconds".into(),
            )),
        }
    }

    fn start(self, at: i64) -> Result<i64> {
        match self {
            Self::Even { width, origin } => {
                let since = i128::from(at) - i128::from(origin);
                let start = i128::from(at) - since.rem_euclid(i128::from(width));
                i64::try_from(start).map_err(|_| fail(format!("no bucket starts before {at}")))
            }
            Self::Months { width, origin } => {
                let at = months(at)?;
                month_start(at - (at - origin).rem_euclid(width))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::query::dialect::testing::{error, expect};

    #[test]
    fn buckets_below_a_month_start_on_a_monday() {
        expect(&[
            (
                "time_bucket(INTERVAL '2 weeks', TIMESTAMP '1992-04-20 15:26:00')",
                "1992-04-20T00:00:00",
            ),
            (
                "time_bucket(INTERVAL '1 week', TIMESTAMP '2024-02-29 12:00:00')",
                "2024-02-26T00:00:00",
            ),
            (
                "time_bucket(INTERVAL '4 hours', TIMESTAMP '2024-02-29 13:30:00')",
                "2024-02-29T12:00:00",
            ),
            (
                "time_bucket(INTERVAL 1 HOUR, TIMESTAMP '1969-12-31 23:59:59.9999999')",
                "1969-12-31T23:00:00",
            ),
            (
                "time_bucket(INTERVAL '2 weeks', TIMESTAMP '1992-04-20 15:26:00', TIMESTAMP '1992-04-01 00:00:00')",
                "1992-04-15T00:00:00",
            ),
        ]);
    }

    #[test]
    fn months_quarters_and_years_follow_the_calendar() {
        expect(&[
            (
                "time_bucket(INTERVAL '1 month', TIMESTAMP '2024-02-29 12:00:00')",
                "2024-02-01T00:00:00",
            ),
            (
                "time_bucket(INTERVAL 1 QUARTER, TIMESTAMP '2024-06-30 12:00:00')",
                "2024-04-01T00:00:00",
            ),
            (
                "time_bucket(INTERVAL '3 months', TIMESTAMP '1999-12-31 12:00:00')",
                "1999-10-01T00:00:00",
            ),
            (
                "time_bucket(INTERVAL '1 year', TIMESTAMP '2024-06-30 12:00:00')",
                "2024-01-01T00:00:00",
            ),
            (
                "time_bucket(INTERVAL '10 years', TIMESTAMP '1995-06-30 12:00:00')",
                "1990-01-01T00:00:00",
            ),
            (
                "time_bucket(INTERVAL '2 months', TIMESTAMP '2024-06-30 12:00:00', TIMESTAMP '2024-02-10 00:00:00')",
                "2024-06-01T00:00:00",
            ),
        ]);
    }

    #[test]
    fn dates_zones_units_and_nulls() {
        expect(&[
            (
                "time_bucket(INTERVAL '2 months', DATE '1992-04-20')",
                "1992-03-01",
            ),
            (
                "time_bucket(INTERVAL '1 day', arrow_cast('2024-01-01T23:00:00Z', 'Timestamp(Second, Some(\"+00:00\"))'))",
                "2024-01-01T00:00:00Z",
            ),
            (
                "time_bucket(INTERVAL '1 day', arrow_cast(90000, 'Timestamp(Second, None)'))",
                "1970-01-02T00:00:00",
            ),
            ("time_bucket(INTERVAL '1 day', NULL)", "NULL"),
            ("time_bucket(NULL, TIMESTAMP '2024-02-29 12:00:00')", "NULL"),
        ]);
    }

    #[test]
    fn invalid_widths_are_refused() {
        let at = "TIMESTAMP '2024-01-01 00:00:00'";
        for width in ["0 days", "-1 hour", "-1 month", "1 month 1 day"] {
            let error = error(&format!("SELECT time_bucket(INTERVAL '{width}', {at})"));
            assert!(error.contains("a width is"), "{width}: {error}");
        }
        let query = format!("SELECT time_bucket(INTERVAL '1 day', {at}, INTERVAL '1 hour')");
        assert!(error(&query).contains("takes no offset"));
        let query = "SELECT time_bucket(INTERVAL '1 day', make_timestamptz(0), 'Europe/Berlin')";
        assert!(error(query).contains("takes no zone"));
        let local = "arrow_cast('2024-01-01T23:30:00Z', 'Timestamp(Second, Some(\"+02:00\"))')";
        expect(&[(
            &format!("time_bucket(INTERVAL '1 day', to_local_time({local}))"),
            "2024-01-02T00:00:00",
        )]);
    }
}
