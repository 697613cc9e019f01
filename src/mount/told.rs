//! What the kernel keeps of what is derived in the present, until something changes.
//!
//! In: that the kernel is about to be told of a name or of attributes, and that something changed. Out: how long the
//! kernel may keep them. Holds always: what is answered after a change comes after the kernel has forgotten what it was
//! told before it.
//!
//! To have it forget a name is to wait for all who look up names in that directory, so a thread of its own does
//! that; answers of changes queue behind it, and whoever serves requests is never kept from them.

use super::attr::{FOR_EVER, NOT_AT_ALL};
use super::session::forgotten;
use crate::derive;
use crate::tinyfs::Name;
use fuser::{INodeNo, Notifier};
use parking_lot::Mutex;
use rustc_hash::FxHashSet;
use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering, fence};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// What the kernel was told since something changed last.
#[derive(Default)]
pub(super) struct Told {
    /// Whether there is anything in `kept`.
    any: AtomicBool,
    kept: Mutex<Kept>,
    /// How many jobs are not done.
    jobs: Arc<AtomicUsize>,
    queue: OnceLock<Sender<Job>>,
}

#[derive(Default)]
struct Kept {
    /// Directories whose attributes it keeps. Their names it keeps for ever: of one that is gone the next question
    /// is answered with `ESTALE`, on which the kernel asks for all names of the path again. (Were it to forget the
    /// name, a shell in there would lose its way.)
    dirs: FxHashSet<u64>,
    /// Names of files, by the numbers of their directories.
    names: FxHashSet<(u64, Name)>,
}

enum Job {
    Forget(Kept),
    Then(Box<dyn FnOnce() + Send>),
}

impl Told {
    /// Begins to have the kernel forget; until then it is told to keep nothing.
    pub(super) fn start(&self, notifier: Notifier) -> io::Result<()> {
        let (queue, jobs) = channel();
        let left = self.jobs.clone();
        std::thread::Builder::new()
            .name("forget".into())
            .spawn(move || work(&notifier, &jobs, &left))?;
        self.queue.get_or_init(|| queue);
        Ok(())
    }

    /// How long the kernel may keep the attributes of a directory in this view, which it has asked for by its number.
    pub(super) fn attributes(&self, ino: u64, view: &derive::View) -> Duration {
        self.keep(view, |kept| kept.dirs.insert(ino))
    }

    /// How long the kernel may keep the name of a file in this view.
    pub(super) fn name(&self, parent: u64, name: &Name, view: &derive::View) -> Duration {
        self.keep(view, |kept| kept.names.insert((parent, name.clone())))
    }

    fn keep(&self, view: &derive::View, note: impl FnOnce(&mut Kept) -> bool) -> Duration {
        if self.queue.get().is_none() {
            return NOT_AT_ALL;
        }
        {
            let mut kept = self.kept.lock();
            note(&mut kept);
            self.any.store(true, Ordering::Relaxed);
        }
        // Either this sees a change, or who made it sees this.
        fence(Ordering::SeqCst);
        match view.is_current() {
            true => FOR_EVER,
            false => NOT_AT_ALL,
        }
    }

    /// Something was changed.
    pub(super) fn changed(&self) {
        fence(Ordering::SeqCst);
        if self.any.load(Ordering::Acquire) {
            let mut kept = self.kept.lock();
            self.send(Job::Forget(std::mem::take(&mut *kept)));
            // Who sees this sees the job.
            self.any.store(false, Ordering::Release);
        }
    }

    /// Answers who made a change, when the kernel has forgotten.
    pub(super) fn then(&self, answer: impl FnOnce() + Send + 'static) {
        match self.jobs.load(Ordering::Acquire) {
            0 => answer(),
            _ => self.send(Job::Then(Box::new(answer))),
        }
    }

    /// Waits until the kernel has forgotten. Not for who serves requests.
    pub(super) fn wait(&self) {
        let (done, waiting) = channel::<()>();
        self.then(move || drop(done));
        // It ends when the other end is gone.
        let _ = waiting.recv();
    }

    fn send(&self, job: Job) {
        self.jobs.fetch_add(1, Ordering::AcqRel);
        let failed = match self.queue.get().map(|queue| queue.send(job)) {
            Some(Ok(())) => return,
            Some(Err(failed)) => Some(failed.0),
            None => None,
        };
        // The thread is gone, and with it the mount.
        self.jobs.fetch_sub(1, Ordering::AcqRel);
        if let Some(Job::Then(answer)) = failed {
            answer();
        }
    }
}

/// Does jobs until nobody sends any more.
fn work(notifier: &Notifier, jobs: &Receiver<Job>, left: &AtomicUsize) {
    for job in jobs {
        match job {
            Job::Forget(kept) => {
                for ino in kept.dirs {
                    // Attributes alone.
                    forgotten(notifier.inval_inode(INodeNo(ino), -1, 0));
                }
                for (parent, name) in kept.names {
                    let name = OsStr::from_bytes(name.as_bytes());
                    forgotten(notifier.inval_entry(INodeNo(parent), name));
                }
            }
            Job::Then(answer) => answer(),
        }
        left.fetch_sub(1, Ordering::AcqRel);
    }
}
