//! Makes instants from parts: `make_timestamp`, `make_timestamptz`.
//!
//! They take microseconds, or year, month, day, hour, minute and seconds with a fraction, and
//! `make_timestamptz` perhaps a zone. They return microseconds, `make_timestamptz` with the zone
//! UTC. Parts that are no instant are an error, as in DuckDB; nothing is carried into the next
//! part.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, TimestampMicrosecondArray};
use datafusion::arrow::datatypes::{DataType, Float64Type, Int64Type};
use datafusion::error::Result;
use jiff::tz::TimeZone;

use super::function::ScalarFunction;
use super::timestamps::{UTC, Zones, civil, stamp};
use crate::query::dialect::errors::{count, fail};

pub(super) fn functions() -> Vec<ScalarFunction> {
    vec![
        ScalarFunction::new(
            "make_timestamp",
            |types| parts(types, false),
            |_| Ok(stamp(None)),
            make,
        ),
        ScalarFunction::new(
            "make_timestamptz",
            |types| parts(types, true),
            |_| Ok(stamp(Some(UTC))),
            make,
        ),
    ]
}

fn parts(given: &[DataType], zoned: bool) -> Result<Vec<DataType>> {
    let mut types = vec![DataType::Int64; 5];
    match given.len() {
        1 => return Ok(vec![DataType::Int64]),
        6 => types.push(DataType::Float64),
        7 if zoned => types.extend([DataType::Float64, DataType::Utf8]),
        _ if zoned => {
            return Err(count(
                "microseconds, or six parts and perhaps a zone",
                given,
            ));
        }
        _ => return Err(count("microseconds, or six parts", given)),
    }
    Ok(types)
}

fn make(args: &[ArrayRef], given: &DataType) -> Result<ArrayRef> {
    let zone: Option<Arc<str>> = match given {
        DataType::Timestamp(_, zone) => zone.clone(),
        _ => None,
    };
    if args.len() == 1 {
        let stamps: TimestampMicrosecondArray =
            args[0].as_primitive::<Int64Type>().reinterpret_cast();
        return Ok(Arc::new(stamps.with_timezone_opt(zone)));
    }
    let whole: Vec<_> = args[..5]
        .iter()
        .map(|part| part.as_primitive::<Int64Type>())
        .collect();
    let seconds = args[5].as_primitive::<Float64Type>();
    let mut zones = Zones::default();
    let mut stamps = TimestampMicrosecondArray::builder(seconds.len());
    for row in 0..seconds.len() {
        if args.iter().any(|part| part.is_null(row)) {
            stamps.append_null();
            continue;
        }
        let minute = civil(
            whole[0].value(row),
            whole[1].value(row),
            whole[2].value(row),
            whole[3].value(row),
            whole[4].value(row),
        )?;
        let fraction = microseconds(seconds.value(row))?;
        let zone = match args.get(6) {
            Some(names) => zones.named(names.as_string::<i32>().value(row))?,
            None => TimeZone::UTC,
        };
        let start = zone
            .to_timestamp(minute)
            .map_err(|error| fail(format!("{minute}: {error}")))?
            .as_microsecond();
        stamps.append_value(start + fraction);
    }
    Ok(Arc::new(stamps.finish().with_timezone_opt(zone)))
}

// Rounded as a whole, so that 59.9999999 is the start of the next minute, and binary fractions lose
// no microsecond.
fn microseconds(seconds: f64) -> Result<i64> {
    if !(0.0..60.0).contains(&seconds) {
        return Err(fail(format!("{seconds} are no seconds of a minute")));
    }
    Ok((seconds * 1e6).round() as i64)
}

#[cfg(test)]
mod tests {
    use crate::query::dialect::testing::{error, expect};

    #[test]
    fn parts_make_instants() {
        expect(&[
            (
                "make_timestamp(1667810584123456)",
                "2022-11-07T08:43:04.123456",
            ),
            (
                "make_timestamp(1992, 9, 20, 13, 34, 27.123456)",
                "1992-09-20T13:34:27.123456",
            ),
            (
                "make_timestamp(1992, 9, 20, 13, 34, 59.9999999)",
                "1992-09-20T13:35:00",
            ),
            (
                "make_timestamptz(2024, 2, 29, 12, 0, 0)",
                "2024-02-29T12:00:00Z",
            ),
            ("make_timestamptz(0)", "1970-01-01T00:00:00Z"),
            (
                "epoch(make_timestamptz(2024, 7, 1, 12, 0, 0, 'Europe/Berlin'))",
                "1719828000.0",
            ),
            (
                "epoch(make_timestamptz(2024, 1, 1, 0, 0, 0, '+02:00'))",
                "1704060000.0",
            ),
            ("make_timestamp(NULL, 9, 20, 13, 34, 27)", "NULL"),
            ("make_timestamptz(2024, 1, 1, 0, 0, 0, NULL)", "NULL"),
        ]);
    }

    #[test]
    fn parts_that_name_no_instant_are_refused() {
        assert!(error("SELECT make_timestamp(2023, 2, 29, 0, 0, 0)").contains("2023-2-29"));
        assert!(error("SELECT make_timestamp(2023, 1, 1, 0, 0, 60.0)").contains("no seconds"));
        assert!(error("SELECT make_timestamptz(2023, 1, 1, 0, 0, 0, 'Mars')").contains("Mars"));
        assert!(error("SELECT make_timestamp(1, 2)").contains("six parts"));
    }
}
