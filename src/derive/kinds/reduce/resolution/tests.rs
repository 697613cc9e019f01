//! Tests of lengths of time, compared with the calendar of `jiff`.

use super::{Resolution, SECOND, WEEK};
use crate::query::Width;
use crate::resource::duration::DAY;
use jiff::civil::{Date, Weekday};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use proptest::prelude::*;

fn width(text: &str) -> Width {
    Resolution::new(text).unwrap().width()
}

#[test]
fn widths_of_old_documents_load() {
    for (text, expected) in [
        ("1h", 3_600),
        ("2h", 7_200),
        ("4h", 14_400),
        ("12h", 43_200),
        ("24h", 86_400),
        ("90m", 5_400),
        ("1 day", 86_400),
        ("1h 30m", 5_400),
        ("1h30min", 5_400),
        ("1.5h", 5_400),
        ("30d", 30 * 86_400),
        ("45 seconds", 45),
        ("1d 6hrs", 108_000),
    ] {
        assert_eq!(width(text), Width::Fixed(expected * SECOND), "{text}");
        assert_eq!(Resolution::new(text).unwrap().as_str(), text);
    }
    for text in ["1w", "7d", "1 week", "168h"] {
        assert_eq!(width(text), Width::Weeks(1), "{text}");
    }
    assert_eq!(width("14d"), Width::Weeks(2));
    for (text, months) in [
        ("1mo", 1),
        ("1M", 1),
        ("2 months", 2),
        ("1q", 3),
        ("1y", 12),
    ] {
        assert_eq!(width(text), Width::Months(months), "{text}");
    }
    assert_eq!(width("1y 6mo"), Width::Months(18));
    assert_eq!(width("1m"), Width::Fixed(60 * SECOND));
}

#[test]
fn invalid_texts_are_refused_with_a_hint() {
    for text in [
        "",
        "90x",
        "h",
        "1",
        "0h",
        "0mo",
        "-1h",
        " 1h",
        "1h ",
        "1.h",
        ".5h",
        "1h,2m",
        "5ns",
        "1/2h",
        "1.3333333333333333333s",
        "9999999999999y",
        "999999999999999d",
        "0.1mo",
    ] {
        let error = Resolution::new(text).unwrap_err().to_string();
        assert!(
            error.starts_with(&format!("{text:?} is not a resolution; ")),
            "{error}"
        );
    }
    for (text, help) in [
        ("90x", "write 15m, 1h, 1d, 1w, 1mo, 1q or 1y"),
        ("5ms", "one second is the finest, `1s`"),
        (
            "1mo 3d",
            "months, quarters and years do not add up with shorter units",
        ),
    ] {
        let error = Resolution::new(text).unwrap_err().to_string();
        assert_eq!(error, format!("{text:?} is not a resolution; {help}"));
    }
}

#[test]
fn a_width_divides_another_only_if_their_buckets_nest() {
    let yes = [
        ("1m", "90m"),
        ("1h", "1d"),
        ("1h", "1w"),
        ("1d", "1w"),
        ("1d", "1mo"),
        ("12h", "1y"),
        ("1mo", "1q"),
        ("1q", "1y"),
        ("1w", "2w"),
        ("1h", "1h"),
        ("2d", "2w"),
        ("1w", "1w"),
    ];
    let no = [
        ("1w", "1mo"),
        ("1mo", "1w"),
        ("5h", "1d"),
        ("7h", "1w"),
        ("2d", "1w"),
        ("2d", "1mo"),
        ("1mo", "30d"),
        ("1w", "30d"),
        ("2w", "3w"),
        ("2mo", "1q"),
        ("1d", "1h"),
        ("3d", "3w"),
    ];
    for (fine, coarse) in yes {
        assert!(width(fine).divides(&width(coarse)), "{fine} {coarse}");
    }
    for (fine, coarse) in no {
        assert!(!width(fine).divides(&width(coarse)), "{fine} {coarse}");
    }
}

#[test]
fn the_ends_of_time_saturate() {
    for text in ["1s", "7h", "1w", "3w", "1mo", "1q", "5y"] {
        let width = width(text);
        for at in [i64::MIN, i64::MIN + 1, i64::MAX - 1, i64::MAX] {
            let start = width.start_of(at);
            assert!(start <= at && width.next(start) >= at, "{text} {at}");
        }
    }
}

fn date(micros: i64) -> Date {
    let timestamp = Timestamp::from_microsecond(micros).unwrap();
    TimeZone::UTC.to_datetime(timestamp).date()
}

fn micros(date: Date) -> i64 {
    let timestamp = TimeZone::UTC.to_timestamp(date.at(0, 0, 0, 0)).unwrap();
    timestamp.as_microsecond()
}

/// Returns times from about the year -9000 to 9000.
fn times() -> impl Strategy<Value = i64> {
    prop_oneof![
        -345_000_000_000_000_000_i64..222_000_000_000_000_000,
        (-3_900_000_i64..2_500_000).prop_map(|day| day * DAY),
        (-3_900_000_i64..2_500_000).prop_map(|day| day * DAY - 1),
        -5_i64..5,
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn months_are_those_of_the_calendar(at in times()) {
        let date = date(at);
        let (year, month) = (date.year(), date.month());
        for (count, first) in [(1, month), (3, (month - 1) / 3 * 3 + 1), (12, 1)] {
            let start = Date::new(year, first, 1).unwrap();
            let width = Width::Months(count);
            prop_assert_eq!(width.start_of(at), micros(start));
            let next = start.checked_add((count as i32).months()).unwrap();
            prop_assert_eq!(width.next(micros(start)), micros(next));
        }
        let lustrum = Date::new(year.div_euclid(5) * 5, 1, 1).unwrap();
        prop_assert_eq!(Width::Months(60).start_of(at), micros(lustrum));
    }

    #[test]
    fn weeks_begin_on_monday(at in times()) {
        let date = date(at);
        let monday = date.checked_sub(i32::from(date.weekday().since(Weekday::Monday)).days());
        let monday = micros(monday.unwrap());
        prop_assert_eq!(Width::Weeks(1).start_of(at), monday);
        prop_assert_eq!(Width::Weeks(1).next(monday), monday + WEEK);
        let third = Width::Weeks(3).start_of(at);
        prop_assert_eq!((third - 4 * DAY).rem_euclid(3 * WEEK), 0);
        prop_assert!(third <= at && at < third + 3 * WEEK);
    }

    #[test]
    fn fixed_widths_count_from_the_epoch(at in times(), seconds in 1_i64..10_000_000) {
        let width = Width::Fixed(seconds * SECOND);
        let start = width.start_of(at);
        prop_assert_eq!(start.rem_euclid(seconds * SECOND), 0);
        prop_assert!(start <= at && at < width.next(start));
        prop_assert_eq!(width.start_of(start), start);
        prop_assert_eq!(Width::Fixed(DAY).start_of(at), micros(date(at)));
    }

    #[test]
    fn a_bucket_of_a_finer_width_lies_within_one_coarser_bucket(at in times(), i in 0_usize..12, j in 0_usize..12) {
        let all = ["1s", "1m", "7m", "1h", "5h", "1d", "2d", "1w", "2w", "1mo", "1q", "1y"];
        let (fine, coarse) = (width(all[i]), width(all[j]));
        if fine.divides(&coarse) {
            let start = fine.start_of(at);
            prop_assert_eq!(coarse.start_of(start), coarse.start_of(fine.next(start) - 1));
        }
    }
}
