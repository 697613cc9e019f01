//! A mount that is always removed: at the end of the test, in a panic, after a kill, after a hang.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

use rustix::mount::{UnmountFlags, unmount};
use rustix::process::Signal;
use serde_json::Value;

use crate::pond::{Pond, number};
use crate::process::{Process, mounted_at};
use crate::run::tool;

/// How long a daemon may take to finish its work and end.
pub const LEAVING: Duration = Duration::from_secs(60);

/// A mounted pond.
pub struct Mount<'p> {
    pond: &'p Pond,
    at: PathBuf,
    daemon: Option<Process>,
    watchdog: Option<Sender<()>>,
    /// How long the mount command took.
    pub took: Duration,
}

impl<'p> Mount<'p> {
    /// Mounts in the background. Checks that the mount is there when the command returns.
    #[track_caller]
    pub fn new(pond: &'p Pond, at: PathBuf, args: &[&str]) -> Mount<'p> {
        let start = Instant::now();
        pond.run(["mount"])
            .args(args)
            .arg(pond.store())
            .arg(&at)
            .limit(LEAVING)
            .ok();
        Mount::adopt(pond, at, start.elapsed())
    }

    /// Takes ownership of a mount that was made by other means.
    #[track_caller]
    pub fn adopt(pond: &'p Pond, at: PathBuf, took: Duration) -> Mount<'p> {
        // The guard is created first, so that it cleans up if anything below panics.
        let mut mount = Mount {
            pond,
            at,
            daemon: None,
            watchdog: None,
            took,
        };
        assert!(
            mounted_at(&mount.at).is_some(),
            "mount said yes, but nothing is mounted on {}",
            mount.at.display()
        );
        let pid = number(&pond.status(), "pid") as i32;
        let daemon =
            Process::open(pid).unwrap_or_else(|error| panic!("status says pid {pid}: {error}"));
        mount.watchdog = Some(watch(&daemon));
        mount.daemon = Some(daemon);
        mount
    }

    pub fn path(&self) -> &Path {
        &self.at
    }

    pub fn join(&self, name: impl AsRef<Path>) -> PathBuf {
        self.at.join(name)
    }

    /// Returns the path of the tree at a version.
    pub fn version(&self, version: u64) -> PathBuf {
        self.at.join(format!("@version/{version}"))
    }

    pub fn daemon(&self) -> &Process {
        self.daemon.as_ref().expect("a running daemon")
    }

    /// Runs `pondmount status MOUNTPOINT`.
    #[track_caller]
    pub fn status(&self) -> Value {
        self.pond
            .run(["--json", "status"])
            .arg(&self.at)
            .ok()
            .json()
    }

    /// Commits now, and returns the number of the newest version.
    #[track_caller]
    pub fn sync(&self) -> u64 {
        number(
            &self.pond.run(["--json", "sync"]).arg(&self.at).ok().json(),
            "version",
        )
    }

    /// Runs `pondmount umount`, and checks that the mount and the daemon are gone.
    #[track_caller]
    pub fn unmount(mut self) {
        self.pond.run(["umount"]).arg(&self.at).limit(LEAVING).ok();
        // The command waits for the daemon, so that it has at most its last instructions left to
        // run.
        self.expect_gone(Duration::from_secs(2));
    }

    /// Checks that the mount and its daemon end by themselves within `limit`.
    #[track_caller]
    pub fn expect_gone(&mut self, limit: Duration) {
        assert!(
            self.daemon().ended(limit),
            "the daemon is still there after {limit:?}"
        );
        assert_eq!(
            mounted_at(&self.at),
            None,
            "the daemon has ended, its mount has not"
        );
    }

    /// Unmounts and mounts again.
    #[track_caller]
    pub fn remount(self) -> Mount<'p> {
        let (pond, at) = (self.pond, self.at.clone());
        self.unmount();
        Mount::new(pond, at, &[])
    }

    /// Unmounts, deletes the index, which the oplog can rebuild, and mounts again.
    #[track_caller]
    pub fn remount_without_index(self) -> Mount<'p> {
        let (pond, at) = (self.pond, self.at.clone());
        self.unmount();
        pond.forget_index();
        Mount::new(pond, at, &[])
    }

    /// Kills the daemon like a crash, and removes the dead mount.
    #[track_caller]
    pub fn kill9(self) {
        self.kill9_leaving_the_mount_dead();
    }

    /// Kills the daemon and leaves the dead mount in place; `drop` of the guard removes it.
    #[track_caller]
    pub fn kill9_leaving_the_mount_dead(&self) {
        self.daemon().signal(Signal::KILL);
        assert!(self.daemon().ended(LEAVING), "the daemon survives kill -9");
    }
}

impl Drop for Mount<'_> {
    fn drop(&mut self) {
        self.watchdog = None;
        let running = self
            .daemon
            .as_ref()
            .is_none_or(|daemon| !daemon.ended(Duration::ZERO));
        if running && mounted_at(&self.at).is_some() {
            // Tries an orderly end first.
            let umount = self.pond.run(["umount"]).arg(&self.at).limit(LEAVING);
            let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| umount.outcome()));
        }
        if let Some(daemon) = &self.daemon {
            daemon.signal(Signal::KILL);
            daemon.ended(LEAVING);
        }
        clear(&self.at);
    }
}

/// Removes all mounts at this path, live or dead.
pub fn clear(at: &Path) {
    while mounted_at(at).is_some() {
        if unmount(at, UnmountFlags::DETACH).is_err()
            && !tool("fusermount3")
                .args(["-u", "-z"])
                .arg(at)
                .outcome()
                .succeeded()
        {
            eprintln!("cannot unmount {}", at.display());
            return;
        }
    }
}

/// Kills the daemon if the mount lives too long, so that a hang becomes errors in the waiting
/// calls.
fn watch(daemon: &Process) -> Sender<()> {
    let limit = Duration::from_secs(crate::setting("POND_TEST_LIMIT", 900));
    let daemon = daemon.try_clone().expect("dup a pidfd");
    let (alive, over) = mpsc::channel();
    thread::spawn(move || {
        if over.recv_timeout(limit) == Err(RecvTimeoutError::Timeout) {
            eprintln!(
                "a mount is older than {limit:?}: killing its daemon {}",
                daemon.pid()
            );
            daemon.signal(Signal::KILL);
        }
    });
    alive
}
