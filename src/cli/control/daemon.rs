//! Finds the process that serves a mount, and whether there is one.
//!
//! Commands use it to reach the daemon of a mountpoint. The kernel lists a mount with the path that
//! its pond had at mount time. Since then the pond may have been moved or removed, and another one
//! may stand at that path. The lock of a pond decides: its holder notes the device number of its
//! mount, unique among the mounts that a host has at one time, and its source. The lock is read in
//! the folder that the kernel lists, and else through the open files of all processes in `/proc`.
//!
//! Invariant: a process counts as the daemon of a mount only if a lock that it has open says so.

use crate::cli::failure::Failure;
use crate::mount::{self, Mount};
use crate::pond::PondError;
use crate::pond::lock::{self, Holder};
use rustix::fs::stat;
use std::ffi::OsString;
use std::fs::File;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// How long a mount may take to answer the probe that asks whether it is dead.
const PROBE_LIMIT: Duration = Duration::from_secs(2);
/// The program's name (`argv[0]`) when it runs as that probe.
const PROBE: &str = "pondmount-probe";
/// The exit code of the probe for a dead mount.
const DEAD: u8 = 3;

/// The daemon of a mount.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Daemon {
    /// Its process, as numbered where it runs.
    pub pid: u32,
    /// A path that opens the pond's folder; `None` once that was removed.
    pub folder: Option<PathBuf>,
    /// The folder's current path, for messages.
    pub pond: Option<PathBuf>,
}

/// Whether a process serves a mount.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MountState {
    /// This one does.
    Served(Daemon),
    /// None does any more: every access fails with `ENOTCONN`.
    Dead,
    /// Unknown: the mount belongs to another user, or its daemon is in another container.
    Unknown,
}

/// Returns the daemon of `mount`, if this user may see it.
pub fn daemon_of(mount: &Mount) -> Option<Daemon> {
    let holder = lock::holder(&mount.source).ok().flatten();
    match holder.filter(|holder| serves(holder, mount)) {
        Some(holder) => Some(Daemon {
            pid: holder.pid,
            folder: Some(mount.source.clone()),
            pond: Some(mount.source.clone()),
        }),
        None => find_in_proc(mount),
    }
}

/// Returns whether a process serves `mount`, without waiting for one that is stuck.
pub fn mount_state(mount: &Mount) -> MountState {
    match daemon_of(mount) {
        Some(daemon) => MountState::Served(daemon),
        // The kernel answers `statfs` by other users without asking the daemon.
        None if !mount.is_ours() => MountState::Unknown,
        None if is_dead(&mount.mountpoint) => MountState::Dead,
        None => MountState::Unknown,
    }
}

/// Returns the pid of the daemon in this process's own pid namespace, where signals go.
pub fn process_of(mount: &Mount) -> Option<u32> {
    Some(find_in_proc(mount)?.pid)
}

/// Returns whether the pond at `pond` is served by the daemon of another mount than `mount`.
pub fn is_served_elsewhere(pond: &Path, mount: &Mount) -> bool {
    let holder = lock::holder(pond).ok().flatten();
    let device = holder.and_then(|holder| holder.device);
    device.is_some_and(|device| device != mount.device)
}

/// Returns the mount that the holder of a pond serves, as the kernel lists it now.
pub fn mount_of(holder: &Holder) -> Option<Mount> {
    let mounts = mount::mounts().ok()?;
    mounts.into_iter().find(|mount| serves(holder, mount))
}

/// Returns whether the holder of a pond serves this mount. A device number alone does not prove it:
/// the kernel may have assigned it to the mount of another pond since.
fn serves(holder: &Holder, mount: &Mount) -> bool {
    let same_source = |source: &PathBuf| *source == mount.source;
    holder.device.as_ref() == Some(&mount.device) && holder.source.as_ref().is_none_or(same_source)
}

/// Returns the ids of all processes.
fn processes() -> impl Iterator<Item = u32> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

fn find_in_proc(mount: &Mount) -> Option<Daemon> {
    processes().find_map(|pid| find_in_process(pid, mount))
}

/// Looks for the lock of the mount's pond among the open files of process `pid`.
fn find_in_process(pid: u32, mount: &Mount) -> Option<Daemon> {
    // `/proc` does not list the files of other users' processes.
    let files = std::fs::read_dir(format!("/proc/{pid}/fd")).ok()?;
    let files: Vec<PathBuf> = files.flatten().map(|entry| entry.path()).collect();
    let target = |file: &Path| file.read_link().unwrap_or_default();
    // Every daemon has this open, and few other processes do.
    if !files
        .iter()
        .any(|file| target(file) == Path::new("/dev/fuse"))
    {
        return None;
    }
    let lock = files.iter().find(|file| {
        is_named(&target(file), lock::FILE) && file.is_file() && {
            let opened = File::open(file).ok();
            let holder = opened.and_then(|mut lock| lock::read(&mut lock));
            holder.is_some_and(|holder| serves(&holder, mount))
        }
    })?;
    // The daemon keeps the folder open; its path in `/proc` works wherever the folder is.
    let folder = files
        .iter()
        .find(|file| file.is_dir() && is_same_file(&file.join(lock::FILE), lock));
    Some(Daemon {
        pid,
        folder: folder.cloned(),
        pond: folder.map(|folder| target(folder)),
    })
}

/// Returns whether the target of a link in `/proc/PID/fd` has this name, also if it was removed.
fn is_named(target: &Path, expected: &str) -> bool {
    let name = target.file_name().and_then(|name| name.to_str());
    name.is_some_and(|name| name.strip_suffix(" (deleted)").unwrap_or(name) == expected)
}

fn is_same_file(a: &Path, b: &Path) -> bool {
    match (stat(a), stat(b)) {
        (Ok(a), Ok(b)) => (a.st_dev, a.st_ino) == (b.st_dev, b.st_ino),
        _ => false,
    }
}

/// Returns a process whose mount namespace has the file system of `mount`, if there is one.
pub fn other_namespace_with(mount: &Mount) -> Option<u32> {
    // The kernel reuses the device number of a removed mount while its daemon still commits: the
    // source is compared too.
    let is_it = |seen: &Mount| seen.device == mount.device && seen.source == mount.source;
    processes().find(|pid| {
        // A process that has ended meanwhile has no mounts.
        mount::mounts_seen_by(*pid).is_ok_and(|mounts| mounts.iter().any(is_it))
    })
}

/// Returns the state letter in `/proc/PID/stat`: `T` for stopped, `Z` for ended and not reaped.
pub fn process_state(pid: u32) -> Option<char> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The process name before it is in parentheses, and may contain some.
    stat.rsplit_once(") ")?.1.chars().next()
}

/// Returns whether a process is stopped by a signal or a debugger.
pub fn is_stopped(pid: u32) -> bool {
    matches!(process_state(pid), Some('T' | 't'))
}

/// Returns whether a process has ended with all of its threads.
pub fn has_ended(pid: u32) -> bool {
    let threads = || std::fs::read_dir(format!("/proc/{pid}/task")).map_or(0, Iterator::count);
    match process_state(pid) {
        None => true,
        Some('Z' | 'X') => threads() <= 1,
        Some(_) => false,
    }
}

/// Converts an error of opening a pond to a failure that names the current mountpoint of the
/// holder, and the current path of a pond that was moved while it is mounted.
pub fn explain(error: PondError) -> Failure {
    match error {
        PondError::Locked { path, mut holder } => {
            if let Some(mount) = mount_of(&holder) {
                holder.mountpoint = Some(mount.mountpoint);
            }
            PondError::Locked { path, holder }.into()
        }
        PondError::Missing(path) => match moved_from(&path) {
            Some(failure) => failure,
            None => PondError::Missing(path).into(),
        },
        error => error.into(),
    }
}

/// Returns the failure for a pond that was mounted from `path` and has been moved since.
fn moved_from(path: &Path) -> Option<Failure> {
    let mounts = mount::mounts().ok()?;
    let mut served = mounts
        .iter()
        .filter(|mount| mount.source == path)
        .filter_map(|mount| Some((mount, daemon_of(mount)?)));
    let (mount, daemon) = served.next()?;
    let message = format!(
        "the pond that was at {} is at {} now, and is in use by process {}",
        path.display(),
        daemon.pond?.display(),
        daemon.pid
    );
    let in_use = PondError::Locked {
        path: path.to_owned(),
        holder: Box::default(),
    };
    let failure = Failure {
        exit: in_use.exit_code(),
        ..Failure::new("moved", message)
    };
    Some(failure.hinted(format!("it is mounted at {}", mount.mountpoint.display())))
}

/// Returns whether no process serves the mount any more.
///
/// A child process sends the request: a process that waits for a stuck daemon may wait for ever,
/// and no signal ends that wait.
fn is_dead(mountpoint: &Path) -> bool {
    let mut probe = Command::new(program());
    probe.arg0(PROBE).arg(mountpoint);
    probe
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let Ok(mut probe) = probe.spawn() else {
        return false;
    };
    let deadline = Instant::now() + PROBE_LIMIT;
    while Instant::now() < deadline {
        match probe.try_wait() {
            Ok(Some(status)) => return status.code() == Some(DEAD.into()),
            Ok(None) => thread::sleep(Duration::from_millis(2)),
            Err(_) => break,
        }
    }
    // It ends with the mount, and init reaps it.
    if let Err(error) = probe.kill() {
        let at = mountpoint.display();
        tracing::debug!("the process that probes {at} goes on: {error}");
    }
    false
}

/// Returns whether the program was started as a probe.
pub fn is_probe(arguments: &[OsString]) -> bool {
    arguments.first().is_some_and(|name| name == PROBE)
}

/// Runs the probe: its exit code says whether the mount is dead.
pub fn probe(arguments: &[OsString]) -> ExitCode {
    match arguments.get(1) {
        Some(mountpoint) if mount::is_dead(Path::new(mountpoint)) => ExitCode::from(DEAD),
        _ => ExitCode::SUCCESS,
    }
}

/// Returns a path to the running program, even if its file has been replaced.
pub fn program() -> PathBuf {
    std::env::current_exe()
        .ok()
        .filter(|path| path.is_file())
        .unwrap_or_else(|| "/proc/self/exe".into())
}
