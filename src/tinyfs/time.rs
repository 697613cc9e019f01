//! Points in time as in POSIX: seconds and nanoseconds, before and after the epoch.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A point in time: `sec` seconds since 1970-01-01T00:00:00Z (negative before it), plus `nsec`
/// nanoseconds, which always count forward and are below 1,000,000,000.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time {
    /// Whole seconds since the epoch.
    pub sec: i64,
    /// Nanoseconds after `sec`.
    pub nsec: u32,
}

impl Time {
    /// Converts from microseconds since the epoch.
    pub fn from_micros(micros: i64) -> Time {
        Time {
            sec: micros.div_euclid(1_000_000),
            // In 0..1_000_000 by `rem_euclid`, so the product stays below a second.
            nsec: micros.rem_euclid(1_000_000) as u32 * 1_000,
        }
    }

    /// Returns microseconds since the epoch, rounded down. Saturates about 290,000 years from the
    /// epoch.
    pub fn micros(self) -> i64 {
        self.sec
            .saturating_mul(1_000_000)
            .saturating_add(i64::from(self.nsec / 1_000))
    }
}

impl From<SystemTime> for Time {
    fn from(t: SystemTime) -> Time {
        match t.duration_since(UNIX_EPOCH) {
            Ok(d) => Time {
                sec: i64::try_from(d.as_secs()).unwrap_or(i64::MAX),
                nsec: d.subsec_nanos(),
            },
            Err(before) => {
                let d = before.duration();
                let sec = i64::try_from(d.as_secs()).unwrap_or(i64::MAX);
                match d.subsec_nanos() {
                    0 => Time { sec: -sec, nsec: 0 },
                    n => Time {
                        sec: -sec - 1,
                        nsec: 1_000_000_000 - n,
                    },
                }
            }
        }
    }
}

impl From<Time> for SystemTime {
    fn from(t: Time) -> SystemTime {
        let nsec = Duration::from_nanos(u64::from(t.nsec));
        if t.sec >= 0 {
            UNIX_EPOCH + Duration::from_secs(t.sec.unsigned_abs()) + nsec
        } else {
            UNIX_EPOCH - Duration::from_secs(t.sec.unsigned_abs()) + nsec
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn system_time_round_trips_on_both_sides_of_the_epoch() {
        for (sec, nsec) in [
            (0, 0),
            (1, 5),
            (-1, 999_999_999),
            (-1, 0),
            (-2_000_000_000, 1),
        ] {
            let t = Time { sec, nsec };
            assert_eq!(Time::from(SystemTime::from(t)), t);
        }
    }

    #[test]
    fn micros_round_down_before_the_epoch() {
        assert_eq!(
            Time::from_micros(-1),
            Time {
                sec: -1,
                nsec: 999_999_000
            }
        );
        assert_eq!(Time::from_micros(-1).micros(), -1);
    }
}
