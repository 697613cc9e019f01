//! Decides which readings of the clock are believed, and dates the versions by them.
//!
//! Role: date versions although the clock may have been wrong for some of them. In: the reading
//! of the clock at each version. Out: dates, and the version of a date. Invariant: dates never
//! decrease from one version to a later one; where no reading contradicts another, the date of a
//! version is its reading.
//!
//! Versions are made one after another, so a reading that is later than that of a later version
//! contradicts it: one of the two is wrong. Believed is the longest subsequence of versions whose
//! readings do not decrease; of two that are equally long, the one whose last reading is earlier.
//! It is maintained by patience sorting, in ranges of versions: memory and work grow with the
//! number of times that the clock stepped back. A reading before [`FLOOR`] is not believed, unless
//! the pond has no other.
//!
//! A version that is not believed was made before the next one that is, and has its date.

use crate::index::VersionInfo;
use crate::tinyfs::{FsResult, Time, Version};

/// No version was committed before 2020-01-01T00:00:00Z: a clock without a battery starts in
/// 1970, 1980 or 2000.
const FLOOR: Time = Time {
    sec: 1_577_836_800,
    nsec: 0,
};
/// Versions that are read in one batch where the clock stepped back.
const PAGE: u64 = 1_000;

/// The source of versions.
pub(super) trait Versions {
    /// Returns the last version at or before a number.
    fn last_at(&self, number: Version) -> FsResult<Option<VersionInfo>>;
    /// Returns the versions in a range of numbers, in order.
    fn list(&self, from: Version, to: Version) -> FsResult<Vec<VersionInfo>>;
    /// Returns the versions after `after` at which the clock read less than at the previous one, in
    /// order.
    fn steps(&self, after: Option<Version>) -> FsResult<Vec<Version>>;
}

/// Consecutive versions, each of which follows the one before it in its longest subsequence.
#[derive(Clone, Copy, Debug)]
struct Run {
    first: Version,
    last: Version,
    /// The version that the first of them follows.
    before: Option<Version>,
}

/// Consecutive versions in the list of tails. A tail is the version with the earliest reading of
/// those that end a longest subsequence of some length. Tails are sorted by length, and thereby
/// by reading.
#[derive(Clone, Copy, Debug)]
struct Tails {
    first: Version,
    last: Version,
    /// The reading of the last version, which is the latest.
    reading: Time,
}

/// The state of the patience sort.
#[derive(Debug, Default)]
pub(in crate::pond) struct Timeline {
    /// The last version that was processed.
    upto: Option<Version>,
    /// Whether any reading is at or after [`FLOOR`], so that earlier ones are left out.
    has_plausible: bool,
    /// All versions except those that are left out, in order.
    runs: Vec<Run>,
    tails: Vec<Tails>,
}

/// The versions that are believed: ranges of numbers, in order.
#[derive(Debug)]
pub(super) struct Believed {
    ranges: Vec<(Version, Version)>,
    /// The lower bound of the dates after the last range.
    end: Option<Time>,
}

/// A version and its date.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::pond) struct Dated {
    /// The version.
    pub version: Version,
    /// Its date.
    pub date: Time,
    /// The reading of the clock, if it is not believed.
    pub doubted: Option<Time>,
}

impl Timeline {
    /// Adds the versions up to `newest` that were made since the last call.
    pub(super) fn advance(&mut self, newest: &VersionInfo, all: &dyn Versions) -> FsResult<()> {
        if self.upto.is_some_and(|upto| upto >= newest.version) {
            return Ok(());
        }
        let had_plausible = self.has_plausible;
        self.advance_by_steps(newest, all)?;
        if self.has_plausible && !had_plausible {
            *self = Timeline {
                has_plausible: true,
                ..Timeline::default()
            };
            self.advance_by_steps(newest, all)?;
        }
        Ok(())
    }

    fn advance_by_steps(&mut self, newest: &VersionInfo, all: &dyn Versions) -> FsResult<()> {
        let steps = all.steps(self.upto)?;
        for step in steps.into_iter().filter(|step| *step <= newest.version) {
            if let Some(before) = step.0.checked_sub(1)
                && let Some(end) = all.last_at(Version(before))?
            {
                self.take_rising(&end, all)?;
            }
            let Some(stepped) = all.last_at(step)? else {
                continue;
            };
            self.insert(&stepped, all)?;
        }
        self.take_rising(newest, all)
    }

    /// Leaves out the versions up to `end`, whose readings do not decrease, that are before
    /// [`FLOOR`].
    fn leave_out(&mut self, end: &VersionInfo, all: &dyn Versions) -> FsResult<()> {
        let first = Version(self.upto.map_or(0, |upto| upto.0.saturating_add(1)));
        let before = match end.clock < FLOOR {
            true => Some(*end),
            false => {
                let just_before = Time::from_micros(FLOOR.micros() - 1);
                let plausible = first_later(first, end.version, just_before, all)?;
                last_within(first, plausible, all)?
            }
        };
        if let Some(before) = before {
            self.upto = Some(before.version);
        }
        Ok(())
    }

    /// Adds the versions up to `end`, whose readings do not decrease.
    fn take_rising(&mut self, end: &VersionInfo, all: &dyn Versions) -> FsResult<()> {
        if self.upto.is_some_and(|upto| upto >= end.version) {
            return Ok(());
        }
        if self.has_plausible && (self.tails.is_empty() || !self.ends_with_newest()) {
            self.leave_out(end, all)?;
        }
        self.has_plausible |= end.clock >= FLOOR;
        let mut from = self.upto.map_or(0, |upto| upto.0.saturating_add(1));
        // Versions whose readings are before that of the last tail are inserted one by one.
        while !self.ends_with_newest() && from <= end.version.0 {
            let to = from.saturating_add(PAGE - 1).min(end.version.0);
            for info in all.list(Version(from), Version(to))? {
                self.insert(&info, all)?;
                if self.ends_with_newest() {
                    break;
                }
            }
            from = to + 1;
        }
        if self.upto.is_some_and(|upto| upto >= end.version) {
            return Ok(());
        }
        match (self.runs.last_mut(), self.tails.last_mut()) {
            (Some(run), Some(tails)) => {
                run.last = end.version;
                tails.last = end.version;
                tails.reading = end.clock;
            }
            _ => {
                let (first, last) = (Version(0), end.version);
                self.runs.push(Run {
                    first,
                    last,
                    before: None,
                });
                self.tails.push(Tails {
                    first,
                    last,
                    reading: end.clock,
                });
            }
        }
        self.upto = Some(end.version);
        Ok(())
    }

    /// Adds one version: it replaces the first tail with a later reading.
    fn insert(&mut self, info: &VersionInfo, all: &dyn Versions) -> FsResult<()> {
        let is_plausible = info.clock >= FLOOR;
        if self.has_plausible && !is_plausible {
            self.upto = Some(info.version);
            return Ok(());
        }
        self.has_plausible |= is_plausible;
        let at = self.tails.partition_point(|t| t.reading <= info.clock);
        let mut pieces = Vec::with_capacity(3);
        let new = Tails {
            first: info.version,
            last: info.version,
            reading: info.clock,
        };
        let later = self.tails.get(at).copied();
        let (mut from, mut before) = (at, None);
        if let Some(tails) = later {
            let replaced = first_later(tails.first, tails.last, info.clock, all)?;
            if let Some(earlier) = last_within(tails.first, replaced, all)? {
                before = Some(earlier.version);
                pieces.push(Tails {
                    first: tails.first,
                    last: earlier.version,
                    reading: earlier.clock,
                });
            }
            pieces.push(new);
            if replaced < tails.last {
                pieces.push(Tails {
                    first: Version(replaced.0 + 1),
                    ..tails
                });
            }
        } else {
            pieces.push(new);
        }
        if before.is_none()
            && let Some(left) = at.checked_sub(1).and_then(|at| self.tails.get(at))
        {
            before = Some(left.last);
            pieces.insert(0, *left);
            from = at - 1;
        }
        let follows = before.is_some() && before == self.upto;
        if follows && let [tails, new, ..] = pieces.as_mut_slice() {
            new.first = tails.first;
            pieces.remove(0);
        }
        self.tails
            .splice(from..at + usize::from(later.is_some()), pieces);
        match self.runs.last_mut() {
            Some(run) if follows => run.last = info.version,
            _ => self.runs.push(Run {
                first: info.version,
                last: info.version,
                before,
            }),
        }
        self.upto = Some(info.version);
        Ok(())
    }

    /// Returns whether the version that was added last has the latest reading of all tails.
    fn ends_with_newest(&self) -> bool {
        self.tails.last().map(|tails| tails.last) == self.upto
    }

    /// Returns the last version that is believed, and its reading.
    pub(super) fn newest(&self) -> Option<(Version, Time)> {
        self.tails.last().map(|tails| (tails.last, tails.reading))
    }

    /// Returns the versions that are believed. Where the clock is known to be right `now`, no later
    /// reading is.
    pub(super) fn believed(&self, now: Option<Time>, all: &dyn Versions) -> FsResult<Believed> {
        let mut next = self.newest();
        if let Some(now) = now {
            let at = self.tails.partition_point(|tails| tails.reading <= now);
            let mut last = None;
            if let Some(tails) = self.tails.get(at) {
                let later = first_later(tails.first, tails.last, now, all)?;
                last = last_within(tails.first, later, all)?.map(|info| (info.version, info.clock));
            }
            let left = at.checked_sub(1).and_then(|at| self.tails.get(at));
            next = last.or(left.map(|tails| (tails.last, tails.reading)));
        }
        let end = next.map(|(_, reading)| reading).max(now);
        let (mut ranges, mut next) = (Vec::new(), next.map(|(version, _)| version));
        while let Some(last) = next {
            let at = self.runs.partition_point(|run| run.last < last);
            let Some(run) = self.runs.get(at) else {
                break;
            };
            ranges.push((run.first, last));
            next = run.before;
        }
        ranges.reverse();
        Ok(Believed { ranges, end })
    }
}

impl Believed {
    /// Returns the last version with a date of `time` or before; `newest` is the last of all.
    pub(super) fn at(
        &self,
        time: Time,
        newest: Version,
        all: &dyn Versions,
    ) -> FsResult<Option<Version>> {
        if self.end.is_none_or(|end| time >= end) {
            return Ok(Some(newest));
        }
        // Finds the first range that ends later.
        let (mut low, mut high) = (0, self.ranges.len());
        while low < high {
            let middle = low + (high - low) / 2;
            let last = self.ranges.get(middle).map(|(_, last)| *last);
            let last = last.map(|last| all.last_at(last)).transpose()?.flatten();
            match last.is_some_and(|last| last.clock <= time) {
                true => low = middle + 1,
                false => high = middle,
            }
        }
        if let Some((first, last)) = self.ranges.get(low).copied() {
            let later = first_later(first, last, time, all)?;
            if let Some(found) = last_within(first, later, all)? {
                return Ok(Some(found.version));
            }
        }
        let before = low.checked_sub(1).and_then(|at| self.ranges.get(at));
        Ok(before.map(|(_, last)| *last))
    }

    /// Returns the dates of `versions`, which are in order and up to the newest.
    pub(super) fn date(&self, versions: &[VersionInfo]) -> Vec<Dated> {
        let mut ranges = self.ranges.iter().rev().peekable();
        let mut next = self.end;
        let mut dated: Vec<Dated> = (versions.iter().rev())
            .map(|info| {
                while ranges.next_if(|(first, _)| *first > info.version).is_some() {}
                let believed = ranges.peek().is_some_and(|(_, last)| info.version <= *last);
                if believed {
                    next = Some(info.clock);
                }
                Dated {
                    version: info.version,
                    date: next.unwrap_or(info.clock),
                    doubted: (!believed).then_some(info.clock),
                }
            })
            .collect();
        dated.reverse();
        dated
    }
}

/// Returns the first version in `first..=last` with a reading later than `time`. The readings do
/// not decrease, and that of `last` is later.
fn first_later(first: Version, last: Version, time: Time, all: &dyn Versions) -> FsResult<Version> {
    let (mut low, mut high) = (first.0, last.0);
    while low < high {
        let middle = low + (high - low) / 2;
        let info = all.last_at(Version(middle))?;
        let is_later = info.is_some_and(|info| info.version >= first && info.clock > time);
        match is_later {
            true => high = middle,
            false => low = middle + 1,
        }
    }
    Ok(Version(high))
}

/// Returns the last version from `first` on and before `end`.
fn last_within(first: Version, end: Version, all: &dyn Versions) -> FsResult<Option<VersionInfo>> {
    let Some(before) = end.0.checked_sub(1) else {
        return Ok(None);
    };
    let found = all.last_at(Version(before))?;
    Ok(found.filter(|info| info.version >= first))
}

#[cfg(test)]
mod tests;
