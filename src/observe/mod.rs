//! What a running program tells about itself.
//!
//! Role: where log lines go and which are kept. In: how much the user wants to hear. Out: lines on
//! standard error, or in a file for a daemon that has no terminal. Holds always: a log that cannot
//! be written never stops the work. And [`guarded`]: what of a library's panic is told;
//! [`Metrics`]: how long what takes.

mod file;
mod guard;
mod log;
mod metrics;

pub use guard::guarded;
pub use log::{Verbosity, log_to_file, log_to_stderr};
pub use metrics::{Durations, Metrics, Number, Timer};
