//! Observability of a running process: log lines, panics of libraries, metrics.
//!
//! - [`log_to_stderr`], [`log_to_file`]: where log lines go, and which. Called by `cli`.
//! - [`guarded`]: contains panics of decoders. Called wherever files are decoded.
//! - [`Metrics`]: durations and gauges. Used by `mount`.
//!
//! A log that cannot be written never stops the work.

mod file;
mod guard;
mod log;
mod metrics;

pub use guard::guarded;
#[cfg(test)]
pub(crate) use guard::is_guarded;
pub use log::{Verbosity, log_to_file, log_to_stderr};
pub use metrics::{Durations, Metrics, Number};
