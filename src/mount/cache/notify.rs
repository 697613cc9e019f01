//! Notifications to the kernel: invalidations of its caches, and pages for its page cache.
//!
//! A notification is a system call that may wait inside the kernel:
//!
//! | notification | waits for | issued by |
//! |---|---|---|
//! | attributes of an inode | nothing | any thread |
//! | pages of an inode | its page locks: unanswered READs and WRITEs | control socket threads |
//! | a name in a directory | its lock: LOOKUP, READDIR, MKDIR, UNLINK, … | those, and `resources` |
//! | pages for an inode | its page locks | one serving thread at a time |
//!
//! Invariant: no request's reply waits for one of these calls. While one is under way, its thread
//! holds no lock that a reply needs: [`Pond::announce`](crate::pond::Pond::announce) and the push
//! of pages are called without locks. So the requests that a call waits for are answered, and the
//! call returns. `status` shows a call that does not return, and the
//! [`Monitor`](crate::mount::Monitor) logs it.

use crate::mount::requests::UnfinishedNotification;
use crate::tinyfs::Name;
use fuser::{INodeNo, Notifier};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::sync::OnceLock;
use std::time::Instant;

/// Sends notifications. Until the connection is set, the kernel caches nothing and nothing is sent.
#[derive(Debug, Default)]
pub(in crate::mount) struct Notifications {
    notifier: OnceLock<Notifier>,
    calls: Mutex<Calls>,
}

/// The calls under way that may wait, by their number: the oldest first.
#[derive(Debug, Default)]
struct Calls {
    last: u64,
    under_way: BTreeMap<u64, Call>,
}

#[derive(Clone, Copy, Debug)]
struct Call {
    what: &'static str,
    ino: u64,
    since: Instant,
}

impl Notifications {
    pub(in crate::mount) fn start(&self, notifier: Notifier) {
        self.notifier.get_or_init(|| notifier);
    }

    /// Invalidates the attributes of an inode. Does not wait.
    pub(in crate::mount) fn invalidate_attributes(&self, ino: u64) {
        if let Some(notifier) = self.notifier.get() {
            dropped("attributes", notifier.inval_inode(INodeNo(ino), -1, 0));
        }
    }

    /// Invalidates the attributes and pages of an inode. Waits for its reads and writes.
    pub(in crate::mount) fn invalidate_pages(&self, ino: u64) {
        if let Some(notifier) = self.notifier.get() {
            let call = || notifier.inval_inode(INodeNo(ino), 0, 0);
            dropped("pages", self.call("dropping pages", ino, call));
        }
    }

    /// Invalidates a name. Waits for all requests for which the kernel holds the directory's lock.
    pub(in crate::mount) fn invalidate_name(&self, dir: u64, name: &Name) {
        if let Some(notifier) = self.notifier.get() {
            let name = OsStr::from_bytes(name.as_bytes());
            let call = || notifier.inval_entry(INodeNo(dir), name);
            dropped("a name", self.call("dropping a name", dir, call));
        }
    }

    /// Stores `bytes` in the kernel's page cache, from the start of a file. Waits for reads of
    /// these pages. The kernel requests by READ whatever it does not take.
    pub(in crate::mount) fn store(&self, ino: u64, bytes: &[u8]) {
        if let Some(notifier) = self.notifier.get() {
            let call = || notifier.store(INodeNo(ino), 0, bytes);
            if let Err(error) = self.call("taking pages", ino, call) {
                tracing::debug!("the kernel did not take the pages of inode {ino}: {error}");
            }
        }
    }

    fn call<T>(&self, what: &'static str, ino: u64, call: impl FnOnce() -> T) -> T {
        let number = {
            let since = Instant::now();
            let mut calls = self.calls.lock();
            calls.last += 1;
            let number = calls.last;
            calls.under_way.insert(number, Call { what, ino, since });
            number
        };
        let done = call();
        self.calls.lock().under_way.remove(&number);
        done
    }

    /// Returns the call that has taken longest, with its number.
    pub(in crate::mount) fn oldest(&self) -> Option<(u64, UnfinishedNotification)> {
        let calls = self.calls.lock();
        let (number, call) = calls.under_way.first_key_value()?;
        let notification = UnfinishedNotification {
            what: call.what,
            inode: call.ino,
            age: call.since.elapsed(),
        };
        Some((*number, notification))
    }
}

/// Logs a failed invalidation.
fn dropped(what: &str, done: io::Result<()>) {
    match done {
        // The kernel has not cached it.
        Err(error) if error.raw_os_error() == Some(libc::ENOENT) => {}
        Err(error) => {
            tracing::warn!("the kernel may show what was before: it did not drop {what}: {error}");
        }
        Ok(()) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::channel;

    #[test]
    fn the_oldest_call_that_has_not_returned_is_known() {
        let notifications = Notifications::default();
        let (begun, begins) = channel();
        let (returns, wait) = channel::<()>();
        std::thread::scope(|scope| {
            let calls = &notifications;
            let first = scope.spawn(move || {
                calls.call("dropping a name", 7, || {
                    begun.send(()).unwrap();
                    wait.recv().unwrap();
                });
            });
            begins.recv().unwrap();
            notifications.call("dropping pages", 8, || {
                let (number, oldest) = notifications.oldest().unwrap();
                assert_eq!(
                    (number, oldest.what, oldest.inode),
                    (1, "dropping a name", 7)
                );
            });
            returns.send(()).unwrap();
            first.join().unwrap();
        });
        assert_eq!(notifications.oldest(), None);
    }
}
