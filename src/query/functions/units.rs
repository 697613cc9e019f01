//! Parts of instants and units of intervals, as the grammar names them.
//!
//! In: the part of an EXTRACT or the unit of an INTERVAL. Out: the part that DataFusion knows, or the
//! function that makes an interval of a count. A constant interval is DataFusion's own to read.

use datafusion::sql::sqlparser::ast::{DateTimeField, Expr, Interval};

/// The part that DataFusion extracts, without the quotes that DuckDB allows.
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

/// The function that makes an interval of a computed count, or none when DataFusion reads it as it is.
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
