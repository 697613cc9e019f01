//! Log lines: how many, and where they go.

use super::file::LogFile;
use super::guard::tell_panics;
use std::io;
use std::path::PathBuf;
use tracing_subscriber::EnvFilter;

/// The variable that chooses log lines more finely than `-v` does.
const VARIABLE: &str = "POND_LOG";

/// How much a user wants to hear.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Verbosity {
    /// Errors only.
    Quiet,
    /// Warnings too.
    #[default]
    Normal,
    /// What goes on (`-v`).
    Info,
    /// Why (`-vv`).
    Debug,
    /// Everything, of the libraries as well (`-vvv`).
    Trace,
}

impl Verbosity {
    /// From the counts of `-q` and `-v`.
    pub fn new(quiet: bool, verbose: u8) -> Verbosity {
        match (quiet, verbose) {
            (true, _) => Verbosity::Quiet,
            (_, 0) => Verbosity::Normal,
            (_, 1) => Verbosity::Info,
            (_, 2) => Verbosity::Debug,
            _ => Verbosity::Trace,
        }
    }

    /// Libraries warn of things that no user of a pond can act on, so they are heard one step later.
    fn directives(self) -> &'static str {
        match self {
            Verbosity::Quiet => "off,pondmount=error",
            Verbosity::Normal => "error,pondmount=warn",
            Verbosity::Info => "warn,pondmount=info",
            Verbosity::Debug => "info,pondmount=debug",
            Verbosity::Trace => "trace",
        }
    }

    fn filter(self) -> EnvFilter {
        match std::env::var(VARIABLE) {
            Ok(directives) if !directives.is_empty() => EnvFilter::new(directives),
            _ => EnvFilter::new(self.directives()),
        }
    }
}

/// Sends log lines to standard error.
pub fn log_to_stderr(verbosity: Verbosity) {
    let log = tracing_subscriber::fmt()
        .with_env_filter(verbosity.filter())
        .with_writer(io::stderr)
        .with_ansi(false);
    // It fails when there is a log already, which then stays.
    let _ = log.try_init();
    tell_panics(std::panic::take_hook());
}

/// Sends log lines, and what a panic says, to the file that `path` names when the first line comes.
pub fn log_to_file(verbosity: Verbosity, path: impl Fn() -> Option<PathBuf> + Send + 'static) {
    let log = tracing_subscriber::fmt()
        .with_env_filter(verbosity.filter())
        .with_writer(LogFile::new(path))
        .with_ansi(false);
    let _ = log.try_init();
    tell_panics(|panic| tracing::error!("{panic}"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quiet_wins_and_every_v_says_more() {
        assert_eq!(Verbosity::new(true, 3), Verbosity::Quiet);
        assert_eq!(Verbosity::new(false, 0), Verbosity::Normal);
        assert_eq!(Verbosity::new(false, 9), Verbosity::Trace);
        for verbosity in (0..4).map(|v| Verbosity::new(false, v)) {
            assert!(EnvFilter::try_new(verbosity.directives()).is_ok());
        }
    }
}
