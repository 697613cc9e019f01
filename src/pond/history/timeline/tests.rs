//! The sort in ranges, compared with a search through all subsequences, and the clocks of boards.

use super::*;
use proptest::prelude::*;

/// The first day of the readings in these tests, and the reading of a clock in 1970.
const FIRST: i64 = 20_000;
const IN_1970: i64 = -FIRST;

/// Versions with readings in days. Their numbers have gaps, as merges leave them.
struct Clocks(Vec<VersionInfo>);

impl Clocks {
    fn new(readings: &[i64]) -> Clocks {
        let info = |(n, reading): (u64, &i64)| VersionInfo {
            version: Version(n * 3 / 2),
            committed: Time::default(),
            clock: day(*reading),
            changes: 1,
        };
        Clocks((0..).zip(readings).map(info).collect())
    }

    fn newest(&self) -> VersionInfo {
        *self.0.last().unwrap()
    }

    /// Returns the believed ranges, and their readings.
    fn believed(&self, now: Option<Time>) -> (Believed, Vec<i64>) {
        let mut timeline = Timeline::default();
        timeline.advance(&self.newest(), self).unwrap();
        let believed = timeline.believed(now, self).unwrap();
        let dates = believed.date(&self.0);
        let readings = (dates.iter().zip(&self.0))
            .filter(|(dated, _)| dated.doubted.is_none())
            .map(|(_, info)| info.clock.sec / 86_400 - FIRST);
        let readings = readings.collect();
        (believed, readings)
    }

    /// Returns the position of the version that a date refers to.
    fn at(&self, date: i64, now: Option<i64>) -> Option<usize> {
        let (believed, _) = self.believed(now.map(day));
        let found = believed.at(day(date), self.newest().version, self);
        let found = found.unwrap()?;
        self.0.iter().position(|info| info.version == found)
    }
}

impl Versions for Clocks {
    fn last_at(&self, number: Version) -> FsResult<Option<VersionInfo>> {
        let end = self.0.partition_point(|info| info.version <= number);
        Ok(end.checked_sub(1).map(|at| self.0[at]))
    }

    fn list(&self, from: Version, to: Version) -> FsResult<Vec<VersionInfo>> {
        let within = |info: &&VersionInfo| (from..=to).contains(&info.version);
        Ok(self.0.iter().filter(within).copied().collect())
    }

    fn steps(&self, after: Option<Version>) -> FsResult<Vec<Version>> {
        let steps = self.0.windows(2).filter(|w| w[1].clock < w[0].clock);
        let steps = steps.map(|w| w[1].version);
        Ok(steps.filter(|v| after.is_none_or(|a| *v > a)).collect())
    }
}

fn day(n: i64) -> Time {
    Time {
        sec: (FIRST + n) * 86_400,
        nsec: 0,
    }
}

/// Returns the length of the longest subsequence that does not decrease, and the least reading
/// at the end of one of that length.
fn longest(readings: &[i64]) -> (usize, i64) {
    let mut ends: Vec<(usize, i64)> = Vec::new();
    for (n, reading) in readings.iter().enumerate() {
        let before = (0..n).filter(|m| readings[*m] <= *reading);
        let len = before.map(|m| ends[m].0).max().unwrap_or(0);
        ends.push((len + 1, *reading));
    }
    let most = ends.iter().map(|(len, _)| *len).max().unwrap_or(0);
    let least = ends.iter().filter(|(len, _)| *len == most).map(|e| e.1);
    (most, least.min().unwrap_or(0))
}

proptest! {
    #[test]
    fn the_longest_subsequence_is_believed(
        readings in prop::collection::vec(0..30_i64, 1..80),
        rising in 0..20_i64,
        cuts in prop::collection::vec(1..10_usize, 80),
        limit in prop::option::of(0..60_i64),
        early in prop::collection::vec(0..4_u8, 80),
        some_early: bool,
    ) {
        // Few steps back, or many, and some boots in 1970.
        let is_early = |n: usize| some_early && early[n] == 0;
        let mut readings: Vec<i64> = (0..).zip(&readings).map(|(n, r)| r + n * rising / 4).collect();
        for (n, reading) in readings.iter_mut().enumerate().filter(|(n, _)| is_early(*n)) {
            *reading = IN_1970 + n as i64 % 7;
        }
        let clocks = Clocks::new(&readings);
        if readings.iter().any(|reading| *reading >= 0) {
            readings.retain(|reading| *reading >= 0);
        }
        let (believed, found) = clocks.believed(limit.map(day));
        let within: Vec<i64> = match limit {
            Some(limit) => readings.iter().copied().filter(|r| *r <= limit).collect(),
            None => readings.clone(),
        };
        let (len, last) = longest(&within);
        prop_assert!(found.is_sorted());
        prop_assert_eq!(found.len(), len);
        prop_assert_eq!(found.last().copied().unwrap_or(last), last);
        // The same, a few versions at a time.
        let (mut timeline, mut upto) = (Timeline::default(), 0);
        for cut in cuts {
            upto = (upto + cut).min(clocks.0.len());
            timeline.advance(&clocks.0[upto - 1], &clocks).unwrap();
        }
        let again = timeline.believed(limit.map(day), &clocks).unwrap();
        prop_assert_eq!(&again.ranges.len(), &believed.ranges.len());
        prop_assert_eq!(again.date(&clocks.0), believed.date(&clocks.0));
        // Dates do not decrease, and lead to the last version that has them.
        let dates = believed.date(&clocks.0);
        prop_assert!(dates.is_sorted_by_key(|dated| dated.date));
        for date in 0..60 {
            let expected = dates.iter().rposition(|dated| dated.date <= day(date));
            prop_assert_eq!(clocks.at(date, limit), expected, "day {}", date);
        }
    }
}

#[test]
fn one_boot_with_the_clock_ahead_is_dated_by_the_next_version() {
    let clocks = Clocks::new(&[1, 2, 3, 2_000, 4, 5, 6]);
    assert_eq!(clocks.believed(None).1, [1, 2, 3, 4, 5, 6]);
    assert_eq!(
        (clocks.at(3, Some(7)), clocks.at(5, Some(7))),
        (Some(2), Some(5))
    );
    assert_eq!(
        (clocks.at(4, Some(7)), clocks.at(9, Some(9))),
        (Some(4), Some(6))
    );
}

#[test]
fn a_boot_in_1970_does_not_move_the_versions_before_it() {
    let boot = [IN_1970; 4];
    let clocks = Clocks::new(&[&[10, 11, 12], &boot[..], &[14, 15]].concat());
    assert_eq!(clocks.believed(None).1, [10, 11, 12, 14, 15]);
    assert_eq!(clocks.at(11, Some(16)), Some(1));
    assert_eq!(clocks.at(13, Some(16)), Some(2));
    // While the clock is still in 1970, dates that it has not reached lead to the right version.
    let clocks = Clocks::new(&[&[10, 11, 12], &boot[..]].concat());
    assert_eq!(
        (clocks.at(11, None), clocks.at(12, None)),
        (Some(1), Some(6))
    );
    // A pond that was made in 1970.
    let clocks = Clocks::new(&[&boot[..], &[14, 15], &boot[..1]].concat());
    assert_eq!(clocks.believed(None).1, [14, 15]);
    assert_eq!(Clocks::new(&boot).believed(None).1, boot);
}

#[test]
fn a_clock_that_jumps_ahead_and_back_is_found_out() {
    let clocks = Clocks::new(&[1, 1, 2, 900, 900, 901, 2, 3, 3, 4, 5]);
    assert_eq!(clocks.believed(None).1, [1, 1, 2, 2, 3, 3, 4, 5]);
    // A clock that is ahead and then in 1970.
    let clocks = Clocks::new(&[10, 11, 12, 900, IN_1970, 13, 14]);
    assert_eq!(clocks.believed(None).1, [10, 11, 12, 13, 14]);
}

#[test]
fn a_wrong_majority_gives_way_to_a_clock_that_is_right_now() {
    // Most versions were made with the clock ahead.
    let clocks = Clocks::new(&[1, 2, 900, 901, 902, 903, 3, 4]);
    assert_eq!(clocks.at(3, Some(5)), Some(6));
    assert_eq!(clocks.at(2, Some(5)), Some(1));
    assert_eq!(clocks.believed(Some(day(5))).1, [1, 2, 3, 4]);
}

#[test]
fn work_and_memory_go_with_the_steps_back() {
    let mut readings: Vec<i64> = (0..20_000).collect();
    readings.extend([90_000, 90_001]);
    readings.extend(20_000..40_000);
    let clocks = Clocks::new(&readings);
    let mut timeline = Timeline::default();
    timeline.advance(&clocks.newest(), &clocks).unwrap();
    assert!(
        timeline.runs.len() <= 3 && timeline.tails.len() <= 4,
        "{timeline:?}"
    );
    assert_eq!(
        timeline.newest().map(|(_, reading)| reading),
        Some(day(39_999))
    );
}
