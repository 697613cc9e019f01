//! The requests of the control socket, and their replies, which `--json` prints too.

use super::forget::Forget;
use super::resources::Resources;
use super::travel::Travel;
use crate::cli::failure::Failure;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::time::Duration;

/// The longest time for a reply that needs no look-ups.
const QUICK: Duration = Duration::from_secs(10);
/// The longest time for a reply that needs few.
const SLOW: Duration = Duration::from_secs(60);

/// A request of a command to an open pond.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "request", rename_all = "snake_case")]
pub enum Request {
    /// The status: a [`StatusReport`].
    Status,
    /// The limits that it was opened with: a list of [`Setting`](crate::limits::Setting)s.
    Config,
    /// Compares the clock with the versions: a [`ClockReport`].
    Clock,
    /// Commits everything now: [`Synced`].
    Sync,
    /// Up to `limit` versions older than `before`: a [`LogPage`].
    Log {
        /// The end of the page before this one.
        before: Option<u64>,
        /// The most versions to return.
        limit: usize,
    },
    /// Looks for damage: [`Checked`].
    Check {
        /// Whether to read the content too.
        read_data: bool,
    },
    /// Reads all content slowly: a [`ScrubReport`], at once if a daemon does it.
    Scrub {
        /// Bytes per second; 0 for no limit.
        rate: u64,
    },
    /// A request about the past.
    Travel {
        /// The request.
        about: Travel,
    },
    /// Forgets versions or paths.
    Forget {
        /// The request.
        about: Forget,
    },
    /// A request about resources.
    Resources {
        /// The request.
        about: Resources,
    },
    /// Replies at once with nothing.
    Ping,
    /// Replies when the pond is closed: with nothing, or the failure of the last commit.
    End,
}

impl Request {
    /// Returns how long the reply may take; `None` if as long as the daemon sends keepalives.
    pub fn limit(&self) -> Option<Duration> {
        match self {
            Request::Ping => Some(QUICK),
            Request::Status | Request::Config | Request::Log { .. } => Some(SLOW),
            _ => None,
        }
    }

    /// Returns whether the request is idempotent, so that it can be sent again if the reply was
    /// lost. A second undo reverts the first, and a tag cannot be created twice.
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

/// A reply.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reply {
    /// The result.
    Ok(Value),
    /// The failure.
    Failed(Failure),
}

/// The status of an open pond, as shown by `pondmount status` and `.pond/status`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusReport {
    /// The current path of its folder.
    pub pond: String,
    /// Whether the folder was removed while the pond was open.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub removed: bool,
    /// Its identity.
    pub id: String,
    /// The newest version.
    pub version: u64,
    /// When it was committed: later than every earlier version, whatever the clock showed.
    pub committed: String,
    /// What the clock showed then, if it differs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clock: Option<String>,
    /// How far the clock is behind now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clock_behind: Option<String>,
    /// The mountpoint.
    pub mountpoint: Option<String>,
    /// The process that serves the mount; it may outlive the mount a little.
    pub pid: Option<u32>,
    /// Changes that the next version will hold.
    pub dirty: DirtyReport,
    /// Bytes that can still be written.
    #[serde(default)]
    pub writable_bytes: Option<u64>,
    /// Bytes of the disk that are reserved for commits and removals.
    #[serde(default)]
    pub reserved_bytes: Option<u64>,
    /// Why the last due commit failed; it is retried.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit_failed: Option<String>,
    /// Why it refuses changes.
    pub read_only: Option<String>,
    /// Overdue requests of the kernel, and notifications that have not returned.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub late: Vec<String>,
    /// The scrub that runs, or the last one since the pond was opened.
    #[serde(default)]
    pub scrub: Option<ScrubReport>,
    /// Problems of resources.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub resources: Vec<String>,
}

/// Changes that are in no version yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DirtyReport {
    /// Changed entries.
    pub entries: u64,
    /// Their size in memory, in bytes.
    pub bytes: u64,
}

/// A page of the log, the newest version first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogPage {
    /// The versions.
    pub rows: Vec<LogRow>,
    /// Where the next page begins; `None` if this was the last.
    pub before: Option<u64>,
}

/// A version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogRow {
    /// Its number.
    pub version: u64,
    /// When it was committed: later than every earlier version, whatever the clock showed.
    pub committed: String,
    /// What the clock showed then, if it differs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clock: Option<String>,
    /// Whether the clock was wrong then, judging by other versions.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub doubted: bool,
    /// The number of entries that it changed.
    pub changes: u64,
}

/// The state of the clock, judging by the versions.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClockReport {
    /// How far it is behind.
    pub behind: Option<String>,
}

/// The result of a sync.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Synced {
    /// The newest version, which holds everything.
    pub version: u64,
}

/// The result of a check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checked {
    /// Whether there is no damage.
    pub ok: bool,
    /// The damage found.
    pub problems: Vec<String>,
    /// The repairs made.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub done: Vec<String>,
}

/// A scrub that runs, or the last one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScrubReport {
    /// When it began.
    pub began: String,
    /// When it ended; `None` while it runs.
    pub ended: Option<String>,
    /// The number of stored extents to read.
    pub extents: u64,
    /// Extents read so far.
    pub read: u64,
    /// Bytes read so far.
    pub bytes: u64,
    /// The number of damaged extents.
    pub damaged: u64,
    /// Descriptions of the first damaged extents.
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
