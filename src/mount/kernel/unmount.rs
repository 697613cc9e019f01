//! Unmounts and remounts ponds, and removes the dead mounts of daemons that crashed.

use crate::mount::kernel::mounts::{at, place};
use crate::mount::kernel::{device, fusermount};
use crate::mount::{FILE_SYSTEM, MountError, Rules};
use rustix::io::Errno;
use std::path::Path;

/// Unmounts the pond at `mountpoint`; with `lazy`, the mount ends when its last user leaves it.
pub fn unmount(mountpoint: &Path, lazy: bool) -> Result<(), MountError> {
    let place = place(mountpoint);
    match at(&place)? {
        Some(mount) if mount.kind == FILE_SYSTEM => detach(&place, lazy),
        _ => Err(MountError::NotMounted(mountpoint.into())),
    }
}

/// Remounts the pond at `mountpoint` with other `rules`, read-only or read-write. Only root may.
pub fn remount(mountpoint: &Path, read_only: bool, rules: Rules) -> Result<(), MountError> {
    let place = place(mountpoint);
    match at(&place)? {
        Some(mount) if mount.kind == FILE_SYSTEM => device::remount(&place, read_only, rules),
        _ => Err(MountError::NotMounted(mountpoint.into())),
    }
}

/// Unmounts dead ponds at `mountpoint`: those whose daemon ended without unmounting. Returns
/// whether there were any.
pub fn recover_stale(mountpoint: &Path) -> Result<bool, MountError> {
    let place = place(mountpoint);
    let mut found = false;
    while let Some(mount) = at(&place)? {
        // Only a FUSE mount can be dead; a look at an autofs mount would trigger it.
        if !mount.kind.starts_with("fuse") || !is_dead(&place) {
            break;
        }
        if mount.kind != FILE_SYSTEM {
            return Err(MountError::Dead {
                mountpoint: place,
                kind: mount.kind,
            });
        }
        detach(&place, true)?;
        found = true;
    }
    Ok(found)
}

/// Returns whether no process serves the mount any more. Does not use `stat`, which the kernel may
/// answer from its cache. Blocks while the daemon is stuck.
pub fn is_dead(mountpoint: &Path) -> bool {
    matches!(
        rustix::fs::statfs(mountpoint),
        Err(Errno::NOTCONN | Errno::CONNABORTED)
    )
}

fn detach(place: &Path, lazy: bool) -> Result<(), MountError> {
    match rustix::process::geteuid().is_root() {
        true => device::unmount(place, lazy),
        false => fusermount::unmount(place, lazy),
    }
}
