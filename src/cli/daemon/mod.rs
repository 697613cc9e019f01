//! The process behind a mount: how it starts, what it does until the end, and whom it tells.
//!
//! Role: the life of a mounted pond. In: a [`Plan`]. Out: a mount that is ready when the command
//! returns, and a pond that is closed in order when it goes. Holds: a start that fails leaves no
//! mount and no lock behind, and the command says why.

mod background;
mod body;
mod herald;
mod mountpoint;

pub use background::{launch, release};
pub use body::serve;
pub use herald::Herald;

use crate::mount::Rules;
use std::path::PathBuf;
use std::time::Duration;

/// What is to be mounted, where and how. Both paths are absolute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The folder of the pond.
    pub pond: PathBuf,
    /// Where to mount it.
    pub mountpoint: PathBuf,
    /// Make the pond if there is nothing.
    pub create: bool,
    /// Take no changes.
    pub read_only: bool,
    /// Show this version, as the user names it, and not the present.
    pub at: Option<String>,
    /// Let other users in.
    pub allow_other: bool,
    /// What else the kernel sees to.
    pub rules: Rules,
    /// How long changes wait for their version, if not as usual.
    pub commit: Option<Duration>,
    /// Whether `fsync` makes a version.
    pub commit_on_sync: bool,
}
