//! `.pond`: the status files of the mount, in its root, which no listing shows.
//!
//! | file | read | write |
//! |---|---|---|
//! | `status` | version, changes, errors, resources that show nothing, overdue requests (JSON) | |
//! | `metrics` | figures in the OpenMetrics format, such as how long requests took | |
//! | `errors` | the last failures: time, operation, path, error, reason | |
//! | `sync` | the newest version | makes a version, whatever is written |
//!
//! In: views of these files. Out: their attributes and bytes. Invariants: only the user of the
//! daemon may read them; each open file is a snapshot of one moment.

use crate::derive::Cached;
use crate::mount::requests::Activity;
use crate::mount::vfs::Vfs;
use crate::mount::views::inodes::{Own, View};
use crate::tinyfs::{Errno, FsError, FsResult, Kind, Node, NodeId, Time, describe};
use parking_lot::Mutex;
use rustc_hash::FxHashMap;
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

/// The hidden name in the root.
pub(in crate::mount) const OWN: &[u8] = b".pond";

impl Own {
    /// The files in it.
    pub(in crate::mount) const FILES: [Own; 4] =
        [Own::Status, Own::Metrics, Own::Errors, Own::Sync];

    pub(in crate::mount) fn name(self) -> &'static [u8] {
        match self {
            Own::Dir => OWN,
            Own::Status => b"status",
            Own::Metrics => b"metrics",
            Own::Errors => b"errors",
            Own::Sync => b"sync",
        }
    }

    /// Returns the file of a name in `.pond`.
    pub(in crate::mount) fn named(name: &[u8]) -> Option<Own> {
        Own::FILES.into_iter().find(|own| own.name() == name)
    }
}

/// The open files that are not in the tree: snapshots, taken when they were opened.
#[derive(Debug)]
pub(in crate::mount) struct Opened {
    open: Mutex<FxHashMap<u64, Content>>,
    next: AtomicU64,
}

/// The content of such a file.
#[derive(Clone, Debug)]
pub(in crate::mount) enum Content {
    Text(Arc<[u8]>),
    Derived(Arc<Cached>),
}

impl Default for Opened {
    fn default() -> Self {
        Opened {
            open: Mutex::default(),
            // Zero is the handle of all other files.
            next: AtomicU64::new(1),
        }
    }
}

impl Opened {
    pub(in crate::mount) fn open(&self, content: Content) -> u64 {
        let handle = self.next.fetch_add(1, Ordering::Relaxed);
        self.open.lock().insert(handle, content);
        handle
    }

    pub(in crate::mount) fn close(&self, handle: u64) {
        self.open.lock().remove(&handle);
    }
}

impl Vfs {
    /// Returns the current content of a file.
    fn text(&self, own: Own) -> FsResult<Vec<u8>> {
        let text = match own {
            Own::Dir => return Err(Errno::EISDIR.into()),
            Own::Status => self.status(),
            Own::Metrics => self.metrics().map_err(FsError::store)?,
            Own::Errors => self.errors.text(&self.pond),
            Own::Sync => format!("{}\n", self.pond.latest().version),
        };
        Ok(text.into_bytes())
    }

    fn status(&self) -> String {
        let status = self.pond.status();
        let scrub = self.pond.last_scrub().map(|scrub| {
            json!({ "ended": scrub.ended.is_some(), "extents": scrub.extents, "read": scrub.read,
                "bytes": scrub.bytes, "damaged": scrub.damaged })
        });
        let problem = |path: &str, why: &str| json!({ "path": path, "why": why });
        // If this fails, the other figures are still shown.
        let broken: Vec<_> = match self.derive.view(crate::tinyfs::Version::NOW) {
            Ok(view) => {
                let problems = view.registry.problems.iter();
                problems.map(|(path, why)| problem(path, why)).collect()
            }
            Err(error) => vec![problem("/", &describe(&error))],
        };
        let status = json!({
            "pond": status.path.display().to_string(),
            "id": status.id.to_string(),
            "version": status.latest.version.0,
            "clock_behind": status.clock_behind,
            "writable_bytes": status.free.map(|free| free.writable),
            "reserved_bytes": status.free.map(|free| free.reserve),
            "dirty": { "entries": status.dirty.entries, "bytes": status.dirty.bytes },
            "errors": self.errors.count(),
            "commit_failed": status.commit_failed,
            "read_only": status.read_only,
            "scrub": scrub,
            "broken_resources": broken,
            "requests": requests(&self.monitor.activity()),
        });
        format!("{status:#}\n")
    }

    /// Returns the made-up node of a file.
    pub(in crate::mount) fn own_node(&self, own: Own) -> FsResult<Node> {
        let now = Time::from(SystemTime::now());
        let root = self.pond.node(crate::tinyfs::Version::NOW, NodeId::ROOT)?;
        let (kind, mode, nlink, size) = match own {
            Own::Dir => (Kind::Directory, 0o500, 2, 0),
            Own::Sync => (Kind::File, 0o600, 1, self.text(own)?.len()),
            _ => (Kind::File, 0o400, 1, self.text(own)?.len()),
        };
        Ok(Node {
            kind,
            mode,
            uid: rustix::process::geteuid().as_raw(),
            gid: rustix::process::getegid().as_raw(),
            nlink,
            size: size as u64,
            allocated: 0,
            atime: now,
            mtime: now,
            ctime: now,
            ..root
        })
    }

    /// Opens a file: takes a snapshot of its content.
    pub(in crate::mount) fn open_own(&self, own: Own, writes: bool) -> FsResult<u64> {
        match (own, writes) {
            (Own::Dir, _) => Err(Errno::EISDIR.into()),
            (Own::Status | Own::Metrics | Own::Errors, true) => Err(Errno::EROFS.into()),
            (Own::Sync, true) => Ok(self.opened.open(Content::Text([].into()))),
            (own, false) => Ok(self.opened.open(Content::Text(self.text(own)?.into()))),
        }
    }

    /// Reads a file by the handle that it was opened with.
    pub(in crate::mount) fn read_opened(
        &self,
        handle: u64,
        offset: u64,
        size: u32,
    ) -> FsResult<Vec<u8>> {
        let content = self.opened.open.lock().get(&handle).cloned();
        let text = match content.ok_or(Errno::ESTALE)? {
            Content::Text(text) => text,
            Content::Derived(made) => {
                return made.read(offset, u64::from(size)).map_err(FsError::store);
            }
        };
        let from = usize::try_from(offset).map_or(text.len(), |from| from.min(text.len()));
        let to = text.len().min(from + size as usize);
        Ok(text.get(from..to).unwrap_or_default().to_vec())
    }

    /// Returns the file of `.pond` that a number stands for.
    pub(in crate::mount) fn own(&self, ino: u64) -> Option<Own> {
        match self.inodes.view(ino) {
            Some(View::Own(own)) => Some(own),
            _ => None,
        }
    }

    /// Handles a write: one to `sync` makes a version.
    pub(in crate::mount) fn write_own(&self, own: Own) -> FsResult<()> {
        match own {
            Own::Sync => self.pond.sync().map(drop).map_err(FsError::store),
            _ => Err(Errno::EROFS.into()),
        }
    }
}

/// Returns the activity of the mount as JSON.
fn requests(activity: &Activity) -> serde_json::Value {
    let age = |age: Duration| u64::try_from(age.as_millis()).unwrap_or(u64::MAX);
    json!({
        "received": activity.received,
        "replied": activity.replied,
        "waiting": activity.waiting,
        "oldest": activity.oldest.as_ref().map(|request| json!({
            "op": request.op, "inode": request.inode, "pid": request.pid, "milliseconds": age(request.age),
        })),
        "notification": activity.notification.as_ref().map(|notification| json!({
            "what": notification.what, "inode": notification.inode, "milliseconds": age(notification.age),
        })),
    })
}
