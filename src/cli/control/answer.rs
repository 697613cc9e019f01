//! Serves requests to an open pond, the same in a daemon and in a command that opened it itself.

use super::message::{
    Checked, ClockReport, DirtyReport, LogPage, LogRow, Request, ScrubReport, StatusReport, Synced,
};
use super::{forget, resources, travel};
use crate::cli::failure::Failure;
use crate::disk::Location;
use crate::index::VersionInfo;
use crate::pond::{Pond, Scrub};
use crate::tinyfs::{Time, Version};
use serde::Serialize;
use serde_json::Value;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// The most versions in one page of the log, which bounds the length of a line.
pub(super) const PAGE: usize = 1000;

/// Why this process has the pond open.
#[derive(Clone, Copy, Debug)]
pub(super) enum Role<'a> {
    /// To serve a mount, which is visible at this path, if it is visible.
    Daemon(Option<&'a Path>),
    /// To serve one command.
    Command,
}

/// Serves one request.
pub(super) fn answer(
    pond: &Arc<Pond>,
    role: Role<'_>,
    request: &Request,
) -> Result<Value, Failure> {
    match *request {
        Request::Travel { ref about } => travel::answer(pond, about),
        Request::Forget { ref about } => forget::answer(pond, about),
        Request::Resources { ref about } => resources::answer(pond, about),
        Request::Status => json(&status(pond, role)?),
        Request::Config => json(&pond.settings()?),
        Request::Clock => json(&ClockReport {
            behind: behind(pond)?,
        }),
        Request::Sync => json(&Synced {
            version: pond.sync()?.0,
        }),
        Request::Log { before, limit } => json(&log(pond, before, limit.min(PAGE))?),
        Request::Check { read_data } => json(&check(pond, read_data)?),
        Request::Scrub { rate } => json(&scrub(pond, role, rate)?),
        // The pond is closed in a moment anyway, so there is no wait.
        Request::Ping | Request::End => Ok(Value::Null),
    }
}

fn status(pond: &Arc<Pond>, role: Role<'_>) -> Result<StatusReport, Failure> {
    let (mountpoint, pid) = match role {
        Role::Daemon(mountpoint) => (mountpoint, Some(std::process::id())),
        Role::Command => (None, None),
    };
    let status = pond.status();
    let (place, removed) = match pond.location() {
        Location::At(place) => (place, false),
        Location::Unreachable => (status.path, false),
        Location::Removed => (status.path, true),
    };
    Ok(StatusReport {
        pond: place.display().to_string(),
        removed,
        id: status.id.to_string(),
        version: status.latest.version.0,
        committed: timestamp(status.latest.committed),
        clock: reading(&status.latest),
        clock_behind: status.clock_behind,
        mountpoint: mountpoint.map(|path| path.display().to_string()),
        pid,
        dirty: DirtyReport {
            entries: status.dirty.entries,
            bytes: status.dirty.bytes,
        },
        writable_bytes: status.free.map(|free| free.writable),
        reserved_bytes: status.free.map(|free| free.reserve),
        commit_failed: status.commit_failed,
        read_only: status.read_only,
        late: status.late,
        scrub: pond.last_scrub().map(report),
        resources: resources::problems(pond)?,
    })
}

/// Returns up to `limit` versions before `before`, newest first.
fn log(pond: &Pond, before: Option<u64>, limit: usize) -> Result<LogPage, Failure> {
    let end = pond.latest().version.0.saturating_add(1);
    let end = before.map_or(end, |before| before.min(end));
    let mut found = pond.versions_before(Version(end), limit)?;
    let oldest = found.last().map_or(0, |info| info.version.0);
    found.reverse();
    Ok(LogPage {
        before: (oldest > 0 && found.len() == limit).then_some(oldest),
        rows: rows(pond, &found)?,
    })
}

/// Returns the rows of versions, the newest first.
fn rows(pond: &Pond, versions: &[VersionInfo]) -> Result<Vec<LogRow>, Failure> {
    let doubted = pond.doubted(versions)?;
    let row = |info: &VersionInfo| LogRow {
        version: info.version.0,
        committed: timestamp(info.committed),
        clock: reading(info),
        doubted: doubted.binary_search(&info.version).is_ok(),
        changes: info.changes,
    };
    Ok(versions.iter().rev().map(row).collect())
}

/// Returns the reading of the clock at a version, if it differs from the version's time.
pub(super) fn reading(info: &VersionInfo) -> Option<String> {
    (info.clock != info.committed).then(|| timestamp(info.clock))
}

fn behind(pond: &Pond) -> Result<Option<String>, Failure> {
    Ok(pond.clock_behind()?.map(|behind| behind.to_string()))
}

fn check(pond: &Pond, read_data: bool) -> Result<Checked, Failure> {
    let problems = pond.check(read_data)?;
    Ok(Checked {
        ok: problems.is_empty(),
        problems: problems.iter().map(ToString::to_string).collect(),
        done: Vec::new(),
    })
}

/// Runs a scrub: a command waits for it; a daemon runs it in the background.
fn scrub(pond: &Arc<Pond>, role: Role<'_>, rate: u64) -> Result<ScrubReport, Failure> {
    let before = pond.last_scrub();
    if let Role::Daemon(_) = role {
        let scrubbed = pond.clone();
        let run = move || {
            if let Err(error) = scrubbed.scrub(rate) {
                tracing::warn!("the scrub ended early: {error}");
            }
        };
        let started = std::thread::Builder::new().name("scrub".into()).spawn(run);
        let thread = started.map_err(|error| Failure::system("cannot start a thread", &error))?;
        // Waits until it is under way. A short one may end before, and look like the previous one.
        while pond.last_scrub() == before
            && before.as_ref().is_none_or(|s| s.ended.is_some())
            && !thread.is_finished()
        {
            std::thread::sleep(Duration::from_millis(1));
        }
        return pond
            .last_scrub()
            .map(report)
            .ok_or_else(|| Failure::new("io", "no scrub runs"));
    }
    Ok(report(pond.scrub(rate)?))
}

fn report(scrub: Scrub) -> ScrubReport {
    ScrubReport {
        began: timestamp(scrub.began),
        ended: scrub.ended.map(timestamp),
        extents: scrub.extents,
        read: scrub.read,
        bytes: scrub.bytes,
        damaged: scrub.damaged,
        problems: scrub.problems,
    }
}

pub(super) fn json<T: Serialize>(answer: &T) -> Result<Value, Failure> {
    serde_json::to_value(answer)
        .map_err(|error| Failure::system("cannot write the answer as JSON", &error))
}

/// Formats as RFC 3339 in UTC, to the microsecond. A time beyond the year 9999 is a number of
/// microseconds.
pub(super) fn timestamp(time: Time) -> String {
    match jiff::Timestamp::from_microsecond(time.micros()) {
        Ok(time) => format!("{time:.6}"),
        Err(_) => time.micros().to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_rfc_3339_with_microseconds() {
        assert_eq!(
            timestamp(Time::from_micros(1_764_000_000_000_042)),
            "2025-11-24T16:00:00.000042Z"
        );
        assert_eq!(
            timestamp(Time::from_micros(0)),
            "1970-01-01T00:00:00.000000Z"
        );
        assert_eq!(timestamp(Time::from_micros(i64::MAX)), i64::MAX.to_string());
    }
}
