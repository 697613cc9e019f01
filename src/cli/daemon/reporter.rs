//! Reports the progress of a mount: on the terminal, or to the command that waits for the daemon.

use crate::cli::failure::Failure;
use crate::cli::output::Output;
use crate::cli::progress::Bar;
use crate::pond::Progress;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{self, Write};

/// A message of a background daemon to the command that started it: one line of JSON each.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Word {
    /// A notice for the user.
    Notice(String),
    /// The progress of the index.
    Progress(Progress),
    /// The mount is ready.
    Ready,
    /// The mount failed.
    Failed(Failure),
}

/// The receiver of the reports.
#[derive(Debug)]
pub enum Reporter {
    /// The terminal of a daemon in the foreground.
    Terminal(Output),
    /// The command that waits at the other end of a pipe.
    Pipe(File),
    /// No receiver: the command has ended with the mount ready.
    Silent,
}

impl Reporter {
    /// Reports a notice.
    pub fn notice(&mut self, text: &str) {
        match self {
            Reporter::Terminal(output) => output.notice(text),
            // The pipe is broken if the command was interrupted, which `ready` detects.
            Reporter::Pipe(pipe) => drop(send(pipe, &Word::Notice(text.to_owned()))),
            Reporter::Silent => tracing::info!("{text}"),
        }
    }

    /// Reports the progress of the index. The bar is for the terminal.
    pub fn progress(&mut self, bar: &mut Option<Bar>, progress: &Progress) {
        match self {
            Reporter::Terminal(output) => {
                bar.get_or_insert_with(|| Bar::new(*output)).show(progress)
            }
            Reporter::Pipe(pipe) => drop(send(pipe, &Word::Progress(*progress))),
            Reporter::Silent => {}
        }
    }

    /// Reports that the mount is ready. Fails if the waiting command has gone.
    pub fn ready(&mut self) -> io::Result<()> {
        if let Reporter::Pipe(pipe) = self {
            send(pipe, &Word::Ready)?;
            *self = Reporter::Silent;
        }
        Ok(())
    }

    /// Reports a failure. Returns it if it is still to be printed.
    pub fn failed(&mut self, failure: Failure) -> Option<Failure> {
        match self {
            Reporter::Terminal(_) => Some(failure),
            Reporter::Pipe(pipe) => {
                let _ = send(pipe, &Word::Failed(failure));
                None
            }
            Reporter::Silent => {
                tracing::error!("{failure}");
                None
            }
        }
    }
}

fn send(pipe: &mut File, word: &Word) -> io::Result<()> {
    let mut line = serde_json::to_vec(word)?;
    line.push(b'\n');
    pipe.write_all(&line)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    #[test]
    fn words_go_through_the_pipe_until_the_mount_is_ready() {
        let (mut read, write) = io::pipe().unwrap();
        let mut reporter = Reporter::Pipe(File::from(std::os::fd::OwnedFd::from(write)));
        reporter.notice("a dead mount is gone");
        reporter.ready().unwrap();
        reporter.notice("nobody listens");
        let mut said = String::new();
        read.read_to_string(&mut said).unwrap();
        assert_eq!(said, "{\"notice\":\"a dead mount is gone\"}\n\"ready\"\n");
    }

    #[test]
    fn a_reader_that_has_gone_is_noticed() {
        let (read, write) = io::pipe().unwrap();
        let mut reporter = Reporter::Pipe(File::from(std::os::fd::OwnedFd::from(write)));
        drop(read);
        assert!(reporter.ready().is_err());
    }
}
