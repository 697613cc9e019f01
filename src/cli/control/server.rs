//! The daemon's end of the socket: a thread that takes connections, and one for each of them.

use super::address::{self, Bound};
use super::answer::{Role, answer};
use super::message::{Reply, Request};
use crate::cli::failure::Failure;
use crate::cli::place::{self, Mount};
use crate::pond::Pond;
use parking_lot::{Condvar, Mutex};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

/// The longest request.
const MAX_REQUEST: u64 = 16 << 20;
/// More connections than this at a time are more than any use: the next ones wait.
const MAX_CONNECTIONS: usize = 64;
/// A connection on which nobody asks is closed after this.
const IDLE: Duration = Duration::from_secs(60);
/// How long the end waits until it is told to all who want to know.
const FAREWELL: Duration = Duration::from_secs(2);

/// The socket of a daemon, as long as it lives.
pub struct Server {
    hub: Arc<Hub>,
    /// Its file goes when the server does.
    _bound: Bound,
}

struct Hub {
    pond: Arc<Pond>,
    mountpoint: PathBuf,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    connections: usize,
    /// How many wait for the end.
    waiting: usize,
    end: Option<Result<(), Failure>>,
}

impl Server {
    /// Opens the socket of `pond`, which this process mounts at `mountpoint`.
    pub fn start(pond: Arc<Pond>, mountpoint: PathBuf) -> io::Result<Server> {
        let bound = address::bind(pond.path())?;
        let hub = Arc::new(Hub {
            pond,
            mountpoint,
            state: Mutex::default(),
            changed: Condvar::new(),
        });
        let (accepting, listener) = (hub.clone(), bound.listener.try_clone()?);
        thread::Builder::new()
            .name("control".into())
            .spawn(move || accepting.accept(&listener))?;
        Ok(Server { hub, _bound: bound })
    }

    /// Tells those who wait for it how the pond was closed.
    pub fn end(self, outcome: Result<(), Failure>) {
        let deadline = Instant::now() + FAREWELL;
        let mut state = self.hub.state.lock();
        state.end = Some(outcome);
        self.hub.changed.notify_all();
        while state.waiting > 0 {
            if self
                .hub
                .changed
                .wait_until(&mut state, deadline)
                .timed_out()
            {
                break;
            }
        }
    }
}

impl Hub {
    fn accept(self: Arc<Hub>, listener: &UnixListener) {
        for stream in listener.incoming() {
            let Ok(stream) = stream else {
                // Out of files, most likely: it passes, and must not turn this into a busy loop.
                thread::sleep(Duration::from_millis(100));
                continue;
            };
            let mut state = self.state.lock();
            // Those who have connected since wait in the kernel's queue.
            while state.connections >= MAX_CONNECTIONS {
                self.changed.wait(&mut state);
            }
            state.connections += 1;
            drop(state);
            let hub = self.clone();
            let started = thread::Builder::new()
                .name("control".into())
                .spawn(move || {
                    if let Err(error) = hub.converse(stream) {
                        tracing::debug!("a connection to the control socket ended: {error}");
                    }
                    hub.disconnected();
                });
            if started.is_err() {
                self.disconnected();
            }
        }
    }

    fn disconnected(&self) {
        self.state.lock().connections -= 1;
        self.changed.notify_all();
    }

    /// Where the mount is seen: nowhere before it is made, and after it was detached lazily.
    fn seen_at(&self) -> Option<&Path> {
        let ours = |mount: &Mount| mount.at == self.mountpoint && mount.pond == self.pond.path();
        match place::mounts() {
            Ok(mounts) if !mounts.iter().any(ours) => None,
            _ => Some(&self.mountpoint),
        }
    }

    fn converse(&self, stream: UnixStream) -> io::Result<()> {
        stream.set_read_timeout(Some(IDLE))?;
        let mut lines = BufReader::new(stream);
        loop {
            let mut line = Vec::new();
            (&mut lines)
                .take(MAX_REQUEST)
                .read_until(b'\n', &mut line)?;
            if line.is_empty() {
                return Ok(());
            }
            if line.last() != Some(&b'\n') {
                reply(lines.get_mut(), Err(refused("is too long, or cut")))?;
                return Ok(());
            }
            match serde_json::from_slice(&line) {
                Ok(Request::End) => return self.await_end(lines.get_mut()),
                Ok(request) => {
                    let answer = answer(&self.pond, Role::Daemon(self.seen_at()), &request);
                    reply(lines.get_mut(), answer)?;
                }
                Err(_) => {
                    reply(
                        lines.get_mut(),
                        Err(refused("is none that this version knows")),
                    )?;
                    return Ok(());
                }
            }
        }
    }

    /// Answers when the pond is closed, and then keeps the connection: its end tells that of the process.
    fn await_end(&self, stream: &mut UnixStream) -> io::Result<()> {
        let mut state = self.state.lock();
        state.waiting += 1;
        while state.end.is_none() {
            // Now and then it is looked whether anybody still waits.
            let timeout = self.changed.wait_for(&mut state, Duration::from_secs(1));
            if timeout.timed_out() && gone(stream) {
                state.waiting -= 1;
                return Ok(());
            }
        }
        let end = state.end.clone().unwrap_or(Ok(()));
        drop(state);
        let told = reply(stream, end.map(|()| serde_json::Value::Null));
        self.state.lock().waiting -= 1;
        self.changed.notify_all();
        told?;
        // Nobody asks any more. Waits for the other side to go, or for the process to end.
        stream.set_read_timeout(None)?;
        io::copy(stream, &mut io::sink()).map(|_| ())
    }
}

fn reply(stream: &mut UnixStream, answer: Result<serde_json::Value, Failure>) -> io::Result<()> {
    let reply = match answer {
        Ok(value) => Reply::Ok(value),
        Err(failure) => Reply::Failed(failure),
    };
    let mut line = serde_json::to_vec(&reply)?;
    line.push(b'\n');
    stream.write_all(&line)
}

fn refused(why: &str) -> Failure {
    Failure::new("bad_request", format!("the request {why}"))
}

/// Whether the other side has closed the connection.
fn gone(stream: &UnixStream) -> bool {
    use rustix::net::{RecvFlags, recv};
    let flags = RecvFlags::PEEK | RecvFlags::DONTWAIT;
    matches!(recv(stream, &mut [0u8; 1], flags), Ok((_, 0)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::control::{Client, LogPage, StatusReport, Synced};
    use crate::pond::OpenOptions;
    use serde_json::Value;

    fn serve(dir: &Path) -> (Arc<Pond>, Server) {
        let path = dir.join("pond");
        Pond::init(&path).unwrap();
        let pond = Pond::open(&path, &OpenOptions::default()).unwrap();
        let server = Server::start(pond.clone(), "/none".into()).unwrap();
        (pond, server)
    }

    #[test]
    fn nonsense_is_refused_and_the_next_one_is_served() {
        let dir = tempfile::tempdir().unwrap();
        let (pond, server) = serve(dir.path());
        for nonsense in [
            &b"garbage\n"[..],
            b"\0\xff\n",
            b"{\"request\":\"x\"}\n",
            &[b'x'; 200_000],
        ] {
            let mut stream = address::connect(pond.path()).unwrap();
            // The daemon may have hung up before all of it is sent.
            let _ = stream.write_all(nonsense);
            let _ = io::copy(&mut stream, &mut io::sink());
        }
        let mut client = Client::connect(pond.path()).unwrap();
        let status: StatusReport = client.ask(&Request::Status).unwrap();
        assert_eq!(
            (status.pid, status.mountpoint),
            (Some(std::process::id()), None)
        );
        let synced: Synced = client.ask(&Request::Sync).unwrap();
        let log: LogPage = client
            .ask(&Request::Log {
                before: None,
                limit: 9,
            })
            .unwrap();
        assert_eq!((log.rows[0].version, log.before), (synced.version, None));
        pond.close().unwrap();
        server.end(Ok(()));
        assert!(
            Client::connect(pond.path()).is_err(),
            "the socket goes with its server"
        );
    }

    #[test]
    fn who_waits_for_the_end_hears_how_it_went() {
        let dir = tempfile::tempdir().unwrap();
        let (pond, server) = serve(dir.path());
        let mut waiting = Client::connect(pond.path()).unwrap();
        // The answer to the first request shows that the connection is taken.
        waiting.ask::<Value>(&Request::Status).unwrap();
        waiting.send(&Request::End).unwrap();
        while server.hub.state.lock().waiting == 0 {
            thread::yield_now();
        }
        pond.close().unwrap();
        server.end(Err(Failure::new("io", "the disk is full")));
        let end: Result<Value, _> = waiting.answer();
        assert_eq!(end.unwrap_err().message, "the disk is full");
    }
}
