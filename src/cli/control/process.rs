//! A process by a pidfd, which stays valid when the process id is reused.

use super::daemon::has_ended;
use rustix::fd::OwnedFd;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use std::thread;
use std::time::{Duration, Instant};

/// The interval at which the end of a process is polled.
const POLL: Duration = Duration::from_millis(5);

/// A process that has not been waited for.
#[derive(Debug)]
pub struct Process {
    pid: u32,
    handle: OwnedFd,
}

impl Process {
    /// Opens the process with this number. `None` if it has ended.
    pub fn open(pid: u32) -> Option<Process> {
        let id = Pid::from_raw(i32::try_from(pid).ok()?)?;
        let handle = pidfd_open(id, PidfdFlags::empty()).ok()?;
        Some(Process { pid, handle })
    }

    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Sends a signal. Nothing happens if the process has ended.
    pub fn signal(&self, signal: Signal) {
        if let Err(error) = pidfd_send_signal(&self.handle, signal) {
            tracing::debug!("cannot send a signal to process {}: {error}", self.pid);
        }
    }

    /// Waits at most for `limit` until the process has ended with all of its threads: its files and
    /// folders are closed then. Returns whether it has.
    pub fn ends_within(&self, limit: Duration) -> bool {
        let deadline = Instant::now() + limit;
        while !has_ended(self.pid) {
            if Instant::now() > deadline {
                return false;
            }
            thread::sleep(POLL);
        }
        true
    }
}
