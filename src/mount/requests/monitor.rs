//! Detects requests and notifications that do not finish, and reports them to `status` and the log.
//!
//! The thread looks once a second. It logs a request without a reply after [`LOG_REQUEST`], and a
//! notification from which the kernel has not returned after [`LOG_NOTIFICATION`], once each. A
//! rendering or a slow disk can explain the first. The second means that the kernel holds a lock
//! for an unanswered request; it is logged as an error. Then only aborting the connection
//! (`pondmount umount --force`) frees the waiting processes.

use super::Requests;
use crate::mount::cache::notify::Notifications;
use crate::mount::vfs::Vfs;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

/// The interval of the checks.
const LOOK: Duration = Duration::from_secs(1);
/// The least age of what is shown.
const SHOWN: Duration = Duration::from_secs(1);
const LOG_REQUEST: Duration = Duration::from_secs(10);
const LOG_NOTIFICATION: Duration = Duration::from_secs(5);

/// The activity of a mount. Takes no lock that a request waits for.
#[derive(Clone, Debug)]
pub(in crate::mount) struct Monitor {
    requests: Arc<Requests>,
    notifications: Arc<Notifications>,
    /// The fusectl file with the kernel's count of waiting requests.
    waiting: Arc<OnceLock<PathBuf>>,
}

/// A snapshot of a mount's activity.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::mount) struct Activity {
    /// Requests that were read since the mount began.
    pub(in crate::mount) received: u64,
    /// Requests whose reply was sent.
    pub(in crate::mount) replied: u64,
    /// Waiting requests by the kernel's count, including those not read yet. `None` if the kernel
    /// does not report it.
    pub(in crate::mount) waiting: Option<u64>,
    /// The oldest request without a reply, if it is older than a second.
    pub(in crate::mount) oldest: Option<UnansweredRequest>,
    /// The oldest notification that the kernel has not returned from, if it is older than a second.
    pub(in crate::mount) notification: Option<UnfinishedNotification>,
}

/// A request without a reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::mount) struct UnansweredRequest {
    /// The operation.
    pub(in crate::mount) op: &'static str,
    /// The inode number of the request.
    pub(in crate::mount) inode: u64,
    /// The process that made the request; 0 for the kernel itself.
    pub(in crate::mount) pid: u32,
    /// The time since it was read.
    pub(in crate::mount) age: Duration,
}

/// A notification that the kernel has not returned from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::mount) struct UnfinishedNotification {
    /// What the kernel was asked to do.
    pub(in crate::mount) what: &'static str,
    /// The inode number that it names.
    pub(in crate::mount) inode: u64,
    /// The time since the call began.
    pub(in crate::mount) age: Duration,
}

impl fmt::Display for UnansweredRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let UnansweredRequest {
            op,
            inode,
            pid,
            age,
        } = self;
        write!(
            f,
            "{op} of inode {inode}, asked by process {pid}, has no reply after {age:.1?}"
        )
    }
}

impl fmt::Display for UnfinishedNotification {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let UnfinishedNotification { what, inode, age } = self;
        write!(
            f,
            "the kernel has not returned from {what} of inode {inode} after {age:.1?}"
        )
    }
}

impl Monitor {
    pub(in crate::mount) fn new(
        requests: &Arc<Requests>,
        notifications: &Arc<Notifications>,
    ) -> Monitor {
        Monitor {
            requests: requests.clone(),
            notifications: notifications.clone(),
            waiting: Arc::default(),
        }
    }

    /// Sets the device number of the mount, as `MAJOR:MINOR`, by which fusectl lists its
    /// connection.
    pub(in crate::mount) fn mounted(&self, device: &str) {
        if let Some((_, minor)) = device.split_once(':') {
            let path = format!("/sys/fs/fuse/connections/{minor}/waiting");
            self.waiting.get_or_init(|| path.into());
        }
    }

    /// Describes overdue requests and notifications for `pondmount status`.
    pub(in crate::mount) fn late(&self) -> Vec<String> {
        let activity = self.activity();
        let request = activity.oldest.map(|request| request.to_string());
        let notification = activity.notification.map(|late| late.to_string());
        request.into_iter().chain(notification).collect()
    }

    /// Returns the current activity.
    pub(in crate::mount) fn activity(&self) -> Activity {
        let counts = self.requests.table.counts();
        let oldest = self.oldest().map(|(_, request)| request);
        let notification = self
            .notifications
            .oldest()
            .map(|(_, notification)| notification);
        Activity {
            received: counts.received,
            replied: counts.replied,
            waiting: self.waiting.get().and_then(|path| {
                let text = std::fs::read_to_string(path).ok()?;
                text.trim().parse().ok()
            }),
            oldest: oldest.filter(|request| request.age >= SHOWN),
            notification: notification.filter(|notification| notification.age >= SHOWN),
        }
    }

    fn oldest(&self) -> Option<(u64, UnansweredRequest)> {
        let (unique, entry) = self.requests.table.oldest()?;
        let request = UnansweredRequest {
            op: entry.op.name(),
            inode: entry.ino,
            pid: entry.pid,
            age: entry.since.elapsed(),
        };
        Some((unique, request))
    }

    /// Starts the thread. It ends when the mount is dropped.
    pub(in crate::mount) fn start(&self, mount: Weak<Vfs>) -> io::Result<()> {
        let monitor = self.clone();
        let look = move || {
            let (mut request, mut notification) = (None, None);
            while mount.strong_count() > 0 {
                monitor.log(&mut request, &mut notification);
                std::thread::sleep(LOOK);
            }
        };
        let thread = std::thread::Builder::new().name("monitor".into());
        thread.spawn(look).map(drop)
    }

    /// Logs overdue requests and notifications, each once.
    fn log(&self, request: &mut Option<u64>, notification: &mut Option<u64>) {
        if let Some((unique, late)) = self.oldest()
            && late.age >= LOG_REQUEST
            && request.replace(unique) != Some(unique)
        {
            tracing::warn!("{late}");
        }
        if let Some((number, late)) = self.notifications.oldest()
            && late.age >= LOG_NOTIFICATION
            && notification.replace(number) != Some(number)
        {
            tracing::error!(
                "{late}: a lock that it needs is held for a request without a reply; if this \
                 lasts, `pondmount umount --force` frees whoever waits"
            );
        }
    }
}
