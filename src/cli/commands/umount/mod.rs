//! `pondmount umount`: unmounts a pond, and returns when all of it is committed and its process is
//! gone.

mod force;

use crate::cli::control::{
    Client, DEAD_MOUNT, MountState, Request, daemon_of, folder, is_stopped, mount_of, mount_state,
    other_namespace_with,
};
use crate::cli::failure::Failure;
use crate::cli::output::Output;
use crate::cli::place::{self, Place, resolve};
use crate::disk::AnchoredDir;
use crate::mount::{self, Mount, MountError};
use crate::pond::lock::{self, Closed, Holder};
use clap::Args;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

/// How long the last commit may take.
const LIMIT: Duration = Duration::from_secs(300);
/// After a lazy unmount the daemon ends when the last file is closed, which may be never.
const LAZY_LIMIT: Duration = Duration::from_secs(2);
/// How long the daemon may go on before other mount namespaces are searched for its mount.
const NAMESPACE_DELAY: Duration = Duration::from_secs(2);

/// Unmount a pond
///
/// Every change is committed, and the command returns when the process behind the mount has ended.
/// A mount that has died is removed.
#[derive(Debug, Args)]
pub struct Umount {
    /// Where the pond is mounted
    #[arg(value_name = "MOUNTPOINT")]
    mountpoint: PathBuf,
    /// Hide the mount at once; programs that have files open keep them until they are done
    #[arg(long)]
    lazy: bool,
    /// Free a mount whose process is stopped or stuck: programs that wait for it get an error, and
    /// the process is ended, by SIGKILL if need be; what was not synced may be lost then
    #[arg(long, conflicts_with = "lazy")]
    force: bool,
}

pub(super) fn run(args: &Umount, output: &Output) -> Result<u8, Failure> {
    let mount = find(&args.mountpoint)?;
    if !mount.is_ours() {
        let owner = mount.owner.map(user_name);
        return Err(MountError::NotYours {
            mountpoint: mount.mountpoint,
            owner: owner.unwrap_or_else(|| "another user".to_owned()),
        }
        .into());
    }
    match args.force {
        true => force::run(&mount, output),
        false => unmount(&mount, args.lazy, output),
    }
}

/// How the end of the daemon is detected.
enum Watch {
    /// By its reply over the control socket.
    Socket(Client),
    /// The daemon has no socket: the lock is released, and says how the pond was closed.
    Lock(AnchoredDir, Holder),
    /// The daemon has ended already.
    Ended,
    /// The daemon cannot be seen by this process.
    Invisible,
}

/// The state of the daemon after the unmount.
enum Outcome {
    /// It has ended.
    Ended,
    /// It continues: the mount namespace of this process still has the mount.
    MountedIn(u32),
    /// It has not ended in time.
    Running(Option<u32>),
}

fn unmount(mount: &Mount, lazy: bool, output: &Output) -> Result<u8, Failure> {
    let mut watch = watch(mount)?;
    let mut synced: Result<Value, Failure> = Ok(Value::Null);
    if let Watch::Socket(daemon) = &mut watch {
        // If no version can be made now, changes stay in the journal, and the end says why.
        synced = daemon.ask(&Request::Sync);
        match &synced {
            Err(failure) if failure.is_silent() && !lazy => return synced.map(|_| 0),
            Err(failure) => tracing::debug!("before unmounting: {failure}"),
            Ok(_) => {}
        }
        // Sent before the unmount: the daemon may end right after it.
        if daemon.send(&Request::End).is_err() {
            watch = watch_lock(mount);
        }
    }
    mount::unmount(&mount.mountpoint, lazy)?;
    let mounts = place::mounts()?;
    if let Some(other) = mounts.iter().find(|other| other.device == mount.device) {
        // A bind mount of the pond.
        synced?;
        output.notice(&format!(
            "the pond is still mounted at {}, and its process ends with the last of its mounts",
            other.mountpoint.display()
        ));
        return Ok(0);
    }
    let limit = match lazy {
        true => LAZY_LIMIT,
        false => LIMIT,
    };
    let outcome = match watch {
        Watch::Socket(daemon) => wait_for_answer(daemon, mount, limit)?,
        Watch::Lock(folder, holder) => wait_for_lock(&folder, &holder, limit)?,
        Watch::Ended => Outcome::Ended,
        Watch::Invisible => return Err(invisible(mount)),
    };
    match outcome {
        Outcome::Ended => {}
        Outcome::MountedIn(pid) => {
            synced?;
            output.notice(&format!(
                "the pond is still mounted in another mount namespace, that of process {pid} (a \
                 container, say), and its process ends with the last of its mounts"
            ));
        }
        Outcome::Running(_) if lazy => {
            output.notice("the process behind the mount ends when the last of its files is closed");
        }
        Outcome::Running(pid) => return Err(still_running(mount, pid)),
    }
    Ok(0)
}

/// Finds the mount at exactly this path, so that no path inside it unmounts it by mistake.
fn find(path: &Path) -> Result<Mount, Failure> {
    let resolved = resolve(path)?;
    let mounts = place::mounts()?;
    let around = place::around(&mounts, &resolved);
    if let Some(mount) = around.filter(|mount| mount.mountpoint == resolved) {
        return Ok(mount.clone());
    }
    let failure = Failure::from(MountError::NotMounted(path.to_owned()));
    let by_lock = || mount_of(&lock::holder(&resolved).ok()??);
    let by_source = || {
        let mut mounts = mounts.iter();
        mounts.find(|mount| mount.source == resolved).cloned()
    };
    Err(match around.cloned().or_else(by_lock).or_else(by_source) {
        Some(mount) => failure.hinted(format!(
            "that pond is mounted at {}",
            mount.mountpoint.display()
        )),
        None => failure,
    })
}

/// Returns the name of a user, if `/etc/passwd` has it.
fn user_name(id: u32) -> String {
    let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let name = users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(id)).then(|| name.to_owned())
    });
    match name {
        Some(name) => format!("the user {name} ({id})"),
        None => format!("the user {id}"),
    }
}

fn watch(mount: &Mount) -> Result<Watch, Failure> {
    let place = Place {
        pond: mount.source.clone(),
        mount: Some(mount.clone()),
    };
    let folder = match folder(&place) {
        Err(failure) if failure.code == DEAD_MOUNT => return Ok(Watch::Ended),
        folder => folder?,
    };
    match Client::connect(&folder) {
        Ok(client) => Ok(Watch::Socket(client)),
        Err(failure) if failure.is_silent() => Err(failure),
        Err(_) => Ok(watch_lock(mount)),
    }
}

fn watch_lock(mount: &Mount) -> Watch {
    let Some(daemon) = daemon_of(mount) else {
        return match mount_state(mount) {
            MountState::Dead => Watch::Ended,
            _ => Watch::Invisible,
        };
    };
    let folder = daemon
        .folder
        .and_then(|folder| AnchoredDir::open(&folder).ok());
    let Some(folder) = folder else {
        return Watch::Invisible;
    };
    match lock::holder(&folder.access_path(folder.path())) {
        Ok(Some(holder)) => Watch::Lock(folder, holder),
        Ok(None) => Watch::Ended,
        Err(_) => Watch::Invisible,
    }
}

/// Waits for the answer to [`Request::End`] and for the end of the daemon.
fn wait_for_answer(mut daemon: Client, mount: &Mount, limit: Duration) -> Result<Outcome, Failure> {
    let deadline = Instant::now() + limit;
    let left = || deadline.saturating_duration_since(Instant::now());
    let pid = daemon.pid();
    let mut end: Result<Value, Failure> = daemon.answer(Some(limit.min(NAMESPACE_DELAY)));
    if end.as_ref().is_err_and(Failure::is_silent) && !pid.is_some_and(is_stopped) {
        if let Some(other) = other_namespace_with(mount) {
            return Ok(Outcome::MountedIn(other));
        }
        end = daemon.answer(Some(left()));
    }
    match &end {
        Err(failure) if failure.is_silent() => return Ok(Outcome::Running(pid)),
        // It ended before it could answer, and had nothing to do.
        Err(failure) if failure.is_lost() => end = Ok(Value::Null),
        _ => {}
    }
    let gone = daemon.wait_for_end(left().max(Duration::from_secs(1)));
    end?;
    Ok(match gone {
        true => Outcome::Ended,
        false => Outcome::Running(pid),
    })
}

/// Waits until the daemon has released its lock, and reads there how the pond was closed.
fn wait_for_lock(folder: &AnchoredDir, held: &Holder, limit: Duration) -> Result<Outcome, Failure> {
    let pond = folder.access_path(folder.path());
    let deadline = Instant::now() + limit;
    let is_held = || -> Result<bool, Failure> {
        let holder = lock::holder(&pond)?;
        Ok(holder.is_some_and(|holder| holder.token == held.token))
    };
    while is_held()? {
        if Instant::now() > deadline {
            return Ok(Outcome::Running(Some(held.pid)));
        }
        thread::sleep(Duration::from_millis(20));
    }
    let last = lock::last_holder(&pond).filter(|last| last.token == held.token);
    match last.map(|last| last.closed) {
        // Another process has opened the pond since.
        None | Some(Some(Closed::InOrder)) => Ok(Outcome::Ended),
        Some(Some(Closed::Failed(why))) => Err(Failure::new(
            "not_closed",
            format!("the last version could not be made: {why}"),
        )),
        Some(None) => Err(Failure::new(
            "not_closed",
            format!(
                "process {} has ended without closing the pond: what was not flushed is lost",
                held.pid
            ),
        )),
    }
}

fn invisible(mount: &Mount) -> Failure {
    let message = format!(
        "{} is unmounted, but its daemon cannot be seen from here, nor whether it has made its \
         last version",
        mount.mountpoint.display()
    );
    Failure::new("daemon_invisible", message)
        .hinted("unmount where the daemon runs: as its user, in its container")
}

fn still_running(mount: &Mount, pid: Option<u32>) -> Failure {
    let who = pid.map_or("its daemon".to_owned(), |pid| format!("process {pid}"));
    let message = format!(
        "{} is unmounted, but {who} is still at work on the pond {}",
        mount.mountpoint.display(),
        mount.source.display()
    );
    let failure = Failure::new("daemon_silent", message);
    match pid.filter(|pid| is_stopped(*pid)) {
        Some(pid) => failure.hinted(format!("it is stopped: `kill -CONT {pid}` lets it go on")),
        None => {
            failure.hinted("it may have much to commit: do not kill it, wait until it has ended")
        }
    }
}
