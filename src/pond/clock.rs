//! Detects a wrong clock of the machine.
//!
//! A board without a battery starts in 1970, or years ahead, until it gets the time from the
//! network. Each version records the reading of the clock; [`history`](super::history) decides
//! later which readings to believe. Two cases are detected at once: the clock is behind an
//! existing version ([`Behind`]), or it has leapt ahead ([`Leaps`]), rightly or wrongly.

use crate::index::VersionInfo;
use crate::oplog::Commit;
use crate::tinyfs::{Changes, Node, Time, Version};
use parking_lot::Mutex;
use std::fmt;
use std::time::{Duration, Instant};

/// A clock that gains more than this on the monotonic clock has leapt, in microseconds.
const LEAP: i64 = 30 * 86_400 * 1_000_000;
/// How long a clock that has leapt must run on before irreversible work relies on it.
const STEADY: Duration = Duration::from_secs(86_400);

/// A clock that is behind: it shows an earlier time than a version has recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Behind {
    /// The current reading of the clock.
    pub now: Time,
    /// The version.
    pub version: Version,
    /// The reading of the clock when that version was made.
    pub reading: Time,
}

impl fmt::Display for Behind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (now, reading) = (seconds(self.now), seconds(self.reading));
        let version = self.version;
        write!(
            f,
            "the clock is behind: it says {now}, and version {version} was made at {reading}"
        )
    }
}

/// Formats a time as RFC 3339 in UTC, to the second; beyond the year 9999 as a number of seconds.
fn seconds(time: Time) -> String {
    match jiff::Timestamp::from_second(time.sec) {
        Ok(time) => time.to_string(),
        Err(_) => time.sec.to_string(),
    }
}

/// Detects that the clock leaps ahead, between two versions or while the pond is open.
#[derive(Debug)]
pub(super) struct Leaps(Mutex<Noted>);

#[derive(Debug)]
struct Noted {
    /// A reading of the clock, and the instant at which it was taken.
    reading: Time,
    at: Instant,
    leapt: Option<Instant>,
}

impl Leaps {
    /// Starts from the last reading that is believed.
    pub(super) fn since(reading: Time, at: Instant) -> Leaps {
        Leaps(Mutex::new(Noted {
            reading,
            at,
            leapt: None,
        }))
    }

    /// Notes a reading. If the clock has leapt, returns how long it must still run on before it is
    /// trusted.
    pub(super) fn note(&self, reading: Time, at: Instant) -> Option<Duration> {
        let mut noted = self.0.lock();
        let elapsed = at.saturating_duration_since(noted.at).as_micros();
        let elapsed = i64::try_from(elapsed).unwrap_or(i64::MAX);
        let expected = noted.reading.micros().saturating_add(elapsed);
        if reading.micros().saturating_sub(expected) > LEAP {
            noted.leapt = Some(at);
        }
        (noted.reading, noted.at) = (reading, at);
        let leapt = noted.leapt?;
        let left = STEADY.checked_sub(at.saturating_duration_since(leapt));
        if left.is_none() {
            noted.leapt = None;
        }
        left
    }
}

/// Returns the description of a version that is read back from the oplog. `before` is the one
/// before it.
///
/// A version of an older program has no reading. Its time serves as one, unless that had to be
/// moved after the time of the previous version: then the latest change time of the nodes that
/// it changed does.
pub(super) fn info_of(
    commit: &Commit,
    before: Option<&VersionInfo>,
    changes: &Changes,
) -> VersionInfo {
    let committed = commit.stamp.committed;
    let pushed = before.is_some_and(|b| committed.micros() - b.committed.micros() <= 1);
    let changed = |node: &Node| node.ctime;
    let clock = match commit.stamp.clock {
        Some(clock) => clock,
        None if pushed => (changes.nodes.values().flatten().map(changed).max())
            .map_or(committed, |changed| committed.min(changed)),
        None => committed,
    };
    VersionInfo {
        version: commit.version,
        committed,
        clock,
        changes: changes.len() as u64,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_leaps_ahead_is_trusted_after_a_day() {
        let (start, day) = (Instant::now(), 86_400);
        let at = |seconds: u64| start + Duration::from_secs(seconds);
        let time = |seconds: u64| Time {
            sec: 1_700_000_000 + seconds as i64,
            nsec: 0,
        };
        let leaps = Leaps::since(time(0), start);
        // A pond that was not used for a week, then ten days of work.
        assert_eq!(leaps.note(time(7 * day), start), None);
        assert_eq!(leaps.note(time(17 * day), at(10 * day)), None);
        // Four years in a minute.
        let ahead = 4 * 365 * day;
        let wait = leaps.note(time(17 * day + ahead), at(10 * day + 60));
        assert_eq!(wait, Some(STEADY));
        let wait = leaps.note(time(17 * day + ahead), at(10 * day + 3_660));
        assert_eq!(wait, Some(STEADY - Duration::from_secs(3_600)));
        // A step back is noted too: leaps ahead are measured from here.
        let wait = leaps.note(time(18 * day), at(11 * day + 61));
        assert_eq!(wait, None);
        assert_eq!(leaps.note(time(19 * day), at(12 * day)), None);
    }
}
