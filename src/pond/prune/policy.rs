//! Selects the versions to keep, with the rules of restic's `forget`.
//!
//! In: versions with their dates, and rules. Out: the kept versions, each with the rule that keeps
//! it. Invariant: the newest version and every named version are kept; no rules keep everything.
//!
//! `hourly: n` keeps the newest version of each of the last `n` hours that have any, and the
//! other calendar rules do the same, in UTC and with weeks of ISO 8601. `within` keeps versions
//! that are no older than that before the newest version.
//!
//! The hour or day of a version whose clock reading is doubted is unknown. Such a version is
//! never the newest of a known hour or day, nor counted: between versions that a calendar rule
//! keeps, it keeps the newest of each hour or day that the doubted clock showed.

use crate::pond::history::Dated;
use crate::tinyfs::{Time, Version};
use jiff::civil::DateTime;
use jiff::tz::Offset;
use jiff::{Span, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Rules; a version is kept if any of them applies.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Policy {
    /// This number of the newest versions.
    pub keep_last: u64,
    /// The newest version of each hour, for this number of hours that have one.
    pub keep_hourly: u64,
    /// The same for days.
    pub keep_daily: u64,
    /// The same for weeks.
    pub keep_weekly: u64,
    /// The same for months.
    pub keep_monthly: u64,
    /// The same for years.
    pub keep_yearly: u64,
    /// All versions in this time before the newest version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep_within: Option<Within>,
    /// Tags whose versions are kept. Every tag keeps its version in any case: with these and no
    /// other rule, nothing else is kept.
    pub keep_tag: Vec<String>,
}

/// A length of time in restic's form: `2y5m7d3h`, of years, months, days and hours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct Within {
    years: u16,
    months: u16,
    days: u16,
    hours: u16,
}

impl std::str::FromStr for Within {
    type Err = String;

    fn from_str(text: &str) -> Result<Within, String> {
        let wrong = || {
            format!(
                "`{text}` is no length of time: it is given as 2y5m7d3h, in years, months, days and hours"
            )
        };
        let (mut within, mut digits) = (Within::default(), String::new());
        for letter in text.chars() {
            if letter.is_ascii_digit() {
                digits.push(letter);
                continue;
            }
            let number = digits.parse().map_err(|_| wrong())?;
            digits.clear();
            let unit = match letter {
                'y' => &mut within.years,
                'm' => &mut within.months,
                'd' => &mut within.days,
                'h' => &mut within.hours,
                _ => return Err(wrong()),
            };
            *unit = number;
        }
        match digits.is_empty() && within != Within::default() {
            true => Ok(within),
            false => Err(wrong()),
        }
    }
}

impl TryFrom<String> for Within {
    type Error = String;

    fn try_from(text: String) -> Result<Within, String> {
        text.parse()
    }
}

impl From<Within> for String {
    fn from(within: Within) -> String {
        let units = [
            (within.years, 'y'),
            (within.months, 'm'),
            (within.days, 'd'),
            (within.hours, 'h'),
        ];
        let given = units.iter().filter(|(number, _)| *number > 0);
        given
            .map(|(number, unit)| format!("{number}{unit}"))
            .collect()
    }
}

impl Within {
    /// Returns the time this much before `time`; `None` if no calendar reaches back so far.
    fn before(self, time: DateTime) -> Option<DateTime> {
        // The setters without `try_` panic on more than 19,998 years.
        let span = Span::new()
            .try_years(self.years)
            .and_then(|span| span.try_months(self.months))
            .and_then(|span| span.try_days(self.days))
            .and_then(|span| span.try_hours(self.hours));
        time.checked_sub(span.ok()?).ok()
    }
}

/// The unit of a calendar rule: versions with the same number are of one hour, day or the like.
type Period = fn(&DateTime) -> (i16, i16);

impl Policy {
    /// Returns whether a rule depends on the dates of versions.
    pub fn goes_by_time(&self) -> bool {
        let counts = [
            self.keep_hourly,
            self.keep_daily,
            self.keep_weekly,
            self.keep_monthly,
            self.keep_yearly,
        ];
        self.keep_within.is_some() || counts.iter().any(|count| *count > 0)
    }

    /// Returns whether there is any rule.
    pub fn is_given(&self) -> bool {
        *self != Policy::default()
    }

    /// Returns the kept versions with the reasons. `versions` are in ascending order, `tags` are
    /// names of some.
    pub(super) fn kept(
        &self,
        versions: &[Dated],
        tags: &[(String, Version)],
    ) -> BTreeMap<Version, Vec<String>> {
        let mut kept: BTreeMap<Version, Vec<String>> = BTreeMap::new();
        let mut keep = |version: Version, why: String| kept.entry(version).or_default().push(why);
        let Some(newest) = versions.last() else {
            return kept;
        };
        keep(newest.version, "the newest".into());
        for (name, version) in tags {
            keep(*version, format!("tag {name}"));
        }
        if !self.is_given() {
            versions
                .iter()
                .for_each(|info| keep(info.version, "no rule".into()));
            return kept;
        }
        let last = usize::try_from(self.keep_last).unwrap_or(usize::MAX);
        for info in versions.iter().rev().take(last) {
            keep(info.version, "last".into());
        }
        if let Some(within) = self.keep_within {
            let since = within.before(by_the_clock(newest.date));
            for dated in versions {
                let time = by_the_clock(dated.date);
                if since.as_ref().is_none_or(|since| time >= *since) {
                    keep(dated.version, "within".into());
                }
            }
        }
        let rules: [(u64, &str, Period); 5] = [
            (self.keep_hourly, "hourly", |t| {
                (t.year(), t.day_of_year() * 24 + i16::from(t.hour()))
            }),
            (self.keep_daily, "daily", |t| (t.year(), t.day_of_year())),
            (self.keep_weekly, "weekly", |t| {
                let week = t.date().iso_week_date();
                (week.year(), week.week().into())
            }),
            (self.keep_monthly, "monthly", |t| {
                (t.year(), t.month().into())
            }),
            (self.keep_yearly, "yearly", |t| (t.year(), 0)),
        ];
        for (most, name, period) in rules {
            let (mut last, mut doubted, mut left) = (None, None, most);
            for dated in versions.iter().rev() {
                if left == 0 {
                    break;
                }
                let this = Some(period(&by_the_clock(dated.doubted.unwrap_or(dated.date))));
                if dated.doubted.is_some() {
                    if this != doubted {
                        keep(dated.version, format!("{name}, undated"));
                    }
                    doubted = this;
                    continue;
                }
                if this != last {
                    keep(dated.version, name.into());
                    left -= 1;
                }
                (last, doubted) = (this, None);
            }
        }
        kept
    }
}

/// Converts a time to UTC. A time beyond the calendar becomes its end.
fn by_the_clock(time: Time) -> DateTime {
    let timestamp = Timestamp::from_microsecond(time.micros());
    Offset::UTC.to_datetime(timestamp.unwrap_or(Timestamp::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns `n` versions, `minutes` apart, the first at 2026-01-01T00:00:00Z.
    fn versions(n: u64, minutes: u64) -> Vec<Dated> {
        let dated = |v| Dated {
            version: Version(v),
            date: Time::from_micros((1_767_225_600 + (v * minutes * 60) as i64) * 1_000_000),
            doubted: None,
        };
        (0..n).map(dated).collect()
    }

    fn kept(policy: Policy, versions: &[Dated]) -> Vec<u64> {
        policy.kept(versions, &[]).keys().map(|v| v.0).collect()
    }

    #[test]
    fn calendar_rules_keep_the_newest_of_each_period() {
        let all = versions(100, 30);
        let hourly = Policy {
            keep_hourly: 3,
            ..Policy::default()
        };
        assert_eq!(kept(hourly, &all), [95, 97, 99]);
        let daily = Policy {
            keep_daily: 10,
            ..Policy::default()
        };
        // Two days and two hours have 48, 48 and 4 versions.
        assert_eq!(kept(daily, &all), [47, 95, 99]);
        let both = Policy {
            keep_last: 2,
            keep_yearly: 1,
            ..Policy::default()
        };
        assert_eq!(kept(both, &all), [98, 99]);
    }

    #[test]
    fn lengths_of_time_are_those_of_restic() {
        let all = versions(100, 60);
        let within = |text: &str| Policy {
            keep_within: Some(text.parse().unwrap()),
            ..Policy::default()
        };
        assert_eq!(kept(within("3h"), &all), [96, 97, 98, 99]);
        assert_eq!(kept(within("1d1h"), &all).len(), 26);
        assert_eq!(kept(within("1y"), &all).len(), 100);
        // Further back than any calendar.
        for long in ["2027y", "20000y", "65535y65535m65535d65535h"] {
            assert_eq!(kept(within(long), &all).len(), 100, "{long}");
        }
        for wrong in ["", "3", "h", "3x", "-1h", "1h2"] {
            assert!(wrong.parse::<Within>().is_err(), "{wrong}");
        }
        assert_eq!(
            String::from("2y5m7d3h".parse::<Within>().unwrap()),
            "2y5m7d3h"
        );
    }

    #[test]
    fn names_keep_their_versions_and_nothing_said_keeps_all() {
        let all = versions(10, 1);
        let tags = [("a".to_string(), Version(3)), ("b".to_string(), Version(4))];
        let one = Policy {
            keep_last: 1,
            ..Policy::default()
        };
        let numbers = |policy: &Policy| -> Vec<u64> {
            policy.kept(&all, &tags).keys().map(|v| v.0).collect()
        };
        assert_eq!(numbers(&one), [3, 4, 9]);
        let names_only = Policy {
            keep_tag: vec!["a".into()],
            ..Policy::default()
        };
        assert_eq!(numbers(&names_only), [3, 4, 9]);
        assert_eq!(numbers(&Policy::default()).len(), 10);
    }

    #[test]
    fn doubted_versions_stand_for_no_day_and_take_the_place_of_none() {
        // Four days of 24 versions, and a wrong clock from the 30th to the 40th hour: two days by
        // its own readings.
        let mut all = versions(96, 60);
        let known = all[40].date;
        for (hour, dated) in (0..).zip(&mut all[30..40]) {
            dated.date = known;
            dated.doubted = Some(Time::from_micros(
                (1_924_991_999 + hour * 3_600) * 1_000_000,
            ));
        }
        let daily = Policy {
            keep_daily: 4,
            ..Policy::default()
        };
        assert_eq!(kept(daily, &all), [23, 30, 39, 47, 71, 95]);
        let within = Policy {
            keep_within: Some("2d8h".parse().unwrap()),
            ..Policy::default()
        };
        assert_eq!(kept(within, &all).first(), Some(&30));
    }
}
