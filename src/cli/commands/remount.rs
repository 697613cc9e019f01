//! `mount -o remount`: changes the kernel's flags of an existing mount.

use crate::cli::control::{Client, Request, StatusReport, folder};
use crate::cli::failure::Failure;
use crate::cli::options::Options;
use crate::cli::place;
use crate::mount;
use std::path::Path;

/// Changes the kernel's flags of the mount at `mountpoint`. A pond that was opened read-only stays
/// so.
pub(super) fn run(mountpoint: &Path, options: &Options) -> Result<(), Failure> {
    let read_only = options.read_only == Some(true);
    let place = place::find(Some(mountpoint))?;
    if !read_only && let Some(reason) = no_changes(&folder(&place)?)? {
        let at = mountpoint.display();
        return Err(Failure::new(
            "read_only",
            format!("{at} cannot be made writable: {reason}"),
        )
        .hinted("unmount it, and mount it again without `ro`"));
    }
    Ok(mount::remount(mountpoint, read_only, options.rules)?)
}

/// Returns why the pond refuses changes, if it does.
fn no_changes(pond: &Path) -> Result<Option<String>, Failure> {
    let mut daemon = Client::connect(pond)?;
    let report: StatusReport = daemon.ask(&Request::Status)?;
    Ok(report.read_only)
}
