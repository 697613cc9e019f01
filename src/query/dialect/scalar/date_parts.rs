//! Extracts date parts of instants: `year`, `month`, `day` and others.
//!
//! They take a timestamp, a date or a time, and return an integer, in the calendar of the
//! timestamp's own zone. Weeks are those of ISO 8601; `dayofweek` counts from Sunday 0, `isodow`
//! from Monday 1.

use datafusion::arrow::array::ArrayRef;
use datafusion::arrow::compute::{DatePart, cast, date_part};
use datafusion::arrow::datatypes::DataType;
use datafusion::error::Result;

use super::function::{Compute, ScalarFunction};
use super::timestamps::instant;
use crate::query::dialect::errors::count;

pub(super) fn functions() -> Vec<ScalarFunction> {
    vec![
        part("year", |a, _| of(a, DatePart::Year)),
        part("quarter", |a, _| of(a, DatePart::Quarter)),
        part("month", |a, _| of(a, DatePart::Month)),
        part("week", |a, _| of(a, DatePart::WeekISO)).with_aliases(&["weekofyear"]),
        part("day", |a, _| of(a, DatePart::Day)).with_aliases(&["dayofmonth"]),
        part("dayofweek", |a, _| of(a, DatePart::DayOfWeekSunday0)).with_aliases(&["weekday"]),
        part("isodow", |a, _| of(a, DatePart::DayOfWeekMonday1)),
        part("isoyear", |a, _| of(a, DatePart::YearISO)),
        part("dayofyear", |a, _| of(a, DatePart::DayOfYear)),
        part("hour", |a, _| of(a, DatePart::Hour)),
        part("minute", |a, _| of(a, DatePart::Minute)),
        part("second", |a, _| of(a, DatePart::Second)),
    ]
}

fn part(name: &'static str, compute: Compute) -> ScalarFunction {
    ScalarFunction::new(name, dated, |_| Ok(DataType::Int64), compute)
}

fn dated(types: &[DataType]) -> Result<Vec<DataType>> {
    match types {
        [DataType::Date32 | DataType::Date64 | DataType::Time32(_) | DataType::Time64(_)] => {
            Ok(types.to_vec())
        }
        [given] => Ok(vec![instant(given)?]),
        _ => Err(count("a timestamp", types)),
    }
}

fn of(args: &[ArrayRef], part: DatePart) -> Result<ArrayRef> {
    Ok(cast(&date_part(&args[0], part)?, &DataType::Int64)?)
}

#[cfg(test)]
mod tests {
    use crate::query::dialect::testing::expect;

    #[test]
    fn parts_of_an_instant() {
        // 2021-01-03 is the Sunday that ends ISO week 53 of 2020.
        let at = "TIMESTAMP '2021-01-03 04:05:06.789'";
        for (name, expected) in [
            ("year", "2021"),
            ("quarter", "1"),
            ("month", "1"),
            ("week", "53"),
            ("day", "3"),
            ("dayofweek", "0"),
            ("isodow", "7"),
            ("isoyear", "2020"),
            ("dayofyear", "3"),
            ("hour", "4"),
            ("minute", "5"),
            ("second", "6"),
        ] {
            expect(&[(&format!("{name}({at})"), expected)]);
            expect(&[(&format!("{name}(NULL)"), "NULL")]);
        }
    }

    #[test]
    fn dates_texts_and_zones() {
        expect(&[
            ("year(DATE '1992-09-20')", "1992"),
            ("dayofyear(DATE '2024-12-31')", "366"),
            ("month('2024-05-06 00:00:00')", "5"),
            (
                "hour(arrow_cast('2024-01-01T23:00:00Z', 'Timestamp(Second, Some(\"+02:00\"))'))",
                "1",
            ),
            (
                "day(arrow_cast('2024-01-01T23:00:00Z', 'Timestamp(Second, Some(\"+02:00\"))'))",
                "2",
            ),
            ("arrow_typeof(year(DATE '1992-09-20'))", "Int64"),
        ]);
    }
}
