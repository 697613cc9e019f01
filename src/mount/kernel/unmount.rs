//! Changing and unmounting what is mounted, and clearing away what a program that died has left.

use crate::mount::kernel::mounts::{at, place};
use crate::mount::kernel::{device, fusermount};
use crate::mount::{FILE_SYSTEM, MountError, Rules};
use rustix::io::Errno;
use std::path::Path;

/// Unmounts the pond at `mountpoint`, or with `lazy` as soon as nobody uses it any more.
pub fn unmount(mountpoint: &Path, lazy: bool) -> Result<(), MountError> {
    let place = place(mountpoint);
    match at(&place)? {
        Some(mount) if mount.kind == FILE_SYSTEM => detach(&place, lazy),
        _ => Err(MountError::NotMounted(mountpoint.into())),
    }
}

/// Has the kernel refuse all changes to the pond at `mountpoint`, or let them through again, and see to
/// other `rules`. Only root can.
pub fn remount(mountpoint: &Path, read_only: bool, rules: Rules) -> Result<(), MountError> {
    let place = place(mountpoint);
    match at(&place)? {
        Some(mount) if mount.kind == FILE_SYSTEM => device::remount(&place, read_only, rules),
        _ => Err(MountError::NotMounted(mountpoint.into())),
    }
}

/// Takes away the dead mounts of ponds at `mountpoint`: those whose program ended without
/// unmounting. Answers whether there were any.
pub fn recover_stale(mountpoint: &Path) -> Result<bool, MountError> {
    let place = place(mountpoint);
    let mut found = false;
    while let Some(mount) = at(&place)? {
        // Only a FUSE mount can be dead, and to ask an autofs mount would have it mount.
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

/// Whether no process serves the mount any more. Not by `stat`, which the kernel may answer from
/// its cache. Blocks while the daemon is stuck.
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
