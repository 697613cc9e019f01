//! The requests, and the answers that go with them. They are also what `--json` prints.

use super::forget::Forget;
use super::resources::Resources;
use super::travel::Travel;
use crate::cli::failure::Failure;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::time::Duration;

/// The longest that an answer may take for which nothing is looked up.
const QUICK: Duration = Duration::from_secs(10);
/// And one for which little is.
const SLOW: Duration = Duration::from_secs(60);

/// What a command asks of an open pond.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "request", rename_all = "snake_case")]
pub enum Request {
    /// How it is: a [`StatusReport`].
    Status,
    /// The limits that it was opened with: a list of [`Setting`](crate::limits::Setting)s.
    Config,
    /// Whether the clock is right: a [`ClockReport`].
    Clock,
    /// Commit everything now: [`Synced`].
    Sync,
    /// Up to `limit` versions older than `before`: a [`LogPage`].
    Log {
        /// Where the page before this one ended.
        before: Option<u64>,
        /// How many at most.
        limit: usize,
    },
    /// Look for damage: [`Checked`].
    Check {
        /// Read the content too.
        read_data: bool,
    },
    /// Read all content slowly: a [`ScrubReport`], at once if a daemon does it.
    Scrub {
        /// Bytes a second; 0 for as fast as it goes.
        rate: u64,
    },
    /// Something about the past.
    Travel {
        /// What.
        about: Travel,
    },
    /// Forget something.
    Forget {
        /// What.
        about: Forget,
    },
    /// Something about resources.
    Resources {
        /// What.
        about: Resources,
    },
    /// Answer at once: nothing.
    Ping,
    /// Answer when the pond is closed: nothing, or why the last commit failed.
    End,
}

impl Request {
    /// How long its answer may take; with `None`, as long as the daemon sends keepalives.
    pub fn limit(&self) -> Option<Duration> {
        match self {
            Request::Ping => Some(QUICK),
            Request::Status | Request::Config | Request::Log { .. } => Some(SLOW),
            _ => None,
        }
    }

    /// Whether it is the same to ask once or twice, where the answer was lost: a second undo takes back the
    /// first, and a name that was given cannot be given again.
    pub fn may_be_asked_twice(&self) -> bool {
        let Request::Travel { about } = self else {
            return true;
        };
        !matches!(
            about,
            Travel::Undo | Travel::Tag { .. } | Travel::Untag { .. }
        )
    }
}

/// What comes back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reply {
    /// The answer.
    Ok(Value),
    /// Why there is none.
    Failed(Failure),
}

/// How a pond is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusReport {
    /// Its folder, where it is now.
    pub pond: String,
    /// Whether that was removed while the pond was open.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub removed: bool,
    /// Its identity.
    pub id: String,
    /// The newest version.
    pub version: u64,
    /// When that was committed: later than every earlier version, whatever the clock said.
    pub committed: String,
    /// What the clock said then, where that is another time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clock: Option<String>,
    /// By what the clock is behind now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clock_behind: Option<String>,
    /// Where it is mounted.
    pub mountpoint: Option<String>,
    /// The process behind the mount; it may be there a little longer than the mount.
    pub pid: Option<u32>,
    /// What the next version has to hold.
    pub dirty: DirtyReport,
    /// Bytes that can still be written.
    #[serde(default)]
    pub writable_bytes: Option<u64>,
    /// Bytes of the disk that are kept for commits and removals.
    #[serde(default)]
    pub reserved_bytes: Option<u64>,
    /// Why the last version that was due was not made; it is tried again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit_failed: Option<String>,
    /// Why it takes no changes.
    pub read_only: Option<String>,
    /// Requests of the kernel that have no reply, and notifications that it has not returned from.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub late: Vec<String>,
    /// The scrub that runs, or the last one since the pond was opened.
    #[serde(default)]
    pub scrub: Option<ScrubReport>,
    /// What is wrong with resources.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub resources: Vec<String>,
}

/// Changes that are in no version yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DirtyReport {
    /// Changed entries.
    pub entries: u64,
    /// Their bytes in memory.
    pub bytes: u64,
}

/// A page of the log, the newest version first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogPage {
    /// The versions.
    pub rows: Vec<LogRow>,
    /// Where the next page goes on; nothing when this was the last.
    pub before: Option<u64>,
}

/// A version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogRow {
    /// Its number.
    pub version: u64,
    /// When it was committed: later than every earlier version, whatever the clock said.
    pub committed: String,
    /// What the clock said then, where that is another time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clock: Option<String>,
    /// Whether the clock was wrong then, by what other versions tell.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub doubted: bool,
    /// How many entries it changed.
    pub changes: u64,
}

/// Whether the clock is right, as far as the versions tell.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClockReport {
    /// By what it is behind.
    pub behind: Option<String>,
}

/// What a sync has made sure of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Synced {
    /// The newest version, which holds everything.
    pub version: u64,
}

/// What a check has found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checked {
    /// Nothing.
    pub ok: bool,
    /// Or this.
    pub problems: Vec<String>,
    /// What was done about it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub done: Vec<String>,
}

/// A scrub that runs, or the last one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScrubReport {
    /// When it began.
    pub began: String,
    /// When it ended; nothing while it runs.
    pub ended: Option<String>,
    /// Stored extents that it has to read.
    pub extents: u64,
    /// Of them, read so far.
    pub read: u64,
    /// Their bytes.
    pub bytes: u64,
    /// How many are damaged.
    pub damaged: u64,
    /// What is wrong with the first of them.
    pub problems: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_line_is_a_request_or_none(
            bytes in proptest::collection::vec(any::<u8>(), 0..200),
            name in "status|sync|log|check|end|\\PC{0,5}",
            field in "before|limit|read_data|request|\\PC{0,5}",
            value in "null|true|-1|1e400|18446744073709551616|\\[\\[\\{|\"\\\\ud800\"",
        ) {
            let _ = serde_json::from_slice::<Request>(&bytes);
            let _ = serde_json::from_slice::<Reply>(&bytes);
            let line = format!("{{\"request\":{name:?},\"{field}\":{value}}}");
            let _ = serde_json::from_str::<Request>(&line);
            let _ = serde_json::from_str::<Reply>(&line);
        }
    }

    #[test]
    fn what_is_nested_without_end_is_no_request() {
        let deep = format!("{{\"request\":\"log\",\"before\":{}", "[".repeat(60_000));
        assert!(serde_json::from_str::<Request>(&deep).is_err());
        let deep = format!("{{\"ok\":{}", "[".repeat(1 << 20));
        assert!(serde_json::from_str::<Reply>(&deep).is_err());
    }

    #[test]
    fn requests_and_replies_are_plain_json() {
        let text = |request| serde_json::to_string(&request).unwrap();
        assert_eq!(text(Request::Status), r#"{"request":"status"}"#);
        let log = Request::Log {
            before: None,
            limit: 3,
        };
        assert_eq!(
            text(log.clone()),
            r#"{"request":"log","before":null,"limit":3}"#
        );
        assert_eq!(
            serde_json::from_str::<Request>(&text(log.clone())).unwrap(),
            log
        );
        assert_eq!(
            serde_json::to_string(&Reply::Ok(Value::Null)).unwrap(),
            r#"{"ok":null}"#
        );
        let failed = Reply::Failed(Failure::new("io", "no"));
        let line = serde_json::to_string(&failed).unwrap();
        assert_eq!(serde_json::from_str::<Reply>(&line).unwrap(), failed);
    }
}
