//! Sends requests to a pond: through its daemon, or by opening it.

use super::address;
use super::answer::{Role, answer};
use super::daemon::{Daemon, daemon_of, explain, is_served_elsewhere, is_stopped, process_state};
use super::message::{Reply, Request};
use super::process::Process;
use crate::cli::failure::Failure;
use crate::cli::place::Place;
use crate::mount::Mount;
use crate::pond::{OpenOptions, Pond, PondError, lock};
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

/// How long a command waits for another command to close the pond.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often a pond is reached again if its daemon ends during a request.
const TRIES: u32 = 5;
/// How long a daemon may send nothing during a request; it sends a keepalive every second.
const SILENCE: Duration = Duration::from_secs(10);
/// The longest answer: a page of the log has some 100 kB, but a check may find many problems.
const MAX_ANSWER: u64 = 256 << 20;

/// A connection to the daemon that has a pond open.
#[derive(Debug)]
pub struct Client {
    stream: BufReader<UnixStream>,
    /// The process of the daemon; `None` in another namespace of processes.
    process: Option<Process>,
}

/// A pond that can serve requests.
pub struct Reached {
    place: Place,
    options: OpenOptions,
    by: By,
}

enum By {
    /// A daemon has it open.
    Daemon(Client),
    /// This process has it open.
    Open(Arc<Pond>),
}

/// Reaches the pond at `place`: through its daemon, or else by opening it.
pub fn reach(place: &Place, options: &OpenOptions) -> Result<Reached, Failure> {
    Ok(Reached {
        place: place.clone(),
        options: options.clone(),
        by: By::reach(place, options)?,
    })
}

/// Checks that the daemon of a mount answers. Succeeds if no daemon can be found.
pub fn ping(mount: &Mount) -> Result<(), Failure> {
    let folder = daemon_of(mount).and_then(|daemon| daemon.folder);
    let Some(folder) = folder else { return Ok(()) };
    let asked = Client::connect(&folder).and_then(|mut client| client.ask::<Value>(&Request::Ping));
    match asked {
        Err(failure) if failure.is_silent() => Err(failure),
        _ => Ok(()),
    }
}

/// Returns a path that opens the folder of the pond at `place`, wherever the folder is now.
pub fn folder(place: &Place) -> Result<PathBuf, Failure> {
    let Some(mount) = &place.mount else {
        return Ok(place.pond.clone());
    };
    match daemon_of(mount) {
        Some(daemon) => match &daemon.folder {
            Some(folder) => Ok(folder.clone()),
            None => Err(removed(mount, &daemon)),
        },
        None if is_served_elsewhere(&place.pond, mount) => {
            let at = mount.mountpoint.display();
            let message = format!(
                "the mount at {at} is dead, and {} is another pond now",
                place.pond.display()
            );
            Err(Failure::new(DEAD_MOUNT, message)
                .hinted(format!("`pondmount umount {at}` removes it")))
        }
        None => Ok(place.pond.clone()),
    }
}

/// Returns the failure for a pond whose folder was removed while it is mounted.
fn removed(mount: &Mount, daemon: &Daemon) -> Failure {
    let at = mount.mountpoint.display();
    let message = format!(
        "the folder of the pond that is mounted at {at} was removed, and process {} serves what is left of it",
        daemon.pid
    );
    Failure::new("pond_removed", message).hinted(format!(
        "copy what you need out of {at}, then `pondmount umount --force {at}`"
    ))
}

impl By {
    fn reach(place: &Place, options: &OpenOptions) -> Result<By, Failure> {
        let start = Instant::now();
        loop {
            let folder = folder(place)?;
            match Client::connect(&folder) {
                Ok(client) => return Ok(By::Daemon(client)),
                Err(failure) if failure.is_silent() => return Err(failure),
                Err(_) => {}
            }
            match Pond::open(&folder, options) {
                Ok(pond) => return Ok(By::Open(pond)),
                // Held by a daemon that is starting or about to end, or by a command like this one.
                Err(PondError::Locked { .. }) if start.elapsed() < PATIENCE => {
                    thread::sleep(Duration::from_millis(20));
                }
                Err(error) => return Err(explain(error)),
            }
        }
    }
}

impl Reached {
    /// Sends a request and waits for the reply.
    pub fn ask<T: DeserializeOwned>(&mut self, request: &Request) -> Result<T, Failure> {
        let mut tries = 0..TRIES;
        loop {
            let value = match &mut self.by {
                By::Open(pond) => answer(pond, Role::Command, request)?,
                By::Daemon(client) => match client.ask(request) {
                    // The daemon has ended during the request.
                    Err(failure)
                        if failure.is_lost()
                            && request.may_be_asked_twice()
                            && tries.next().is_some() =>
                    {
                        self.by = By::reach(&self.place, &self.options)?;
                        continue;
                    }
                    answer => return answer,
                },
            };
            return serde_json::from_value(value)
                .map_err(|error| Failure::system("cannot read the answer of the pond", &error));
        }
    }

    /// Closes the connection, or the pond.
    pub fn close(self) -> Result<(), Failure> {
        match self.by {
            By::Daemon(_) => Ok(()),
            By::Open(pond) => Ok(pond.close()?),
        }
    }

    /// Returns whether a daemon has it open.
    pub fn is_daemon(&self) -> bool {
        matches!(self.by, By::Daemon(_))
    }
}

impl Client {
    /// Connects to the daemon of the pond in folder `pond`.
    pub fn connect(pond: &Path) -> Result<Client, Failure> {
        let stream = address::connect(pond, SILENCE).map_err(|error| match error.kind() {
            // The queue of connections that the daemon has not accepted is full.
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
                let holder = lock::holder(pond).ok().flatten();
                silent(holder.map(|holder| holder.pid))
            }
            _ => Failure::system("cannot reach the daemon of the pond", &error),
        })?;
        let peer = rustix::net::sockopt::socket_peercred(&stream).ok();
        let pid = peer.and_then(|peer| u32::try_from(peer.pid.as_raw_nonzero().get()).ok());
        Ok(Client {
            stream: BufReader::new(stream),
            process: pid.and_then(Process::open),
        })
    }

    /// Returns the process of the daemon.
    pub fn pid(&self) -> Option<u32> {
        self.process.as_ref().map(Process::pid)
    }

    /// Sends a request and waits for the answer.
    pub fn ask<T: DeserializeOwned>(&mut self, request: &Request) -> Result<T, Failure> {
        self.send(request)?;
        self.answer(request.limit())
    }

    /// Sends a request without waiting for the answer.
    pub fn send(&mut self, request: &Request) -> Result<(), Failure> {
        let send = |stream: &mut UnixStream| {
            stream.set_write_timeout(Some(SILENCE))?;
            let mut line = serde_json::to_vec(request)?;
            line.push(b'\n');
            stream.write_all(&line)
        };
        send(self.stream.get_mut()).map_err(|error| self.lost(&error))
    }

    /// Waits for the answer as long as the daemon sends keepalives, and at most for `limit`.
    pub fn answer<T: DeserializeOwned>(&mut self, limit: Option<Duration>) -> Result<T, Failure> {
        let deadline = limit.map(|limit| Instant::now() + limit);
        let line = loop {
            let line = self.line(deadline).map_err(|error| self.lost(&error))?;
            match line.as_slice() {
                [] => return Err(self.lost(&io::ErrorKind::UnexpectedEof.into())),
                // A keepalive.
                b"\n" => {}
                _ => break line,
            }
        };
        let understood = |error| Failure::system("cannot read the answer of the daemon", &error);
        match serde_json::from_slice(&line).map_err(understood)? {
            Reply::Ok(value) => serde_json::from_value(value).map_err(understood),
            Reply::Failed(failure) => Err(failure),
        }
    }

    /// Reads a line; returns an empty one at the end of the stream.
    fn line(&mut self, deadline: Option<Instant>) -> io::Result<Vec<u8>> {
        let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        let left = left.map_or(SILENCE, |left| left.min(SILENCE));
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        self.stream.get_ref().set_read_timeout(Some(left))?;
        let mut line = Vec::new();
        (&mut self.stream)
            .take(MAX_ANSWER)
            .read_until(b'\n', &mut line)?;
        Ok(line)
    }

    /// Waits until the daemon has ended, at most for `limit`. Returns whether it has. Discards what
    /// it still sends.
    pub fn wait_for_end(mut self, limit: Duration) -> bool {
        let deadline = Instant::now() + limit;
        let stream = self.stream.get_ref();
        let closed = stream
            .set_read_timeout(Some(limit))
            .and_then(|()| io::copy(&mut self.stream, &mut io::sink()));
        // The socket is closed before the folders are that the daemon has open.
        let left = deadline.saturating_duration_since(Instant::now());
        let ended = self.process.is_none_or(|process| process.ends_within(left));
        closed.is_ok() && ended
    }

    fn lost(&self, error: &io::Error) -> Failure {
        match error.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => silent(self.pid()),
            _ => Failure {
                code: LOST.into(),
                ..Failure::system("the daemon of the pond has ended without an answer", error)
            },
        }
    }
}

/// The code of the failure for a dead mount whose pond was replaced by another.
pub const DEAD_MOUNT: &str = "dead_mount";
/// The code of the failure for a daemon that has ended without an answer.
const LOST: &str = "daemon_lost";
/// The code of the failure for a daemon that has not answered in time.
const SILENT: &str = "daemon_silent";
/// The hint for a daemon that does not answer.
const FREE: &str =
    "`pondmount umount --force MOUNTPOINT` frees the mount and all processes that wait for it";

impl Failure {
    /// Returns whether the daemon has ended without an answer.
    pub fn is_lost(&self) -> bool {
        self.code == LOST
    }

    /// Returns whether the daemon has not answered in time.
    pub fn is_silent(&self) -> bool {
        self.code == SILENT
    }
}

/// Returns the failure for a daemon that does not answer, with its process and a hint.
fn silent(pid: Option<u32>) -> Failure {
    let Some(pid) = pid else {
        return Failure::new(SILENT, "the daemon of the pond does not answer").hinted(FREE);
    };
    let message = format!("the daemon of the pond, process {pid}, does not answer");
    let mut failure = Failure::new(SILENT, message);
    if is_stopped(pid) {
        failure.causes.push("the process is stopped".into());
        return failure.hinted(format!("`kill -CONT {pid}` lets it go on"));
    }
    if let Some('Z' | 'X') = process_state(pid) {
        let cause = "the process was killed, and one of its threads waits in the kernel";
        failure.causes.push(cause.into());
    }
    failure.hinted(FREE)
}
