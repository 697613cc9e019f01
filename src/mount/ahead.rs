//! Content of small files, given to the kernel before it answers `open`, so that it need not ask for it.
//!
//! In: that a file is opened to be read. Out: its bytes, in the kernel's page cache. Holds always: what is given is what
//! the file has when it is given; whoever is about to change a file waits until nobody gives it.
//!
//! A question costs two changes of task, 10 to 70 µs; to give costs one system call. And when the kernel had to ask for
//! bytes, it asks for the file's attributes once more, since their access time may be another.
//!
//! The kernel has whoever gives wait for pages that it is asking for itself. So of the threads that serve, one gives
//! at a time, and none waits for it: whoever has to does so in a thread of its own.

use super::inodes::View;
use super::mirror::Mirror;
use super::notify::Notifications;
use crate::tinyfs::FsResult;
use parking_lot::{Condvar, Mutex, MutexGuard};
use rustc_hash::FxHashSet;
use std::sync::atomic::{AtomicBool, Ordering};

/// The longest file that is given, in bytes: what the kernel would ask for first.
const LONGEST: u64 = 128 << 10;

/// What was given, and is.
#[derive(Default)]
pub(super) struct Ahead {
    started: AtomicBool,
    /// Numbers whose content the kernel was given, or has from elsewhere, since it began to hold them.
    given: Mutex<FxHashSet<u64>>,
    /// The number whose content is being given.
    giving: Mutex<Option<u64>>,
    ended: Condvar,
}

/// Nobody begins to give anything.
pub(super) type Still<'a> = MutexGuard<'a, Option<u64>>;

impl Ahead {
    /// Begins to give; until then nothing is given.
    pub(super) fn start(&self) {
        self.started.store(true, Ordering::Relaxed);
    }

    /// Gives what `read` answers, unless the kernel has it, another is given or it `may` not be.
    fn give(
        &self,
        notifications: &Notifications,
        ino: u64,
        may: impl FnOnce() -> bool,
        read: impl FnOnce() -> FsResult<Vec<u8>>,
    ) {
        if !self.started.load(Ordering::Relaxed) || self.given.lock().contains(&ino) {
            return;
        }
        match self.giving.try_lock() {
            Some(mut giving) if giving.is_none() && may() => *giving = Some(ino),
            _ => return,
        }
        // What cannot be read or given, the kernel asks for, and is told of then.
        if let Ok(bytes) = read() {
            if !bytes.is_empty() {
                notifications.store(ino, &bytes);
            }
            self.given.lock().insert(ino);
        }
        *self.giving.lock() = None;
        self.ended.notify_all();
    }

    /// That nobody gives this content, nor begins to give any as long as the answer lives; `None` where somebody does.
    pub(super) fn try_still(&self, ino: u64) -> Option<Still<'_>> {
        let giving = self.giving.lock();
        (*giving != Some(ino)).then_some(giving)
    }

    /// The same, when nobody does any more. Not for who serves requests.
    pub(super) fn still(&self, ino: u64) -> Still<'_> {
        let mut giving = self.giving.lock();
        while *giving == Some(ino) {
            self.ended.wait(&mut giving);
        }
        giving
    }

    /// The kernel has the content of a new file from whoever writes it.
    pub(super) fn has(&self, ino: u64) {
        self.given.lock().insert(ino);
    }

    /// The kernel lets go of a number, or of its content.
    pub(super) fn forget(&self, ino: u64) {
        self.given.lock().remove(&ino);
    }
}

impl Mirror {
    /// A stored file was opened to be read, and the kernel has not been answered yet.
    pub(super) fn give_ahead(&self, ino: u64) {
        let Ok(View::Node { tree, id }) = self.view(ino) else {
            return;
        };
        let may = || !tree.is_live() || !self.pond.is_open_to_write(id);
        let read = || {
            let node = self.pond.node(tree.at, id)?;
            match node.size {
                0..=LONGEST => self.pond.read(tree.at, id, 0, node.size),
                _ => Ok(Vec::new()),
            }
        };
        self.ahead.give(&self.notifications, ino, may, read);
    }
}
