//! A daemon with a fault injected at one of its system calls by `strace`.
//!
//! In: the call, its count in a thread, and the fault. Out: whether the fault occurred, so that a
//! test can iterate over all of them. The test judges the daemon's behaviour afterwards.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use crate::mount::{LEAVING, Mount, clear};
use crate::pond::Pond;
use crate::process::mounted_at;
use crate::run::{Started, need};

/// The effect of the fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The process is killed before the call.
    Kill,
    /// The call has no effect and fails with this error, once.
    Error(&'static str),
}

/// The system call of the fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Boundary {
    /// One or more names of system calls, as `strace` knows them.
    pub call: &'static str,
    /// The count of the call in each thread, from 1.
    pub count: usize,
}

/// A mount whose daemon runs under `strace`.
pub struct Faulty<'p> {
    pond: &'p Pond,
    at: PathBuf,
    log: PathBuf,
    strace: Started,
}

impl<'p> Faulty<'p> {
    /// Mounts the pond; returns when it is mounted, or when the fault has ended the daemon.
    #[track_caller]
    pub fn mount(pond: &'p Pond, boundary: Boundary, fault: Fault) -> Faulty<'p> {
        Self::mount_within(pond, None, boundary, fault)
    }

    /// Does the same; with a file, only calls that use it are counted.
    #[track_caller]
    pub fn mount_within(
        pond: &'p Pond,
        file: Option<&Path>,
        boundary: Boundary,
        fault: Fault,
    ) -> Faulty<'p> {
        let (at, log) = (pond.mountpoint("mnt"), pond.outside("strace.log"));
        let Boundary { call, count } = boundary;
        let what = match fault {
            Fault::Kill => "signal=SIGKILL".to_string(),
            Fault::Error(name) => format!("error={name}"),
        };
        let mut strace = crate::run::Run::new(need("strace"));
        if let Some(file) = file {
            strace = strace.arg("-P").arg(file);
        }
        let strace = strace
            .args(["-f", "-qqq", "-e", &format!("trace={call}")])
            .args(["-e", &format!("inject={call}:{what}:when={count}"), "-o"])
            .arg(&log)
            .arg(pond.binary())
            .args(["mount", "--foreground", "-o", "commit=1"])
            .arg(pond.store())
            .arg(&at)
            .without_env("POND_STORE")
            .start();
        let mut faulty = Faulty {
            pond,
            at,
            log,
            strace,
        };
        let deadline = Instant::now() + LEAVING;
        while mounted_at(&faulty.at).is_none() && !faulty.strace.has_ended() {
            assert!(Instant::now() < deadline, "{boundary:?}: no mount, no end");
            thread::sleep(Duration::from_millis(2));
        }
        faulty
    }

    pub fn path(&self) -> &PathBuf {
        &self.at
    }

    /// Unmounts, by force if needed, and returns whether the fault occurred.
    #[track_caller]
    pub fn end(mut self) -> bool {
        if !self.strace.has_ended() {
            self.pond.run(["umount"]).arg(&self.at).outcome();
        }
        clear(&self.at);
        self.strace.wait(LEAVING);
        let log = fs::read_to_string(&self.log).expect("what strace wrote");
        log.contains("(INJECTED)") || log.contains("killed by SIGKILL")
    }
}

impl Drop for Faulty<'_> {
    fn drop(&mut self) {
        clear(&self.at);
    }
}

/// A stalled store: a running daemon's calls that use a file block until this is dropped.
pub struct Stall(Started);

impl Stall {
    #[track_caller]
    pub fn begin(mount: &Mount<'_>, call: &str, file: &Path) -> Stall {
        let daemon = mount.daemon().pid();
        // Longer than any test waits.
        let stall = format!("inject={call}:delay_enter=3600000000");
        let strace = crate::run::Run::new(need("strace"))
            .args(["-f", "-qqq", "-p", &daemon.to_string(), "-P"])
            .arg(file)
            .args(["-e", &format!("trace={call}"), "-e", &stall, "-o"])
            .arg("/dev/null")
            .start();
        let deadline = Instant::now() + LEAVING;
        while !is_traced(daemon) {
            assert!(Instant::now() < deadline, "strace does not attach");
            thread::sleep(Duration::from_millis(2));
        }
        Stall(strace)
    }

    /// Releases all calls.
    pub fn end(self) {
        // Traced processes continue when the tracer has ended.
        drop(self.0);
    }
}

/// Returns whether all threads of a process are traced.
fn is_traced(pid: i32) -> bool {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).expect("the daemon's threads");
    let traced = |task: std::io::Result<fs::DirEntry>| {
        let status = fs::read_to_string(task.ok()?.path().join("status")).ok()?;
        let tracer = status
            .lines()
            .find_map(|line| line.strip_prefix("TracerPid:"))?;
        Some(tracer.trim() != "0")
    };
    tasks.filter_map(traced).all(|traced| traced)
}
