//! Chooses the ticks and labels of the time axis, in the calendar of UTC.
//!
//! Invariants: labels do not touch each other. A label and its context together identify the tick.

use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::Offset;

const SECOND: i64 = 1_000_000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;
/// A Monday, from which weeks are counted.
const MONDAY: i64 = 4 * DAY;

/// The calendar ends before this year.
const YEARS: i64 = 10_000;

/// Least distance between two labels, in pixels.
const BETWEEN: f64 = 18.0;

/// A labelled time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Time {
    /// Microseconds since 1970 UTC.
    pub at: i64,
    /// Time of day, day, month or year, by the distance of the ticks.
    pub label: String,
    /// What the label does not state: the date or the year.
    pub context: String,
}

/// Distance between two ticks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Micros(i64),
    Months(i64),
}

impl Step {
    /// Returns all steps, shortest first.
    fn all() -> impl Iterator<Item = Step> {
        let fractions = (0..6).flat_map(|power| [1, 2, 5].map(|part| part * 10i64.pow(power)));
        let seconds = [1, 2, 5, 10, 15, 30].map(|count| count * SECOND);
        let minutes = [1, 2, 5, 10, 15, 30].map(|count| count * MINUTE);
        let hours = [1, 2, 3, 6, 12].map(|count| count * HOUR);
        let days = [1, 2, 7, 14].map(|count| count * DAY);
        let years = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000];
        let months = [1, 2, 3, 6]
            .into_iter()
            .chain(years.map(|count| count * 12));
        fractions
            .chain(seconds)
            .chain(minutes)
            .chain(hours)
            .chain(days)
            .map(Step::Micros)
            .chain(months.map(Step::Months))
    }

    /// Returns the least length of the step in microseconds.
    fn micros(self) -> i64 {
        match self {
            Step::Micros(micros) => micros,
            Step::Months(months) => months * 28 * DAY,
        }
    }

    /// Returns the format of the label.
    fn label(self) -> &'static str {
        match self {
            Step::Micros(micros) if micros < SECOND / 1000 => "%H:%M:%S%.6f",
            Step::Micros(micros) if micros < SECOND => "%H:%M:%S%.3f",
            Step::Micros(micros) if micros < MINUTE => "%H:%M:%S",
            Step::Micros(micros) if micros < DAY => "%H:%M",
            Step::Micros(_) => "%-d %b",
            Step::Months(months) if months < 12 => "%b",
            Step::Months(_) => "%Y",
        }
    }

    /// Returns the format of the context.
    fn context(self) -> &'static str {
        match self {
            Step::Micros(micros) if micros < DAY => "%Y-%m-%d",
            Step::Months(months) if months >= 12 => "",
            _ => "%Y",
        }
    }

    /// Returns the ticks between `from` and `to`.
    fn ticks(self, from: i64, to: i64) -> Vec<i64> {
        match self {
            Step::Micros(step) => {
                let first = if step % (7 * DAY) == 0 { MONDAY } else { 0 };
                let start = from.saturating_add((first - from).rem_euclid(step));
                let counted = (0..).map(|count| start.saturating_add(step.saturating_mul(count)));
                counted
                    .take_while(|&at| at <= to && at < i64::MAX)
                    .collect()
            }
            Step::Months(step) => {
                let Some(date) = civil(from) else {
                    return Vec::new();
                };
                let month = i64::from(date.year()) * 12 + i64::from(date.month()) - 1;
                let start = month.div_euclid(step);
                // At the beginning of the calendar the first month may start before it.
                (start..)
                    .map(|count| count * step)
                    .take_while(|&month| month < YEARS * 12)
                    .filter_map(month_start)
                    .skip_while(|&at| at < from)
                    .take_while(|&at| at <= to)
                    .collect()
            }
        }
    }
}

/// Converts microseconds to a date and time in UTC.
fn civil(micros: i64) -> Option<DateTime> {
    let time = Timestamp::from_microsecond(micros).ok()?;
    Some(Offset::UTC.to_datetime(time))
}

/// Returns the start of a month, given its number since the year 0.
fn month_start(month: i64) -> Option<i64> {
    let year = i16::try_from(month.div_euclid(12)).ok()?;
    let month = i8::try_from(month.rem_euclid(12) + 1).ok()?;
    let start = Date::new(year, month, 1)
        .ok()?
        .to_datetime(jiff::civil::Time::midnight());
    Some(Offset::UTC.to_timestamp(start).ok()?.as_microsecond())
}

/// Returns the ticks of a time axis of `pixels`; `measure` returns the width of a label in pixels.
pub(super) fn ticks(from: i64, to: i64, pixels: f64, measure: impl Fn(&str) -> f64) -> Vec<Time> {
    // A wide label: a day of two digits in a wide month.
    let sample = civil(257 * DAY).unwrap_or_default();
    // The loss of fractions of a microsecond does not change the number of labels.
    let span = to.saturating_sub(from).max(1) as f64;
    let fits = |step: &Step| {
        let label = measure(&sample.strftime(step.label()).to_string());
        step.micros() as f64 / span * pixels >= label + BETWEEN
    };
    let Some(step) = Step::all().find(fits) else {
        return Vec::new();
    };
    let tick = |at| {
        let time = civil(at)?;
        Some(Time {
            at,
            label: time.strftime(step.label()).to_string(),
            context: time.strftime(step.context()).to_string(),
        })
    };
    step.ticks(from, to).into_iter().filter_map(tick).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2024-02-28 00:00 UTC.
    const START: i64 = 1_709_078_400 * SECOND;

    fn shown(from: i64, to: i64) -> Vec<(String, String)> {
        let ticks = ticks(from, to, 800.0, |label| label.len() as f64 * 7.0);
        ticks.into_iter().map(|t| (t.label, t.context)).collect()
    }

    fn texts(from: i64, to: i64) -> Vec<String> {
        shown(from, to)
            .into_iter()
            .map(|(label, _)| label)
            .collect()
    }

    #[test]
    fn ticks_are_at_calendar_positions() {
        assert_eq!(
            texts(START, START + 40 * MINUTE)[..3],
            ["00:00", "00:05", "00:10"]
        );
        assert_eq!(texts(START + 1, START + 9 * HOUR)[..2], ["01:00", "02:00"]);
        assert_eq!(
            texts(START, START + 5 * DAY)[..3],
            ["00:00", "12:00", "00:00"]
        );
        // Across the 29th of February.
        assert_eq!(
            texts(START, START + 9 * DAY)[..3],
            ["28 Feb", "29 Feb", "1 Mar"]
        );
        assert_eq!(texts(START, START + 300 * DAY)[..2], ["Mar", "Apr"]);
        assert_eq!(texts(START, START + 4500 * DAY)[..2], ["2025", "2026"]);
        assert_eq!(texts(START, START + SECOND)[1], "00:00:00.200");
    }

    #[test]
    fn weeks_begin_on_mondays() {
        // 2024-03-04 is a Monday.
        assert_eq!(texts(START, START + 80 * DAY)[0], "4 Mar");
    }

    #[test]
    fn the_context_states_what_the_label_omits() {
        let days = shown(START, START + 2 * DAY);
        assert!(
            days.contains(&("00:00".into(), "2024-02-29".into())),
            "{days:?}"
        );
        let months = shown(START - 100 * DAY, START + 200 * DAY);
        assert!(
            months.contains(&("Jan".into(), "2024".into())),
            "{months:?}"
        );
    }

    #[test]
    fn times_before_1970_and_at_the_ends_of_the_calendar_have_ticks() {
        assert_eq!(texts(-DAY - 1, -DAY + 30 * MINUTE)[0], "00:00");
        let (first, last) = (Timestamp::MIN.as_second(), Timestamp::MAX.as_second());
        let (first, last) = (first * SECOND, last * SECOND);
        assert!(texts(first, last).len() > 3);
        assert_eq!(texts(last - 1, last).len(), 2);
    }
}
