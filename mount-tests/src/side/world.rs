//! A thread whose root is the directory under test, so that absolute paths, `..` and `getcwd` mean
//! the same on both sides and nothing outside can be reached.
//!
//! In: a directory and a body. Out: the result of the body. Invariants: user, umask, root and
//! working directory are the thread's own; when it ends it keeps nothing open in the directory, so
//! that it can be unmounted.

use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::Path;
use std::thread;

use rustix::fs::{CWD, Gid, Mode, OFlags, Uid, openat};
use rustix::process::{chdir, chroot, fchdir, umask};
use rustix::thread::{
    UnshareFlags, set_thread_groups, set_thread_res_gid, set_thread_res_uid, unshare_unsafe,
};

use super::op::{Base, Place, SLOTS, User};

pub const ALICE: u32 = 10_001;
pub const BOB: u32 = 10_002;
/// A group that Alice is in, and Bob is not.
pub const CLUB: u32 = 20_001;

/// State that the operations of one sequence share.
pub struct World {
    pub root: OwnedFd,
    /// `/proc`, which no path reaches from here.
    pub proc: OwnedFd,
    pub slots: [Option<OwnedFd>; SLOTS],
}

/// Runs `body` in a thread whose root is `root`.
pub fn within<T: Send>(root: &Path, body: impl FnOnce(&mut World) -> T + Send) -> T {
    let inhabit = || {
        // SAFETY: root, working directory and umask are unshared, which hold no memory.
        unsafe { unshare_unsafe(UnshareFlags::FS) }.expect("unshare");
        let (outside, proc) = (directory("/"), directory("/proc"));
        chroot(root).expect("chroot");
        chdir("/").expect("chdir");
        umask(Mode::from_raw_mode(0o022));
        let mut world = World {
            root: directory("/"),
            proc,
            slots: Default::default(),
        };
        let out = body(&mut world);
        drop(world);
        // The kernel may keep the root of a thread for a moment after it was joined.
        fchdir(&outside).and_then(|()| chroot(".")).expect("leave");
        out
    };
    thread::scope(|scope| match scope.spawn(inhabit).join() {
        Ok(out) => out,
        Err(panic) => std::panic::resume_unwind(panic),
    })
}

fn directory(path: &str) -> OwnedFd {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    openat(CWD, path, flags, Mode::empty()).expect("open a directory")
}

impl World {
    /// Returns the directory of a path; `None` if the slot is empty.
    pub fn base(&self, place: &Place) -> Option<BorrowedFd<'_>> {
        use std::os::fd::AsFd;
        match place.base {
            Base::Root => Some(self.root.as_fd()),
            Base::Cwd => Some(CWD),
            Base::Slot(slot) => self.slots[slot].as_ref().map(AsFd::as_fd),
        }
    }

    /// Returns the path for calls that take no directory; `None` if it begins at an open file.
    pub fn path(&self, place: &Place) -> Option<Vec<u8>> {
        let path = &place.path.0;
        match place.base {
            Base::Root if !path.is_empty() => Some([b"/", &path[..]].concat()),
            Base::Root | Base::Cwd => Some(path.clone()),
            Base::Slot(_) => None,
        }
    }
}

/// Switches the thread to this user and its groups. The saved user stays root, so that it can
/// switch again.
pub fn act_as(user: User) {
    let (id, groups): (u32, &[Gid]) = match user {
        User::Root => (0, &[]),
        User::Alice => (ALICE, &[Gid::from_raw(CLUB)]),
        User::Bob => (BOB, &[]),
    };
    let (uid, gid) = (Uid::from_raw(id), Gid::from_raw(id));
    set_thread_res_uid(Uid::ROOT, Uid::ROOT, Uid::ROOT)
        .and_then(|()| set_thread_groups(groups))
        .and_then(|()| set_thread_res_gid(gid, gid, gid))
        .and_then(|()| set_thread_res_uid(uid, uid, Uid::ROOT))
        .expect("become another user");
}
