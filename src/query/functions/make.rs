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
use jiff::civil::DateTime;
use jiff::fmt::temporal::DateTimeParser;
use jiff::tz::TimeZone;

use super::plain::{Plain, count, fail, stamp};

/// Zone of instants, written as DataFusion writes it.
pub(super) const UTC: &str = "+00:00";

pub(super) fn functions() -> Vec<Plain> {
    vec![
        Plain::new(
            "make_timestamp",
            |types| parts(types, false),
            |_| Ok(stamp(None)),
            make,
        ),
        Plain::new(
            "make_timestamptz",
            |types| parts(types, true),
            |_| Ok(stamp(Some(UTC))),
            make,
        ),
    ]
}

fn parts(types: &[DataType], zoned: bool) -> Result<Vec<DataType>> {
    let mut taken = vec![DataType::Int64; 5];
    match types.len() {
        1 => return Ok(vec![DataType::Int64]),
        6 => taken.push(DataType::Float64),
        7 if zoned => taken.extend([DataType::Float64, DataType::Utf8]),
        _ if zoned => {
            return Err(count(
                "microseconds, or six parts and perhaps a zone",
                types,
            ));
        }
        _ => return Err(count("microseconds, or six parts", types)),
    }
    Ok(taken)
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

fn civil(year: i64, month: i64, day: i64, hour: i64, minute: i64) -> Result<DateTime> {
    let made = (|| {
        DateTime::new(
            i16::try_from(year).ok()?,
            i8::try_from(month).ok()?,
            i8::try_from(day).ok()?,
            i8::try_from(hour).ok()?,
            i8::try_from(minute).ok()?,
            0,
            0,
        )
        .ok()
    })();
    made.ok_or_else(|| fail(format!("no minute is {year}-{month}-{day} {hour}:{minute}")))
}

// Rounded as a whole, so that 59.9999999 is the start of the next minute, and binary fractions lose
// no microsecond.
fn microseconds(seconds: f64) -> Result<i64> {
    if !(0.0..60.0).contains(&seconds) {
        return Err(fail(format!("{seconds} are no seconds of a minute")));
    }
    Ok((seconds * 1e6).round() as i64)
}

/// Looks up zones by name. Caches the last one, because a column mostly has one zone.
#[derive(Default)]
pub(super) struct Zones {
    last: Option<(String, TimeZone)>,
}

impl Zones {
    /// Returns the zone of an IANA name or of an offset such as `+02:00`.
    pub(super) fn named(&mut self, name: &str) -> Result<TimeZone> {
        if let Some((last, zone)) = &self.last
            && last == name
        {
            return Ok(zone.clone());
        }
        let zone = DateTimeParser::new()
            .parse_time_zone(name)
            .map_err(|error| fail(format!("no time zone is named {name}: {error}")))?;
        self.last = Some((name.to_string(), zone.clone()));
        Ok(zone)
    }
}

/// Converts microseconds since 1970 to a time of the calendar in UTC.
pub(super) fn calendar(us: i64) -> Result<DateTime> {
    let instant = jiff::Timestamp::from_microsecond(us)
        .map_err(|error| fail(format!("{us} microseconds since 1970: {error}")))?;
    Ok(TimeZone::UTC.to_datetime(instant))
}

/// Returns the microseconds since 1970 of the first day of a month that is counted from year 0.
pub(super) fn month_start(months: i64) -> Result<i64> {
    let start = civil(months.div_euclid(12), months.rem_euclid(12) + 1, 1, 0, 0)?;
    let instant = TimeZone::UTC
        .to_timestamp(start)
        .map_err(|error| fail(format!("{start}: {error}")))?;
    Ok(instant.as_microsecond())
}

#[cfg(test)]
mod tests {
    use super::super::testing::{error, expect};

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
