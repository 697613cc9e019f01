//! Translates date parts and units of intervals.
//!
//! The part of an EXTRACT becomes one that DataFusion knows. An INTERVAL of a computed count, or of
//! quarters, becomes a call of a function. Other constant intervals stay, because DataFusion parses
//! them.

use datafusion::sql::sqlparser::ast::{DateTimeField, Expr, Interval};

/// Returns the part for DataFusion, without the quotes that DuckDB allows.
pub(super) fn part(field: &DateTimeField) -> Result<DateTimeField, String> {
    let written = field.to_string();
    let bare = written.trim_matches('\'').to_lowercase();
    match (known(&bare), field) {
        (Some(part), _) => Ok(part),
        (None, DateTimeField::Custom(name)) if name.quote_style.is_some() => Err(format!(
            "DataFusion extracts no {bare}; write what makes it of year(x), hour(x) or epoch(x)"
        )),
        (None, other) => Ok(other.clone()),
    }
}

fn known(part: &str) -> Option<DateTimeField> {
    Some(match part {
        "year" | "years" => DateTimeField::Year,
        "quarter" | "quarters" => DateTimeField::Quarter,
        "month" | "months" => DateTimeField::Month,
        "week" | "weeks" | "weekofyear" => DateTimeField::Week(None),
        "day" | "days" => DateTimeField::Day,
        "hour" | "hours" => DateTimeField::Hour,
        "minute" | "minutes" => DateTimeField::Minute,
        "second" | "seconds" => DateTimeField::Second,
        "millisecond" | "milliseconds" => DateTimeField::Millisecond,
        "microsecond" | "microseconds" => DateTimeField::Microsecond,
        "epoch" => DateTimeField::Epoch,
        "dow" | "dayofweek" | "weekday" => DateTimeField::Dow,
        "doy" | "dayofyear" => DateTimeField::Doy,
        "isodow" => DateTimeField::Isodow,
        "isoyear" => DateTimeField::Isoyear,
        _ => return None,
    })
}

/// Returns the function that makes the interval, or `None` if DataFusion parses it as it is.
pub(super) fn length(interval: &Interval) -> Result<Option<&'static str>, String> {
    use DateTimeField as Unit;
    let Some(unit) = &interval.leading_field else {
        return match interval.value.as_ref() {
            Expr::Value(_) => Ok(None),
            _ => Err(
                "an interval of a computed text has no unit; write INTERVAL (count) HOUR".into(),
            ),
        };
    };
    let constant = matches!(
        interval.value.as_ref(),
        Expr::Value(_) | Expr::UnaryOp { .. }
    );
    Ok(match unit {
        Unit::Quarter => Some("to_quarters"),
        _ if constant => None,
        Unit::Year | Unit::Years => Some("to_years"),
        Unit::Month | Unit::Months => Some("to_months"),
        Unit::Week(_) | Unit::Weeks => Some("to_weeks"),
        Unit::Day | Unit::Days => Some("to_days"),
        Unit::Hour | Unit::Hours => Some("to_hours"),
        Unit::Minute | Unit::Minutes => Some("to_minutes"),
        Unit::Second | Unit::Seconds => Some("to_seconds"),
        Unit::Millisecond | Unit::Milliseconds => Some("to_milliseconds"),
        Unit::Microsecond | Unit::Microseconds => Some("to_microseconds"),
        other => {
            return Err(format!(
                "an interval of a count of {other} is unknown; write YEAR, DAY or HOUR"
            ));
        }
    })
}
