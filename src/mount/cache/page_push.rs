//! Pushes the content of small files into the kernel's page cache before OPEN is answered.
//!
//! A request costs two context switches, 10 to 70 µs; a push costs one system call. After a READ,
//! the kernel also asks for the attributes again, since the access time may have changed. See
//! decision 17.
//!
//! Invariants:
//! - A push sends the file's current content. A file that is open for writing is not pushed; OPEN
//!   for writing and a change of size wait until a push of that file has ended.
//! - A worker must not block on its own READ: `NOTIFY_STORE` waits for the lock of a page that is
//!   being read. So one serving thread pushes at a time, and none waits for it: work that must
//!   follow a push is left to the thread that pushes.

use crate::mount::cache::notify::Notifications;
use crate::mount::vfs::Vfs;
use crate::mount::views::inodes::View;
use crate::tinyfs::FsResult;
use parking_lot::Mutex;
use rustc_hash::{FxHashMap, FxHashSet};
use std::sync::Arc;
use std::sync::mpsc::sync_channel;

/// Tracks which files are in the kernel's page cache, and which one is being pushed.
#[derive(Clone, Default)]
pub(in crate::mount) struct PagePush(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    started: bool,
    /// Inodes whose content was pushed or cached otherwise since the kernel looked them up.
    pushed: FxHashSet<u64>,
    /// The inode whose content is being pushed.
    pushing: Option<u64>,
    /// Work that runs after that push. Each is a request whose caller waits.
    after: Vec<Box<dyn FnOnce() + Send>>,
    /// Inodes that must not be pushed, with the number of [`Quiet`] guards of each.
    quiet: FxHashMap<u64, u32>,
}

/// A guard that keeps an inode from being pushed.
pub(in crate::mount) struct Quiet {
    push: PagePush,
    ino: u64,
}

impl Drop for Quiet {
    fn drop(&mut self) {
        let mut state = self.push.0.lock();
        if let Some(count) = state.quiet.get_mut(&self.ino) {
            *count -= 1;
            if *count == 0 {
                state.quiet.remove(&self.ino);
            }
        }
    }
}

impl PagePush {
    /// Enables pushes; until then nothing is pushed.
    pub(in crate::mount) fn start(&self) {
        self.0.lock().started = true;
    }

    /// Pushes what `read` returns, unless the kernel has it, another file is being pushed, or `may`
    /// forbids it.
    fn push(
        &self,
        notifications: &Notifications,
        ino: u64,
        may: impl FnOnce() -> bool,
        read: impl FnOnce() -> FsResult<Vec<u8>>,
    ) {
        {
            let mut state = self.0.lock();
            let free = state.pushing.is_none() && !state.quiet.contains_key(&ino);
            if !state.started || !free || state.pushed.contains(&ino) || !may() {
                return;
            }
            state.pushing = Some(ino);
        }
        // An error here will recur, and be reported, when the kernel reads the file.
        let read = read();
        if let Ok(bytes) = &read
            && !bytes.is_empty()
        {
            notifications.store(ino, bytes);
        }
        let after = {
            let mut state = self.0.lock();
            state.pushing = None;
            if read.is_ok() {
                state.pushed.insert(ino);
            }
            std::mem::take(&mut state.after)
        };
        for then in after {
            then();
        }
    }

    /// Runs `then` when no push of this inode is under way: at once, or later in the thread that
    /// pushes. No push starts while the [`Quiet`] that `then` receives lives.
    pub(in crate::mount) fn quiesce(&self, ino: u64, then: impl FnOnce(Quiet) + Send + 'static) {
        let quiet = {
            let mut state = self.0.lock();
            *state.quiet.entry(ino).or_default() += 1;
            let quiet = Quiet {
                push: self.clone(),
                ino,
            };
            if state.pushing == Some(ino) {
                state.after.push(Box::new(move || then(quiet)));
                return;
            }
            quiet
        };
        then(quiet);
    }

    /// Waits until no push of this inode is under way. Must not be called in a serving thread.
    pub(in crate::mount) fn wait(&self, ino: u64) {
        let (tell, told) = sync_channel(1);
        self.quiesce(ino, move |quiet| {
            drop(quiet);
            // The receiver below waits for it.
            tell.send(()).ok();
        });
        // Also returns if the sender was dropped with the push.
        told.recv().ok();
    }

    /// Notes that the kernel has the content of a new file from the process that writes it.
    pub(in crate::mount) fn has(&self, ino: u64) {
        self.0.lock().pushed.insert(ino);
    }

    /// Notes that the kernel dropped an inode or its pages.
    pub(in crate::mount) fn forget(&self, ino: u64) {
        self.0.lock().pushed.remove(&ino);
    }
}

impl Vfs {
    /// Pushes a stored file that is opened for reading, before the OPEN reply.
    pub(in crate::mount) fn push_pages(&self, ino: u64) {
        let Ok(View::Node { tree, id }) = self.view(ino) else {
            return;
        };
        let may = || !tree.is_live() || !self.pond.is_open_to_write(id);
        let read = || {
            let node = self.pond.node(tree.at, id)?;
            match node.size <= self.pond.limits().pushed_file {
                true => self.pond.read(tree.at, id, 0, node.size),
                false => Ok(Vec::new()),
            }
        };
        self.push.push(&self.notifications, ino, may, read);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::channel;

    const F: u64 = 7;

    #[test]
    fn what_has_to_come_after_a_push_does_and_nobody_waits_for_it() {
        let push = PagePush::default();
        push.start();
        let (tell, told) = channel();
        let notifications = Notifications::default();
        let opened = push.clone();
        push.push(
            &notifications,
            F,
            || true,
            || {
                let (pushed, tell_other) = (tell.clone(), tell.clone());
                // Simulates another thread during the push.
                opened.quiesce(F, move |_| pushed.send("after").unwrap());
                opened.quiesce(F + 1, move |_| tell_other.send("another file").unwrap());
                tell.send("read").unwrap();
                Ok(b"bytes".to_vec())
            },
        );
        let order: Vec<_> = told.try_iter().collect();
        assert_eq!(order, ["another file", "read", "after"]);
        assert!(push.0.lock().quiet.is_empty() && push.0.lock().pushed.contains(&F));
    }

    #[test]
    fn a_file_is_not_pushed_while_it_is_kept_quiet() {
        let push = PagePush::default();
        push.start();
        let pushed = |push: &PagePush| {
            push.push(&Notifications::default(), F, || true, || Ok(Vec::new()));
            push.0.lock().pushed.contains(&F)
        };
        let own = push.clone();
        push.quiesce(F, move |first| {
            own.quiesce(F, drop);
            assert!(!pushed(&own));
            drop(first);
        });
        assert!(pushed(&push));
        push.wait(F);
    }
}
