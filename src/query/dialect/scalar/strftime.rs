//! Formats and parses instants: `strftime`, `strptime`, `try_strptime`.
//!
//! Formats consist of DuckDB's specifiers. Parsing returns microseconds, and with `%z` or `%Z` in a
//! constant format the zone UTC. Parts that the format does not name are those of
//! 1900-01-01T00:00:00. A string that does not match is an error, or null for `try_strptime`.

use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, StringArray, StringBuilder, TimestampMicrosecondArray,
};
use datafusion::arrow::datatypes::DataType;
use datafusion::error::Result;
use datafusion::logical_expr::ReturnFieldArgs;
use datafusion::scalar::ScalarValue;
use jiff::fmt::strtime::BrokenDownTime;
use jiff::tz::TimeZone;

use super::function::ScalarFunction;
use super::timestamps::{UTC, Zones};
use super::timestamps::{instant, is_text, nanos, stamp};
use crate::query::dialect::errors::{count, fail, refuse};

pub(super) fn functions() -> Vec<ScalarFunction> {
    vec![
        ScalarFunction::new(
            "strftime",
            instant_and_format,
            |_| Ok(DataType::Utf8),
            write,
        ),
        ScalarFunction::new("strptime", text_and_format, parsed, |a, to| {
            read(a, to, false)
        }),
        ScalarFunction::new("try_strptime", text_and_format, parsed, |a, to| {
            read(a, to, true)
        }),
    ]
}

fn instant_and_format(types: &[DataType]) -> Result<Vec<DataType>> {
    match types {
        // DuckDB accepts both orders. Of two strings the first is the instant.
        [format, at] if is_text(format) && !is_text(at) && !at.is_null() => {
            Ok(vec![DataType::Utf8, instant(at)?])
        }
        [at, _] => Ok(vec![instant(at)?, DataType::Utf8]),
        _ => Err(count("a timestamp and a format", types)),
    }
}

fn text_and_format(types: &[DataType]) -> Result<Vec<DataType>> {
    match types {
        [_, format] if format.is_nested() => {
            Err(refuse("takes one format; write coalesce over try_strptime"))
        }
        [_, _] => Ok(vec![DataType::Utf8, DataType::Utf8]),
        _ => Err(count("a text and a format", types)),
    }
}

fn parsed(args: &ReturnFieldArgs) -> Result<DataType> {
    let zoned = match args.scalar_arguments.get(1) {
        Some(Some(ScalarValue::Utf8(Some(format)))) => {
            format.contains("%z") || format.contains("%Z")
        }
        _ => false,
    };
    Ok(stamp(zoned.then_some(UTC)))
}

fn write(args: &[ArrayRef], _: &DataType) -> Result<ArrayRef> {
    let (at, formats) = match args[0].data_type() {
        DataType::Utf8 => (&args[1], &args[0]),
        _ => (&args[0], &args[1]),
    };
    let zone = match at.data_type() {
        DataType::Timestamp(_, Some(zone)) => Some(Zones::default().named(zone)?),
        _ => None,
    };
    let (at, formats) = (instants(at)?, formats.as_string::<i32>());
    let mut texts = StringBuilder::new();
    let mut last: Option<(&str, String)> = None;
    for row in 0..at.len() {
        if at[row].is_none() || formats.is_null(row) {
            texts.append_null();
            continue;
        }
        let format = formats.value(row);
        let spelled = match last {
            Some((known, spelled)) if known == format => spelled,
            _ => spell(format, true, zone.is_none())?,
        };
        if let Some(at) = at[row] {
            let parts = match &zone {
                Some(zone) => BrokenDownTime::from(&at.to_zoned_datetime(zone.clone())),
                None => BrokenDownTime::from(TimeZone::UTC.to_datetime(at)),
            };
            let text = parts
                .to_string(&spelled)
                .map_err(|error| fail(format!("strftime: {format}: {error}")))?;
            texts.append_value(text);
        }
        last = Some((format, spelled));
    }
    Ok(Arc::new(texts.finish()))
}

fn instants(array: &ArrayRef) -> Result<Vec<Option<jiff::Timestamp>>> {
    // Nanoseconds where they suffice, for `%n`; far years fit into microseconds only.
    let convert = |seconds: i64, rest: i64| {
        jiff::Timestamp::new(seconds, rest as i32)
            .map_err(|error| fail(format!("strftime: {error}")))
    };
    if let Ok(nanos) = nanos(array) {
        return nanos
            .iter()
            .map(|at| {
                at.map(|at| convert(at.div_euclid(1_000_000_000), at.rem_euclid(1_000_000_000)))
                    .transpose()
            })
            .collect();
    }
    super::timestamps::micros(array)?
        .iter()
        .map(|at| {
            at.map(|at| convert(at.div_euclid(1_000_000), at.rem_euclid(1_000_000) * 1_000))
                .transpose()
        })
        .collect()
}

fn read(args: &[ArrayRef], given: &DataType, lenient: bool) -> Result<ArrayRef> {
    let (texts, formats): (&StringArray, &StringArray) = (args[0].as_string(), args[1].as_string());
    let mut stamps = TimestampMicrosecondArray::builder(texts.len());
    let mut last: Option<(&str, String)> = None;
    for row in 0..texts.len() {
        if texts.is_null(row) || formats.is_null(row) {
            stamps.append_null();
            continue;
        }
        let (text, format) = (texts.value(row), formats.value(row));
        let spelled = match last {
            Some((known, spelled)) if known == format => spelled,
            _ => spell(format, false, false)?,
        };
        // An offset is written with or without a colon.
        let found = instant_of(&spelled, text).or_else(|error| match spelled.contains("%:::z") {
            true => instant_of(&spelled.replace("%:::z", "%z"), text),
            false => Err(error),
        });
        match found {
            Ok(at) => stamps.append_value(at),
            Err(_) if lenient => stamps.append_null(),
            Err(error) => {
                return Err(fail(format!(
                    "strptime: {text} does not fit {format}: {error}"
                )));
            }
        }
        last = Some((format, spelled));
    }
    let zone = match given {
        DataType::Timestamp(_, zone) => zone.clone(),
        _ => None,
    };
    Ok(Arc::new(stamps.finish().with_timezone_opt(zone)))
}

fn instant_of(format: &str, text: &str) -> std::result::Result<i64, jiff::Error> {
    let mut parts = BrokenDownTime::parse(format, text.trim())?;
    if let Some(at) = parts.timestamp() {
        return Ok(at.as_microsecond());
    }
    let lacks_day = parts.day_of_year().is_none() && parts.iso_week().is_none();
    if parts.year().is_none() && parts.iso_week_year().is_none() {
        parts.set_year(Some(1900))?;
    }
    if lacks_day && parts.sunday_based_week().is_none() && parts.monday_based_week().is_none() {
        if parts.month().is_none() {
            parts.set_month(Some(1))?;
        }
        if parts.day().is_none() {
            parts.set_day(Some(1))?;
        }
    }
    let day = parts.to_date()?;
    let at = match parts.hour() {
        // With an hour, jiff builds the time itself, and demands each unit above a given one.
        Some(_) => day.to_datetime(parts.to_time()?),
        None => day.at(
            0,
            parts.minute().unwrap_or(0),
            parts.second().unwrap_or(0),
            parts.subsec_nanosecond().unwrap_or(0),
        ),
    };
    let zone = match (parts.offset(), parts.iana_time_zone()) {
        (Some(offset), _) => TimeZone::fixed(offset),
        (None, Some(name)) => TimeZone::get(name)?,
        (None, None) => TimeZone::UTC,
    };
    Ok(zone.to_timestamp(at)?.as_microsecond())
}

/// Translates a format from DuckDB's to jiff's specifiers.
fn spell(format: &str, writing: bool, naive: bool) -> Result<String> {
    let mut spelled = String::with_capacity(format.len());
    let mut rest = format.chars();
    while let Some(c) = rest.next() {
        if c != '%' {
            spelled.push(c);
            continue;
        }
        let unknown =
            |found: &str| refuse(&format!("no specifier is %{found} in the format {format}"));
        let mut bare = rest.next().ok_or_else(|| unknown(""))?;
        let dash = bare == '-';
        if dash {
            bare = rest.next().ok_or_else(|| unknown("-"))?;
        }
        let fixed = match bare {
            'c' => "%Y-%m-%d %H:%M:%S",
            'x' => "%Y-%m-%d",
            'X' => "%H:%M:%S",
            'g' if writing => "%3f",
            'f' if writing => "%6f",
            'n' if writing => "%9f",
            'g' | 'f' | 'n' => "%f",
            // A timestamp without a zone counts as UTC, but has no name of a zone.
            'z' if naive => "+00",
            'Z' if naive => "",
            'z' => "%:::z",
            'Z' if !writing => "%Q",
            'a' | 'A' | 'b' | 'B' | 'd' | 'G' | 'H' | 'I' | 'j' | 'm' | 'M' | 'p' | 'S' | 'u'
            | 'U' | 'V' | 'w' | 'W' | 'y' | 'Y' | 'Z' | '%' => {
                spelled.push('%');
                // Parsing accepts one or two digits without a flag.
                if dash && writing {
                    spelled.push('-');
                }
                spelled.push(bare);
                continue;
            }
            other => return Err(unknown(&other.to_string())),
        };
        spelled.push_str(fixed);
    }
    Ok(spelled)
}

#[cfg(test)]
mod tests {
    use crate::query::dialect::testing::{error, expect};

    #[test]
    fn instants_are_written() {
        let at = "TIMESTAMP '1992-03-02 20:32:05.123456789'";
        for (format, expected) in [
            (
                "%a, %-d %B %Y - %I:%M:%S %p",
                "Mon, 2 March 1992 - 08:32:05 PM",
            ),
            ("%Y%m%d", "19920302"),
            ("%A %w %u %b %y %-m/%-d %-I", "Monday 1 1 Mar 92 3/2 8"),
            ("%g %f %n", "123 123456 123456789"),
            ("%j %-j %U %W %V %G", "062 62 09 09 10 1992"),
            ("%c|%x|%X", "1992-03-02 20:32:05|1992-03-02|20:32:05"),
            ("%z%Z 100%%", "+00 100%"),
        ] {
            expect(&[(&format!("strftime({at}, '{format}')"), expected)]);
        }
        expect(&[
            ("strftime('%d.%m.%Y', DATE '2024-02-29')", "29.02.2024"),
            ("strftime(NULL, '%Y')", "NULL"),
            ("strftime(DATE '2024-02-29', NULL)", "NULL"),
            (
                "strftime(arrow_cast('2024-07-01T12:00:00Z', 'Timestamp(Second, Some(\"Europe/Berlin\"))'), '%H %z %Z')",
                "14 +02 CEST",
            ),
        ]);
        assert!(error("SELECT strftime(DATE '2024-02-29', '%Q')").contains("%Q"));
    }

    #[test]
    fn texts_are_read() {
        expect(&[
            (
                "strptime('Wed, 1 January 1992 - 08:38:40 PM', '%a, %-d %B %Y - %I:%M:%S %p')",
                "1992-01-01T20:38:40",
            ),
            (
                "strptime('4/15/2023 10:56:00', '%-m/%-d/%Y %H:%M:%S')",
                "2023-04-15T10:56:00",
            ),
            ("strptime('2023-04-15', '%Y-%m-%d')", "2023-04-15T00:00:00"),
            (
                "strptime('2023-04-15 10', '%Y-%m-%d %H')",
                "2023-04-15T10:00:00",
            ),
            ("strptime('10:30', '%H:%M')", "1900-01-01T10:30:00"),
            (
                "strptime('2023-04-15 10:56:00.25', '%Y-%m-%d %H:%M:%S.%f')",
                "2023-04-15T10:56:00.250",
            ),
            (
                "strptime('2023-04-15 10:00 +02:00', '%Y-%m-%d %H:%M %z')",
                "2023-04-15T08:00:00Z",
            ),
            (
                "strptime('2023-04-15 10:00 +0230', '%Y-%m-%d %H:%M %z')",
                "2023-04-15T07:30:00Z",
            ),
            (
                "strptime('2023-04-15 10:00 Europe/Berlin', '%Y-%m-%d %H:%M %Z')",
                "2023-04-15T08:00:00Z",
            ),
            ("strptime('2024-060', '%Y-%j')", "2024-02-29T00:00:00"),
            ("strptime(NULL, '%Y')", "NULL"),
            ("strptime('2024', NULL)", "NULL"),
            ("try_strptime('yesterday', '%Y-%m-%d')", "NULL"),
        ]);
        assert!(error("SELECT strptime('yesterday', '%Y-%m-%d')").contains("does not fit"));
        assert!(error("SELECT strptime('2024', ['%Y', '%m'])").contains("try_strptime"));
    }
}
