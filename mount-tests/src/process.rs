//! Processes by pidfd, so that a signal never reaches an unrelated process, and the mount table.

use std::fs;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

/// A process that is not a child: the daemon behind a mount.
#[derive(Debug)]
pub struct Process {
    pid: i32,
    fd: OwnedFd,
}

impl Process {
    pub fn open(pid: i32) -> io::Result<Self> {
        let id = Pid::from_raw(pid).ok_or_else(|| io::Error::other(format!("{pid} is no pid")))?;
        Ok(Process {
            pid,
            fd: pidfd_open(id, PidfdFlags::empty())?,
        })
    }

    pub fn pid(&self) -> i32 {
        self.pid
    }

    pub fn try_clone(&self) -> io::Result<Self> {
        Ok(Process {
            pid: self.pid,
            fd: self.fd.try_clone()?,
        })
    }

    /// Sends a signal; ignored if the process has ended.
    pub fn signal(&self, signal: Signal) {
        match pidfd_send_signal(&self.fd, signal) {
            Ok(()) | Err(rustix::io::Errno::SRCH) => {}
            Err(error) => panic!("cannot signal process {}: {error}", self.pid),
        }
    }

    /// Waits until it has ended, reaped or not; returns false if it still runs after `limit`.
    pub fn ended(&self, limit: Duration) -> bool {
        let mut poll = libc::pollfd {
            fd: self.fd.as_raw_fd(),
            events: libc::POLLIN,
            revents: 0,
        };
        // SAFETY: one valid pollfd, which outlives the call.
        let ready = unsafe { libc::poll(&mut poll, 1, limit.as_millis() as i32) };
        ready == 1
    }

    /// Returns a line of `/proc/PID/status`, such as the resident memory.
    pub fn field(&self, name: &str) -> Option<String> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid)).ok()?;
        let line = status.lines().find(|line| line.starts_with(name))?;
        Some(
            line[name.len()..]
                .trim_start_matches(':')
                .trim()
                .to_string(),
        )
    }

    /// Returns a numeric field of `/proc/PID/status`: memory in kB, or the number of threads.
    pub fn count(&self, name: &str) -> Option<u64> {
        self.field(name)?.split(' ').next()?.parse().ok()
    }

    /// Returns the number of its open files.
    pub fn descriptors(&self) -> Option<u64> {
        let list = fs::read_dir(format!("/proc/{}/fd", self.pid)).ok()?;
        Some(list.count() as u64)
    }
}

/// One line of the kernel's mount table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mounted {
    pub at: PathBuf,
    pub kind: String,
    pub source: String,
    pub options: String,
}

/// Returns the mount at exactly this path, if there is one; dead mounts too, since it is not
/// accessed.
pub fn mounted_at(path: &Path) -> Option<Mounted> {
    mounts().into_iter().rfind(|mount| mount.at == path)
}

/// Returns all mountpoints below a directory, the innermost first.
pub fn mounted_below(dir: &Path) -> Vec<PathBuf> {
    mounts()
        .into_iter()
        .rev()
        .map(|mount| mount.at)
        .filter(|at| at.starts_with(dir))
        .collect()
}

fn mounts() -> Vec<Mounted> {
    let list = fs::read_to_string("/proc/self/mountinfo").expect("the kernel's mount list");
    list.lines().filter_map(parse).collect()
}

fn parse(line: &str) -> Option<Mounted> {
    let (before, after) = line.split_once(" - ")?;
    let before: Vec<&str> = before.split(' ').collect();
    let mut after = after.split(' ');
    let (kind, source) = (after.next()?, after.next()?);
    let options = format!("{},{}", before.get(5)?, after.next()?);
    Some(Mounted {
        at: unescape(before.get(4)?),
        kind: kind.into(),
        source: source.into(),
        options,
    })
}

/// Decodes the kernel's octal escapes of space, tab, newline and backslash.
fn unescape(text: &str) -> PathBuf {
    let bytes = text.as_bytes();
    let (mut out, mut i) = (Vec::with_capacity(bytes.len()), 0);
    while i < bytes.len() {
        let octal = (bytes[i] == b'\\')
            .then(|| text.get(i + 1..i + 4))
            .flatten();
        match octal.and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(byte) => {
                out.push(byte);
                i += 4;
            }
            None => {
                out.push(bytes[i]);
                i += 1;
            }
        }
    }
    std::ffi::OsString::from_vec(out).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_mount_list_is_understood() {
        let line = r"36 35 98:0 / /mnt/a\040b\134c rw,nosuid shared:1 - fuse.pondmount /srv/pond rw,user_id=0";
        let mount = parse(line).unwrap();
        assert_eq!(mount.at, Path::new(r"/mnt/a b\c"));
        assert_eq!(
            (mount.kind.as_str(), mount.source.as_str()),
            ("fuse.pondmount", "/srv/pond")
        );
        assert_eq!(mount.options, "rw,nosuid,rw,user_id=0");
        assert!(
            mounted_at(Path::new("/proc")).is_some()
                && mounted_at(Path::new("/proc/self")).is_none()
        );
    }

    #[test]
    fn a_process_is_signalled_and_its_end_is_seen() {
        let child = crate::run::tool("sleep").arg("60").start();
        let process = Process::open(child.pid()).unwrap();
        assert!(!process.ended(Duration::from_millis(10)));
        assert!(
            process
                .field("VmRSS")
                .is_some_and(|memory| memory.ends_with("kB"))
        );
        assert_eq!(process.count("Threads"), Some(1));
        assert!(process.descriptors().is_some_and(|open| open >= 3));
        process.signal(Signal::KILL);
        assert!(process.ended(Duration::from_secs(5)));
    }
}
