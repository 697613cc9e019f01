//! Notifications to the kernel: what it is to drop from its caches, and pages that it is given.
//!
//! A notification is a system call that may wait inside the kernel:
//!
//! | notification | waits for | issued by |
//! |---|---|---|
//! | attributes of an inode | nothing | any thread |
//! | pages of an inode | the locks of its pages: READs and WRITEs that have no reply yet | the threads of the control socket |
//! | a name in a directory | the directory's lock: LOOKUP, READDIR, MKDIR, UNLINK, … that have no reply yet | those, and the thread that looks for resources |
//! | pages for an inode | the locks of its pages | one serving thread at a time |
//!
//! Invariant: no request's reply waits for one of these calls. While one is under way, its thread
//! holds no lock that a reply needs: [`Pond::announce`](crate::pond::Pond::announce) is called with
//! none, and the push of pages holds none either. So the requests that a call waits for are
//! answered, and the call returns.

use crate::tinyfs::Name;
use fuser::{INodeNo, Notifier};
use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::sync::OnceLock;

/// The way to the kernel; until it is there, the kernel caches nothing, and nothing is sent.
#[derive(Default)]
pub(super) struct Notifications {
    notifier: OnceLock<Notifier>,
}

impl Notifications {
    pub(super) fn start(&self, notifier: Notifier) {
        self.notifier.get_or_init(|| notifier);
    }

    /// Has the kernel drop the attributes of an inode. Does not wait.
    pub(super) fn invalidate_attributes(&self, ino: u64) {
        self.send("attributes", |notifier| {
            notifier.inval_inode(INodeNo(ino), -1, 0)
        });
    }

    /// Has the kernel drop the attributes and pages of an inode. Waits for its reads and writes.
    pub(super) fn invalidate_pages(&self, ino: u64) {
        self.send("pages", |notifier| notifier.inval_inode(INodeNo(ino), 0, 0));
    }

    /// Has the kernel drop a name. Waits for all requests for which it holds the directory's lock.
    pub(super) fn invalidate_name(&self, dir: u64, name: &Name) {
        let name = OsStr::from_bytes(name.as_bytes());
        self.send("a name", |notifier| {
            notifier.inval_entry(INodeNo(dir), name)
        });
    }

    /// Puts `bytes` into the kernel's page cache, from the start of a file on. Waits for reads of
    /// these pages. Returns whether it could be done.
    pub(super) fn store(&self, ino: u64, bytes: &[u8]) -> bool {
        let Some(notifier) = self.notifier.get() else {
            return false;
        };
        notifier.store(INodeNo(ino), 0, bytes).is_ok()
    }

    fn send(&self, what: &'static str, send: impl FnOnce(&Notifier) -> io::Result<()>) {
        let Some(notifier) = self.notifier.get() else {
            return;
        };
        match send(notifier) {
            // The kernel does not have it.
            Err(error) if error.raw_os_error() == Some(libc::ENOENT) => {}
            Err(error) => {
                tracing::warn!(
                    "the kernel may show what was before: it did not drop {what}: {error}"
                );
            }
            Ok(()) => {}
        }
    }
}
