//! `pondmount umount --force`: frees a mount whose daemon is stopped, stuck or dead.
//!
//! A stopped process is continued, and a daemon that answers commits. Then the connection to the
//! kernel is aborted, which fails all requests that wait for the daemon; the mount is removed; and
//! the daemon is ended, by SIGKILL if it does not end by itself.
//!
//! Where the kernel does not let this user abort the connection, the daemon is ended first. That
//! closes the connection too, unless a thread of the daemon waits in the kernel for its own mount.
//! Then only root can help, and the mount is left in place for `sudo pondmount umount --force`.

use crate::cli::control::{Client, Process, Request, daemon_of, process_of};
use crate::cli::failure::Failure;
use crate::cli::output::Output;
use crate::cli::place;
use crate::mount::{self, Mount};
use rustix::process::Signal;
use serde_json::Value;
use std::time::Duration;

/// How long a daemon that answers may commit before its connection is aborted.
const COMMIT_LIMIT: Duration = Duration::from_secs(10);
/// How long it may take to end by itself afterwards.
const END_LIMIT: Duration = Duration::from_secs(30);
/// How long the kernel may take to end a process that was killed.
const KILL_LIMIT: Duration = Duration::from_secs(5);

pub(super) fn run(mount: &Mount, output: &Output) -> Result<u8, Failure> {
    let process = process(mount);
    if let Some(process) = &process {
        process.signal(Signal::CONT);
    }
    if let Err(failure) = commit(mount) {
        output.notice(&format!(
            "before unmounting, no version was made: {failure}"
        ));
    }
    let aborted = mount::abort(mount).map_err(Failure::from);
    if aborted.is_ok() {
        remove(mount)?;
    }
    if let Some(process) = process {
        end(&process, mount, aborted, output)?;
    }
    remove(mount)?;
    Ok(0)
}

/// Makes a daemon that answers commit.
fn commit(mount: &Mount) -> Result<(), Failure> {
    let folder = daemon_of(mount).and_then(|daemon| daemon.folder);
    let Some(folder) = folder else { return Ok(()) };
    let mut client = Client::connect(&folder)?;
    client.send(&Request::Sync)?;
    client.answer::<Value>(Some(COMMIT_LIMIT)).map(drop)
}

/// Removes the mount, if it is still there.
fn remove(mount: &Mount) -> Result<(), Failure> {
    let is_it = |seen: &Mount| seen.id == mount.id && seen.device == mount.device;
    match place::mounts()?.iter().find(|seen| is_it(seen)) {
        Some(mount) => Ok(mount::unmount(&mount.mountpoint, true)?),
        None => Ok(()),
    }
}

/// Returns the daemon's process.
fn process(mount: &Mount) -> Option<Process> {
    let process = process_of(mount).and_then(Process::open)?;
    // The process id may have been reused before the descriptor was opened.
    (process_of(mount) == Some(process.pid())).then_some(process)
}

/// Ends the daemon: by SIGTERM, so that it closes the pond, and then by SIGKILL.
fn end(
    process: &Process,
    mount: &Mount,
    aborted: Result<(), Failure>,
    output: &Output,
) -> Result<(), Failure> {
    process.signal(Signal::TERM);
    if process.ends_within(END_LIMIT) {
        return Ok(());
    }
    process.signal(Signal::KILL);
    if process.ends_within(KILL_LIMIT) {
        output.notice(&format!(
            "process {} was killed: what was written in the last seconds and not synced may be lost",
            process.pid()
        ));
        return Ok(());
    }
    let message = format!(
        "process {} was killed and does not end: one of its threads waits in the kernel for the \
         mount at {}",
        process.pid(),
        mount.mountpoint.display()
    );
    let mut failure = Failure::new("daemon_stuck", message);
    if let Err(refused) = aborted {
        failure.causes.push(refused.to_string());
        failure.hints = refused.hints;
    }
    Err(failure)
}
