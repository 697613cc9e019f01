//! Timestamps and intervals as the functions take them: types of arguments, units, the calendar.
//!
//! DuckDB has timestamps in microseconds. Columns may have any unit, with or without a zone, so
//! functions convert with [`micros`] or [`nanos`]. Without a zone the calendar is that of UTC.

use datafusion::arrow::array::{ArrayRef, AsArray, Int64Array, PrimitiveArray};
use datafusion::arrow::datatypes::{
    ArrowPrimitiveType, DataType, IntervalUnit, TimeUnit, TimestampMicrosecondType,
    TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType,
};
use datafusion::error::Result;
use jiff::civil::DateTime;
use jiff::fmt::temporal::DateTimeParser;
use jiff::tz::TimeZone;

use crate::query::dialect::errors::{fail, refuse};

/// Returns the type of timestamp to which an argument is converted. Dates and strings become
/// microseconds without a zone.
pub(super) fn instant(given: &DataType) -> Result<DataType> {
    match given {
        DataType::Timestamp(..) => Ok(given.clone()),
        DataType::Date32 | DataType::Date64 | DataType::Null => Ok(stamp(None)),
        text if is_text(text) => Ok(stamp(None)),
        other => Err(refuse(&format!("takes a timestamp, not {other}"))),
    }
}

/// Returns the type of DuckDB's timestamps: microseconds.
pub(super) fn stamp(zone: Option<&str>) -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, zone.map(Into::into))
}

pub(super) fn is_text(given: &DataType) -> bool {
    matches!(
        given,
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View
    )
}

/// Returns the type of timestamps in microseconds with the zone of `given`.
pub(super) fn stamp_like(given: &DataType) -> DataType {
    match given {
        DataType::Timestamp(_, zone) => DataType::Timestamp(TimeUnit::Microsecond, zone.clone()),
        _ => stamp(None),
    }
}

/// Returns the microseconds since 1970 of timestamps, in UTC if they have a zone. Fractions are
/// rounded towards the past, so that an instant never leaves its bucket.
pub(super) fn micros(array: &ArrayRef) -> Result<Int64Array> {
    scaled(array, 1_000_000)
}

/// Does the same as [`micros`] in nanoseconds.
pub(super) fn nanos(array: &ArrayRef) -> Result<Int64Array> {
    scaled(array, 1_000_000_000)
}

fn scaled(array: &ArrayRef, per_second: i64) -> Result<Int64Array> {
    match array.data_type() {
        DataType::Timestamp(TimeUnit::Second, _) => {
            rescale(array.as_primitive::<TimestampSecondType>(), 1, per_second)
        }
        DataType::Timestamp(TimeUnit::Millisecond, _) => rescale(
            array.as_primitive::<TimestampMillisecondType>(),
            1_000,
            per_second,
        ),
        DataType::Timestamp(TimeUnit::Microsecond, _) => rescale(
            array.as_primitive::<TimestampMicrosecondType>(),
            1_000_000,
            per_second,
        ),
        DataType::Timestamp(TimeUnit::Nanosecond, _) => rescale(
            array.as_primitive::<TimestampNanosecondType>(),
            1_000_000_000,
            per_second,
        ),
        other => Err(fail(format!("{other} is no timestamp"))),
    }
}

fn rescale<T: ArrowPrimitiveType<Native = i64>>(
    array: &PrimitiveArray<T>,
    from: i64,
    to: i64,
) -> Result<Int64Array> {
    if from >= to {
        return Ok(array.unary(|value| value.div_euclid(from / to)));
    }
    array.try_unary(|value| {
        value
            .checked_mul(to / from)
            .ok_or_else(|| fail(format!("{value} is out of the range of timestamps")))
    })
}

/// Returns the type of interval to which an argument is converted.
pub(super) fn interval(given: &DataType) -> Result<DataType> {
    match given {
        DataType::Interval(_) | DataType::Duration(_) | DataType::Null => {}
        text if is_text(text) => {}
        other => return Err(refuse(&format!("takes an interval, not {other}"))),
    }
    Ok(DataType::Interval(IntervalUnit::MonthDayNano))
}

/// Zone of instants, written as DataFusion writes it.
pub(super) const UTC: &str = "+00:00";

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

/// Returns the month of an instant, counted from year 0.
pub(super) fn months(us: i64) -> Result<i64> {
    let date = calendar(us)?;
    Ok(i64::from(date.year()) * 12 + i64::from(date.month()) - 1)
}

/// Returns a minute of the calendar, or an error that names the parts.
pub(super) fn civil(year: i64, month: i64, day: i64, hour: i64, minute: i64) -> Result<DateTime> {
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
