//! Log levels and destinations: standard error, or a file for a daemon without a terminal.
//!
//! `cli` calls [`log_to_stderr`] or [`log_to_file`] once when the process starts.

use super::file::LogFile;
use super::guard::tell_panics;
use std::io;
use std::path::PathBuf;
use tracing_subscriber::EnvFilter;

/// Environment variable with filter directives. It overrides `-q` and `-v`.
const VARIABLE: &str = "POND_LOG";

/// How much is logged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Verbosity {
    /// Errors.
    Quiet,
    /// Errors and warnings.
    #[default]
    Normal,
    /// Progress (`-v`).
    Info,
    /// Reasons and details (`-vv`).
    Debug,
    /// Everything, including libraries (`-vvv`).
    Trace,
}

impl Verbosity {
    /// Returns the verbosity for `-q` and the number of `-v`. `-q` overrides `-v`.
    pub fn new(quiet: bool, verbose: u8) -> Verbosity {
        match (quiet, verbose) {
            (true, _) => Verbosity::Quiet,
            (_, 0) => Verbosity::Normal,
            (_, 1) => Verbosity::Info,
            (_, 2) => Verbosity::Debug,
            _ => Verbosity::Trace,
        }
    }

    /// Returns the filter directives. Libraries are logged one level less than pondmount, because a
    /// user cannot act on most of their warnings.
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
    // Fails if a subscriber is set already, which then stays.
    let _ = log.try_init();
    tell_panics(std::panic::take_hook());
}

/// Sends log lines and panic messages to the file that `path` returns. `path` is called for the
/// first line.
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
    fn quiet_overrides_verbose_and_each_v_adds_a_level() {
        assert_eq!(Verbosity::new(true, 3), Verbosity::Quiet);
        assert_eq!(Verbosity::new(false, 0), Verbosity::Normal);
        assert_eq!(Verbosity::new(false, 9), Verbosity::Trace);
        for verbosity in (0..4).map(|v| Verbosity::new(false, v)) {
            assert!(EnvFilter::try_new(verbosity.directives()).is_ok());
        }
    }
}
