//! Asking a pond, whoever has it open.

use super::address;
use super::answer::{Role, answer};
use super::message::{Reply, Request};
use crate::cli::failure::Failure;
use crate::pond::{OpenOptions, Pond, PondError};
use serde::de::DeserializeOwned;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

/// How long a command waits for another command to be done with the pond.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often a pond is reached anew when its daemon goes away over a question.
const TRIES: u32 = 5;
/// The longest answer: a page of the log has some 100 kB, but a check may find many problems.
const MAX_ANSWER: u64 = 256 << 20;

/// A connection to the daemon that has a pond open.
#[derive(Debug)]
pub struct Client {
    stream: BufReader<UnixStream>,
}

/// A pond that can be asked.
pub struct Reached {
    path: PathBuf,
    options: OpenOptions,
    by: By,
}

enum By {
    /// A daemon has it open.
    Daemon(Client),
    /// This process has, until it is done.
    Open(Arc<Pond>),
}

/// Reaches the pond in folder `pond`: through its daemon, or else by opening it.
pub fn reach(pond: &Path, options: &OpenOptions) -> Result<Reached, Failure> {
    Ok(Reached {
        path: pond.to_owned(),
        options: options.clone(),
        by: By::reach(pond, options)?,
    })
}

impl By {
    fn reach(pond: &Path, options: &OpenOptions) -> Result<By, Failure> {
        let start = Instant::now();
        loop {
            if let Ok(client) = Client::connect(pond) {
                return Ok(By::Daemon(client));
            }
            match Pond::open(pond, options) {
                Ok(pond) => return Ok(By::Open(pond)),
                // A daemon that has just begun or is about to end, or a command like this one.
                Err(PondError::Locked { .. }) if start.elapsed() < PATIENCE => {
                    thread::sleep(Duration::from_millis(20));
                }
                Err(error) => return Err(error.into()),
            }
        }
    }
}

impl Reached {
    /// Asks, and waits for the answer.
    pub fn ask<T: DeserializeOwned>(&mut self, request: &Request) -> Result<T, Failure> {
        let mut tries = 0..TRIES;
        loop {
            let value = match &mut self.by {
                By::Open(pond) => answer(pond, Role::Command, request)?,
                By::Daemon(client) => match client.ask(request) {
                    // It has ended in the middle.
                    Err(failure)
                        if failure.is_lost()
                            && request.may_be_asked_twice()
                            && tries.next().is_some() =>
                    {
                        self.by = By::reach(&self.path, &self.options)?;
                        continue;
                    }
                    answer => return answer,
                },
            };
            return serde_json::from_value(value)
                .map_err(|error| Failure::system("cannot read the answer of the pond", &error));
        }
    }

    /// Ends what was begun to reach the pond.
    pub fn close(self) -> Result<(), Failure> {
        match self.by {
            By::Daemon(_) => Ok(()),
            By::Open(pond) => Ok(pond.close()?),
        }
    }

    /// Whether a daemon has it open.
    pub fn is_daemon(&self) -> bool {
        matches!(self.by, By::Daemon(_))
    }
}

impl Client {
    /// Connects to the daemon of the pond in folder `pond`, if there is one.
    pub fn connect(pond: &Path) -> io::Result<Client> {
        Ok(Client {
            stream: BufReader::new(address::connect(pond)?),
        })
    }

    /// Asks, and waits for the answer.
    pub fn ask<T: DeserializeOwned>(&mut self, request: &Request) -> Result<T, Failure> {
        self.send(request)?;
        self.answer()
    }

    /// Asks, and leaves the answer for later.
    pub fn send(&mut self, request: &Request) -> Result<(), Failure> {
        let send = |stream: &mut UnixStream| {
            let mut line = serde_json::to_vec(request)?;
            line.push(b'\n');
            stream.write_all(&line)
        };
        send(self.stream.get_mut()).map_err(|error| lost(&error))
    }

    /// Waits for the answer to what was sent.
    pub fn answer<T: DeserializeOwned>(&mut self) -> Result<T, Failure> {
        let mut line = Vec::new();
        (&mut self.stream)
            .take(MAX_ANSWER)
            .read_until(b'\n', &mut line)
            .map_err(|error| lost(&error))?;
        if line.is_empty() {
            return Err(lost(&io::ErrorKind::UnexpectedEof.into()));
        }
        let understood = |error| Failure::system("cannot read the answer of the daemon", &error);
        match serde_json::from_slice(&line).map_err(understood)? {
            Reply::Ok(value) => serde_json::from_value(value).map_err(understood),
            Reply::Failed(failure) => Err(failure),
        }
    }

    /// Lets reads wait no longer than this.
    pub fn limit(&self, limit: Duration) -> io::Result<()> {
        self.stream.get_ref().set_read_timeout(Some(limit))
    }

    /// Waits until the daemon has ended. What it still says is not listened to.
    pub fn wait_for_end(mut self) -> io::Result<()> {
        io::copy(&mut self.stream, &mut io::sink()).map(|_| ())
    }
}

/// The code of a failure to hear from the daemon.
const LOST: &str = "daemon_lost";
/// The code of a daemon that has not answered in time.
const SILENT: &str = "daemon_silent";

impl Failure {
    /// The daemon has gone without an answer.
    pub fn is_lost(&self) -> bool {
        self.code == LOST
    }

    /// The daemon has not answered in time.
    pub fn is_silent(&self) -> bool {
        self.code == SILENT
    }
}

fn lost(error: &io::Error) -> Failure {
    match error.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
            Failure::new(SILENT, "the daemon of the pond does not answer")
        }
        _ => Failure {
            code: LOST.into(),
            ..Failure::system("the daemon of the pond has ended without an answer", error)
        },
    }
}
