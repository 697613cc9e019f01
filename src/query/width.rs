//! Buckets of time: where they begin and end.
//!
//! Buckets of one width cover all times without gap or overlap, and depend on nothing but the
//! width. Fixed widths count from 1970-01-01T00:00 UTC, weeks from Monday 1970-01-05, months from
//! January of the year 0. So quarters, years and decades begin as in the calendar.
//!
//! The arithmetic is Howard Hinnant's `chrono`-compatible low-level date algorithms.

const SECOND: i64 = 1_000_000;
const DAY: i64 = 86_400 * SECOND;
const WEEK: i64 = 7 * DAY;
/// The first Monday after the epoch.
const MONDAY: i64 = 4 * DAY;

/// Width of a bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Width {
    /// Microseconds, at least one.
    Fixed(i64),
    /// Weeks, which begin on Monday.
    Weeks(u32),
    /// Months of the calendar.
    Months(u32),
}

impl Width {
    /// Returns the start of the bucket that contains `micros`. The first bucket begins before the
    /// range of `i64`; its start is returned as `i64::MIN`.
    pub fn start_of(&self, micros: i64) -> i64 {
        let origin = match self {
            Width::Fixed(_) => 0,
            Width::Weeks(_) => MONDAY,
            Width::Months(count) => {
                let count = i64::from(*count).max(1);
                let month = month_of(micros.div_euclid(DAY));
                return first_day(month - month.rem_euclid(count)).saturating_mul(DAY);
            }
        };
        let into = i128::from(micros) - i128::from(origin);
        clamp(i128::from(micros) - into.rem_euclid(self.length()))
    }

    /// Returns the start of the next bucket after `start`, or `i64::MAX` if that is out of range.
    pub fn next(&self, start: i64) -> i64 {
        match self {
            Width::Fixed(_) | Width::Weeks(_) => clamp(i128::from(start) + self.length()),
            Width::Months(count) => {
                let month = month_of(start.div_euclid(DAY)) + i64::from(*count).max(1);
                first_day(month).saturating_mul(DAY)
            }
        }
    }

    /// Returns a width `count` times as wide, as far as numbers reach. Each bucket lies inside one
    /// of the wider buckets.
    pub fn times(&self, count: u32) -> Width {
        match self {
            Width::Fixed(micros) => Width::Fixed(micros.saturating_mul(i64::from(count))),
            Width::Weeks(weeks) => Width::Weeks(weeks.saturating_mul(count)),
            Width::Months(months) => Width::Months(months.saturating_mul(count)),
        }
    }

    /// Returns whether each bucket of this width lies inside one bucket of `coarser`, so that the
    /// latter can be computed from the former. For spans of 400 years and more it may return false
    /// where true is right.
    pub fn divides(&self, coarser: &Width) -> bool {
        let whole = |large: i128| large % self.length() == 0;
        match (self, coarser) {
            (Width::Fixed(_), Width::Fixed(_)) => whole(coarser.length()),
            (Width::Fixed(_), Width::Weeks(_)) => {
                whole(coarser.length()) && whole(i128::from(MONDAY))
            }
            // A month begins on any day, but always at midnight.
            (Width::Fixed(_), Width::Months(_)) => whole(i128::from(DAY)),
            (Width::Weeks(fine), Width::Weeks(coarse))
            | (Width::Months(fine), Width::Months(coarse)) => coarse % (*fine).max(1) == 0,
            (Width::Weeks(_), _) | (Width::Months(_), _) => false,
        }
    }

    /// Returns the length in microseconds, at least 1. For months it is an upper bound.
    fn length(&self) -> i128 {
        match self {
            Width::Fixed(micros) => i128::from((*micros).max(1)),
            Width::Weeks(count) => i128::from((*count).max(1)) * i128::from(WEEK),
            Width::Months(count) => i128::from((*count).max(1)) * 31 * i128::from(DAY),
        }
    }
}

fn clamp(micros: i128) -> i64 {
    match i64::try_from(micros) {
        Ok(micros) => micros,
        Err(_) if micros < 0 => i64::MIN,
        Err(_) => i64::MAX,
    }
}

/// Returns the month, counted from January of the year 0, of a day counted from 1970-01-01.
fn month_of(day: i64) -> i64 {
    // Counted from 0000-03-01 in eras of 400 years, so that the leap day is the last of its year.
    let day = day + 719_468;
    let era = day.div_euclid(146_097);
    let of_era = day.rem_euclid(146_097);
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let from_march = (5 * of_year + 2) / 153;
    (era * 400 + year) * 12 + from_march + 2
}

/// Returns the first day, counted from 1970-01-01, of a month counted from January of the year 0.
fn first_day(month: i64) -> i64 {
    let from_march = month - 2;
    let (years, month) = (from_march.div_euclid(12), from_march.rem_euclid(12));
    let (era, year) = (years.div_euclid(400), years.rem_euclid(400));
    let of_era = year * 365 + year / 4 - year / 100 + (153 * month + 2) / 5;
    era * 146_097 + of_era - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_lie_inside_buckets_of_a_multiple_width() {
        let widths = [Width::Fixed(7 * SECOND), Width::Weeks(2), Width::Months(3)];
        for width in widths {
            for count in [1, 4, 2_048] {
                let wide = width.times(count);
                for n in -40..40i64 {
                    let time = n * 97 * DAY + n * 12_345;
                    let (start, around) = (width.start_of(time), wide.start_of(time));
                    assert!(around <= start, "{width:?} {count} {time}");
                    let ends = (width.next(start), wide.next(around));
                    assert!(ends.0 <= ends.1, "{width:?} {count} {time}");
                }
            }
        }
    }
}
