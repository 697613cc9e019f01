//! Failures of commands.
//!
//! In: the errors of the layers below. Out: one sentence with its causes and hints, as text or as a
//! JSON object, and an exit code. Invariant: a failure is the same after it was sent through a pipe
//! or a socket, so that a command that asks a daemon fails like one that does the work itself.

use crate::mount::MountError;
use crate::pond::PondError;
use serde::{Deserialize, Serialize};
use std::error::Error;
use std::fmt;
use std::io;

/// A failed command.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename = "error")]
pub struct Failure {
    /// A short name for programs.
    pub code: String,
    /// The exit code.
    pub exit: u8,
    /// The message: one sentence.
    pub message: String,
    /// The causes, the nearest first.
    pub causes: Vec<String>,
    /// What the user can do.
    pub hints: Vec<String>,
}

/// The exit codes of failures of the command line itself.
pub mod exit {
    /// Any other failure.
    pub const FAILED: u8 = 1;
    /// The command line is wrong.
    pub const USAGE: u8 = 2;
    /// The pond is damaged.
    pub const DAMAGED: u8 = 4;
}

/// The code of a failed write to a pipe whose reader has closed it, such as `head`.
const BROKEN_PIPE: &str = "broken_pipe";

impl Failure {
    /// Returns a failure with exit code 1.
    pub fn new(code: &str, message: impl Into<String>) -> Failure {
        Failure {
            code: code.into(),
            exit: exit::FAILED,
            message: message.into(),
            causes: Vec::new(),
            hints: Vec::new(),
        }
    }

    /// Returns the failure for a wrong command line.
    pub fn usage(message: impl Into<String>) -> Failure {
        Failure {
            exit: exit::USAGE,
            ..Failure::new("usage", message)
        }
    }

    /// Returns the failure for a system error; `message` says what was attempted.
    pub fn system(message: impl Into<String>, error: &dyn Error) -> Failure {
        Failure {
            causes: [plain(error)].into_iter().chain(causes(error)).collect(),
            ..Failure::new("io", message)
        }
    }

    /// Adds a hint: what the user can do.
    pub fn hinted(mut self, hint: impl Into<String>) -> Failure {
        self.hints.push(hint.into());
        self
    }

    /// Returns whether the reader of the output has closed the pipe, which is not reported.
    pub fn is_broken_pipe(&self) -> bool {
        self.code == BROKEN_PIPE
    }

    /// Returns the failure for an error of printing.
    pub fn output(error: &io::Error) -> Failure {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Failure::new(BROKEN_PIPE, "nobody reads the output"),
            _ => Failure::system("cannot write the output", error),
        }
    }
}

impl From<PondError> for Failure {
    fn from(error: PondError) -> Failure {
        Failure {
            code: error.code().into(),
            exit: error.exit_code(),
            message: error.to_string(),
            causes: causes(&error),
            hints: error.hint().into_iter().collect(),
        }
    }
}

impl From<MountError> for Failure {
    fn from(error: MountError) -> Failure {
        Failure {
            code: error.code().into(),
            exit: error.exit_code(),
            message: error.to_string(),
            causes: causes(&error),
            hints: error.hint().into_iter().collect(),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        self.causes
            .iter()
            .try_for_each(|cause| write!(f, ": {cause}"))
    }
}

impl Error for Failure {}

/// Returns the chain of sources, without those that repeat the sentence before them.
fn causes(error: &dyn Error) -> Vec<String> {
    let mut said = plain(error);
    let mut causes = Vec::new();
    let mut next = error.source();
    while let Some(error) = next {
        let cause = plain(error);
        if !said.ends_with(&cause) {
            causes.push(cause.clone());
        }
        said = cause;
        next = error.source();
    }
    causes
}

/// Returns an error's message; for a system error without its number and capital letter.
fn plain(error: &dyn Error) -> String {
    let said = error.to_string();
    match said.rsplit_once(" (os error ") {
        Some((words, number)) if number.ends_with(')') => {
            let mut chars = words.chars();
            match chars.next() {
                Some(first) => first.to_lowercase().chain(chars).collect(),
                None => said,
            }
        }
        _ => said,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn denied() -> Failure {
        let source = io::Error::from_raw_os_error(libc::EACCES);
        Failure::from(PondError::io("open", Path::new("/srv/pond/lock"))(source))
    }

    #[test]
    fn the_system_speaks_without_number_and_capital() {
        let failure = denied();
        assert_eq!(failure.message, "cannot open /srv/pond/lock");
        assert_eq!(failure.causes, ["permission denied"]);
        assert_eq!((failure.exit, failure.code.as_str()), (1, "io"));
    }

    #[test]
    fn a_missing_pond_is_exit_10_and_hints_at_create() {
        let failure = Failure::from(PondError::Missing("/srv/pond".into()));
        assert_eq!(failure.exit, 10);
        assert!(failure.hints.iter().any(|hint| hint.contains("--create")));
    }

    #[test]
    fn a_cause_that_was_said_is_not_said_again() {
        #[derive(Debug, thiserror::Error)]
        #[error("cannot: {0}")]
        struct Outer(#[source] io::Error);
        assert!(causes(&Outer(io::Error::other("no room"))).is_empty());
        let quiet = Failure::system("cannot", &io::Error::other("no room"));
        assert_eq!(quiet.causes, ["no room"]);
    }

    #[test]
    fn a_failure_survives_the_way_through_json() {
        let failure = denied().hinted("ask its owner");
        let json = serde_json::to_string(&failure).unwrap();
        assert!(
            json.starts_with(r#"{"type":"error","code":"io","exit":1,"#),
            "{json}"
        );
        assert_eq!(serde_json::from_str::<Failure>(&json).unwrap(), failure);
    }
}
