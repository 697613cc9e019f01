//! The daemon process behind a mount: its start, its main function, and its reports.
//!
//! Role: serves a mounted pond until it is unmounted. In: a [`Plan`]. Out: a mount that is ready
//! when the command returns, and a pond that is closed in order at the end. Invariant: a failed
//! start leaves no mount and no lock behind, and the command reports the reason.

mod background;
mod body;
mod mountpoint;
mod reporter;

pub use background::{launch, release};
pub use body::serve;
pub use reporter::Reporter;

use crate::mount::Rules;
use std::path::PathBuf;
use std::time::Duration;

/// The pond to mount, the mountpoint and the options. Both paths are absolute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The folder of the pond.
    pub pond: PathBuf,
    /// The mountpoint.
    pub mountpoint: PathBuf,
    /// Creates the pond if there is none.
    pub create: bool,
    /// Refuses all changes.
    pub read_only: bool,
    /// Shows this version, as the user wrote it, instead of the present.
    pub at: Option<String>,
    /// Lets other users in.
    pub allow_other: bool,
    /// Other mount flags.
    pub rules: Rules,
    /// The commit interval, if it is not the default.
    pub commit: Option<Duration>,
    /// Whether `fsync` makes a version.
    pub commit_on_sync: bool,
}
