//! The daemon's end of the control socket.
//!
//! One thread accepts connections, one serves each of them, and one sends keepalives to the clients
//! that wait for an answer, so that they can tell a busy daemon from one that is stuck.
//!
//! Invariants: memory and threads are bounded whatever clients send; when all connections are
//! taken, the one that has been idle for the longest time is closed for the next; no thread waits
//! for ever for a client that does not read.

use super::address::{self, Bound};
use super::answer::{Role, answer};
use super::message::{Reply, Request};
use super::read_line::{ReadError, is_within_value_limit, read_line};
use crate::cli::failure::Failure;
use crate::cli::place;
use crate::mount::Mount;
use crate::pond::Pond;
use parking_lot::{Condvar, Mutex};
use rustix::net::{RecvFlags, SendFlags, Shutdown, recv, send, shutdown};
use std::collections::HashMap;
use std::io::{self, BufReader, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

/// How long [`Server::end`] waits until all clients that wait for the end have the outcome.
const FAREWELL: Duration = Duration::from_secs(2);
/// The time between two keepalives.
const KEEPALIVE: Duration = Duration::from_secs(1);

/// The control socket of a daemon. Its file is removed when this is dropped.
pub struct Server {
    shared: Arc<Shared>,
    _bound: Bound,
}

struct Shared {
    pond: Arc<Pond>,
    state: Mutex<State>,
    changed: Condvar,
    /// Held while a long request is in memory.
    long: Mutex<()>,
}

#[derive(Default)]
struct State {
    connections: HashMap<u64, Connection>,
    next: u64,
    /// The mount that this process serves, once there is one.
    mount: Option<Mount>,
    /// The number of clients that wait for the end.
    waiting: usize,
    end: Option<Result<(), Failure>>,
}

struct Connection {
    replies: Arc<ReplyStream>,
    phase: Phase,
}

/// What a connection waits for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// For the client, since then: to send a request, or to receive a reply.
    Idle(Instant),
    /// For the pond. The client gets keepalives.
    Answering,
    /// For its thread to end: it was closed in favour of another.
    Evicted,
}

/// Removes a connection when its thread ends, also by a panic: a client that waits for an answer
/// would get keepalives for ever, and the connection could not be given to another.
struct Registered {
    shared: Arc<Shared>,
    id: u64,
}

impl Drop for Registered {
    fn drop(&mut self) {
        self.shared.unregister(self.id);
    }
}

/// The sending side of a connection.
struct ReplyStream {
    stream: UnixStream,
    /// Held while a reply is sent, so that no keepalive is sent in the middle of it.
    sending: Mutex<()>,
    /// How long a client may take to receive a reply.
    patience: Duration,
}

impl Server {
    /// Opens the control socket of `pond`, which this process is about to mount.
    pub fn start(pond: Arc<Pond>) -> io::Result<Server> {
        let bound = address::bind(&pond.access_path(""))?;
        let shared = Arc::new(Shared {
            pond,
            state: Mutex::default(),
            changed: Condvar::new(),
            long: Mutex::default(),
        });
        let (accepting, listener) = (shared.clone(), bound.listener.try_clone()?);
        thread::Builder::new()
            .name("control".into())
            .spawn(move || accepting.accept(&listener))?;
        let weak = Arc::downgrade(&shared);
        thread::Builder::new()
            .name("control-alive".into())
            .spawn(move || {
                while let Some(shared) = weak.upgrade() {
                    shared.send_keepalives();
                }
            })?;
        Ok(Server {
            shared,
            _bound: bound,
        })
    }

    /// Sets the mount that this process serves.
    pub fn mounted(&self, mount: Mount) {
        self.shared.state.lock().mount = Some(mount);
    }

    /// Sends the outcome of closing the pond to the clients that wait for it.
    pub fn end(self, outcome: Result<(), Failure>) {
        let deadline = Instant::now() + FAREWELL;
        let mut state = self.shared.state.lock();
        state.end = Some(outcome);
        self.shared.changed.notify_all();
        while state.waiting > 0 {
            let wait = self.shared.changed.wait_until(&mut state, deadline);
            if wait.timed_out() {
                break;
            }
        }
    }
}

impl Shared {
    fn accept(self: Arc<Shared>, listener: &UnixListener) {
        for stream in listener.incoming() {
            let registered = stream.and_then(|stream| Ok((self.register(&stream)?, stream)));
            let Ok((id, stream)) = registered else {
                // Most likely out of file descriptors: do not retry in a busy loop.
                thread::sleep(Duration::from_millis(100));
                continue;
            };
            let shared = self.clone();
            let started = thread::Builder::new()
                .name("control".into())
                .spawn(move || {
                    let registered = Registered { shared, id };
                    if let Err(error) = registered.shared.serve(id, stream) {
                        tracing::debug!("a connection to the control socket ended: {error}");
                    }
                });
            if started.is_err() {
                self.unregister(id);
            }
        }
    }

    /// Adds a connection, once one is free. Later ones wait in the kernel's queue.
    fn register(&self, stream: &UnixStream) -> io::Result<u64> {
        let replies = Arc::new(ReplyStream {
            stream: stream.try_clone()?,
            sending: Mutex::default(),
            patience: self.pond.limits().connection_idle,
        });
        let mut state = self.state.lock();
        while state.connections.len() >= self.pond.limits().connections {
            state.evict_idle();
            self.changed.wait_for(&mut state, KEEPALIVE);
        }
        let id = state.next;
        state.next += 1;
        let phase = Phase::Idle(Instant::now());
        state.connections.insert(id, Connection { replies, phase });
        Ok(id)
    }

    fn unregister(&self, id: u64) {
        self.state.lock().connections.remove(&id);
        self.changed.notify_all();
    }

    /// Sets the phase of a connection; `None` if it was evicted.
    fn enter(&self, id: u64, phase: Phase) -> Option<Arc<ReplyStream>> {
        let mut state = self.state.lock();
        let connection = state.connections.get_mut(&id)?;
        if connection.phase == Phase::Evicted {
            return None;
        }
        connection.phase = phase;
        let replies = connection.replies.clone();
        drop(state);
        if phase == Phase::Answering {
            self.changed.notify_all();
        }
        Some(replies)
    }

    /// Sends a keepalive to all clients that wait for an answer; sleeps while there are none.
    fn send_keepalives(&self) {
        let mut state = self.state.lock();
        let answering = state.connections.values();
        let waiting: Vec<Arc<ReplyStream>> = answering
            .filter(|connection| connection.phase == Phase::Answering)
            .map(|connection| connection.replies.clone())
            .collect();
        if waiting.is_empty() {
            self.changed
                .wait_for(&mut state, self.pond.limits().connection_idle);
            return;
        }
        drop(state);
        thread::sleep(KEEPALIVE);
        for replies in waiting {
            replies.send_keepalive();
        }
    }

    /// Returns the current mountpoint. `None` before it exists and after a lazy unmount.
    fn mountpoint(&self) -> Option<PathBuf> {
        let ours = self.state.lock().mount.clone()?;
        let Ok(mounts) = place::mounts() else {
            return Some(ours.mountpoint);
        };
        // The mount itself, wherever it was moved, before bind mounts of it.
        let same = mounts.iter().filter(|mount| mount.device == ours.device);
        let seen = same.min_by_key(|mount| mount.id != ours.id);
        seen.map(|mount| mount.mountpoint.clone())
    }

    fn serve(&self, id: u64, stream: UnixStream) -> io::Result<()> {
        let mut stream = BufReader::new(stream);
        let idle = self.pond.limits().connection_idle;
        loop {
            let Some(replies) = self.enter(id, Phase::Idle(Instant::now())) else {
                return Ok(());
            };
            let line = match read_line(&mut stream, idle, &self.long) {
                Ok(line) => line,
                Err(ReadError::Closed) => return Ok(()),
                Err(ReadError::TooLong) => {
                    return replies.send(Err(rejected("is too long, or cut")));
                }
                Err(ReadError::Io(error)) => return Err(error),
            };
            let request = parse(&line.bytes);
            drop(line);
            let Some(request) = request else {
                return replies.send(Err(rejected("is none that this version knows")));
            };
            if self.enter(id, Phase::Answering).is_none() {
                return Ok(());
            }
            if request == Request::End {
                return self.await_end(stream.get_ref(), &replies);
            }
            let mountpoint = self.mountpoint();
            let answer = answer(&self.pond, Role::Daemon(mountpoint.as_deref()), &request);
            // From here on this thread waits for the client, which may be evicted.
            if self.enter(id, Phase::Idle(Instant::now())).is_some() {
                replies.send(answer)?;
            }
        }
    }

    /// Replies when the pond is closed, and then keeps the connection: it ends with the process.
    fn await_end(&self, stream: &UnixStream, replies: &ReplyStream) -> io::Result<()> {
        let mut state = self.state.lock();
        state.waiting += 1;
        while state.end.is_none() {
            let timeout = self.changed.wait_for(&mut state, KEEPALIVE);
            if timeout.timed_out() && is_closed(stream) {
                state.waiting -= 1;
                return Ok(());
            }
        }
        let end = state.end.clone().unwrap_or(Ok(()));
        drop(state);
        let sent = replies.send(end.map(|()| serde_json::Value::Null));
        self.state.lock().waiting -= 1;
        self.changed.notify_all();
        sent?;
        stream.set_read_timeout(None)?;
        let mut stream = stream;
        io::copy(&mut stream, &mut io::sink()).map(|_| ())
    }
}

impl State {
    /// Closes the connection that has been idle for the longest time, if there is one.
    fn evict_idle(&mut self) {
        let since = |connection: &&mut Connection| match connection.phase {
            Phase::Idle(since) => Some(since),
            _ => None,
        };
        let idle = self.connections.values_mut();
        let longest = idle
            .filter(|connection| since(connection).is_some())
            .min_by_key(since);
        if let Some(connection) = longest {
            connection.phase = Phase::Evicted;
            // Its thread reads the end of the stream, or fails to write.
            if let Err(error) = shutdown(&connection.replies.stream, Shutdown::Both) {
                tracing::debug!("cannot close an idle connection: {error}");
            }
        }
    }
}

impl ReplyStream {
    fn send(&self, answer: Result<serde_json::Value, Failure>) -> io::Result<()> {
        let reply = match answer {
            Ok(value) => Reply::Ok(value),
            Err(failure) => Reply::Failed(failure),
        };
        let mut line = serde_json::to_vec(&reply)?;
        line.push(b'\n');
        let _sending = self.sending.lock();
        let deadline = Instant::now() + self.patience;
        let mut rest = &line[..];
        while !rest.is_empty() {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(io::ErrorKind::TimedOut.into());
            }
            self.stream.set_write_timeout(Some(left))?;
            match (&self.stream).write(rest) {
                Ok(written) => rest = rest.get(written..).unwrap_or_default(),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Sends an empty line, unless a reply is being sent or the client does not read.
    fn send_keepalive(&self) {
        if let Some(_sending) = self.sending.try_lock() {
            let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
            if let Err(error) = send(&self.stream, b"\n", flags) {
                tracing::trace!("a client takes no keepalive: {error}");
            }
        }
    }
}

/// Parses a line; `None` if it is no request.
pub(super) fn parse(line: &[u8]) -> Option<Request> {
    match is_within_value_limit(line) {
        true => serde_json::from_slice(line).ok(),
        false => None,
    }
}

fn rejected(why: &str) -> Failure {
    Failure::new("bad_request", format!("the request {why}"))
}

/// Returns whether the client has closed the connection.
fn is_closed(stream: &UnixStream) -> bool {
    let flags = RecvFlags::PEEK | RecvFlags::DONTWAIT;
    matches!(recv(stream, &mut [0u8; 1], flags), Ok((_, 0)))
}

#[cfg(test)]
mod tests;
