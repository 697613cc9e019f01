//! What `status` shows of requests and notifications that do not end, and the thread that notices them.
//!
//! The thread looks once a second. It logs a request that has no reply after [`LOG_REQUEST`], and a
//! notification from which the kernel has not returned after [`LOG_NOTIFICATION`], once each. Rendering a file
//! or a disk that is slow can explain the first; the second means that the kernel holds a lock for
//! a request that is not answered, and is reported as an error. Only aborting the connection frees
//! whoever waits then (`pondmount umount --force`).

use super::Requests;
use crate::mount::cache::notify::Notifications;
use crate::mount::mirror::Mirror;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

/// How often the thread looks.
const LOOK: Duration = Duration::from_secs(1);
/// What is younger is no news.
const SHOWN: Duration = Duration::from_secs(1);
const LOG_REQUEST: Duration = Duration::from_secs(10);
const LOG_NOTIFICATION: Duration = Duration::from_secs(5);

/// What a mount does, for whoever asks from outside: it takes no lock that a request waits for.
#[derive(Clone, Debug)]
pub(in crate::mount) struct Monitor {
    requests: Arc<Requests>,
    notifications: Arc<Notifications>,
    /// Where the kernel tells how many requests wait.
    waiting: Arc<OnceLock<PathBuf>>,
}

/// What a mount does at a moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::mount) struct Activity {
    /// Requests that were read since it was mounted.
    pub(in crate::mount) received: u64,
    /// Of them, those whose reply was sent.
    pub(in crate::mount) replied: u64,
    /// Requests that wait by the kernel's count, those that were not read yet included. Unknown where
    /// the kernel does not tell.
    pub(in crate::mount) waiting: Option<u64>,
    /// The oldest request without a reply, if it is older than a second.
    pub(in crate::mount) oldest: Option<UnansweredRequest>,
    /// The oldest notification that the kernel has not returned from, if it is older than a second.
    pub(in crate::mount) notification: Option<UnfinishedNotification>,
}

/// A request without a reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::mount) struct UnansweredRequest {
    /// What is asked.
    pub(in crate::mount) op: &'static str,
    /// The inode that it is about.
    pub(in crate::mount) inode: u64,
    /// The process that asks; 0 where the kernel asks for itself.
    pub(in crate::mount) pid: u32,
    /// How long it has waited.
    pub(in crate::mount) age: Duration,
}

/// A notification that the kernel has not returned from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::mount) struct UnfinishedNotification {
    /// What the kernel is to do.
    pub(in crate::mount) what: &'static str,
    /// The inode that it is about.
    pub(in crate::mount) inode: u64,
    /// How long it has taken.
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

    /// Tells it the device number of the mount, as `MAJOR:MINOR`, by which the kernel lists its
    /// connections.
    pub(in crate::mount) fn mounted(&self, device: &str) {
        if let Some((_, minor)) = device.split_once(':') {
            let path = format!("/sys/fs/fuse/connections/{minor}/waiting");
            self.waiting.get_or_init(|| path.into());
        }
    }

    /// What is late, in words, for `pondmount status`.
    pub(in crate::mount) fn late(&self) -> Vec<String> {
        let activity = self.activity();
        let request = activity.oldest.map(|request| request.to_string());
        let notification = activity.notification.map(|late| late.to_string());
        request.into_iter().chain(notification).collect()
    }

    /// What the mount does now.
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

    /// Starts the thread. It ends when the mount is gone.
    pub(in crate::mount) fn start(&self, mount: Weak<Mirror>) -> io::Result<()> {
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

    /// Logs what is late, unless it is what was logged last.
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
