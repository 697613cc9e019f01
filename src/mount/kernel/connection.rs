//! Aborts FUSE connections through fusectl.
//!
//! `umount --force` uses it to free a mount whose daemon is stuck. Each FUSE connection has a
//! directory `N` in fusectl, where N is the device number of its mounts. A write to `N/abort` fails
//! all pending and later requests, whatever state the daemon is in. Root may abort all connections,
//! other users their own. If fusectl is not mounted, root mounts it where no path leads.

use crate::mount::{Mount, MountError};
use rustix::fd::OwnedFd;
use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::io::{Errno, write};
use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsmount, fsopen};
use std::path::Path;

/// Where fusectl is usually mounted.
const CONNECTIONS: &str = "/sys/fs/fuse/connections";

/// Aborts the connection behind `mount`: all its pending and later requests fail.
pub fn abort(mount: &Mount) -> Result<(), MountError> {
    let failed = |errno: Errno| match errno {
        Errno::ACCESS | Errno::PERM | Errno::NOENT | Errno::NODEV | Errno::NOSYS => {
            MountError::CannotAbort {
                mountpoint: mount.mountpoint.clone(),
                source: errno.into(),
            }
        }
        errno => MountError::io("abort the connection of", &mount.mountpoint)(errno),
    };
    let file = number(&mount.device).map(|number| format!("{number}/abort"));
    let file = file.ok_or(Errno::NODEV).map_err(failed)?;
    let abort = match open(&Path::new(CONNECTIONS).join(&file)) {
        // fusectl is not mounted there.
        Err(Errno::NOENT) => {
            hidden().and_then(|connections| openat(connections, &file, FLAGS, Mode::empty()))
        }
        opened => opened,
    };
    write(abort.map_err(failed)?, b"1").map_err(failed)?;
    Ok(())
}

const FLAGS: OFlags = OFlags::WRONLY.union(OFlags::CLOEXEC);

fn open(path: &Path) -> Result<OwnedFd, Errno> {
    openat(CWD, path, FLAGS, Mode::empty())
}

/// Mounts fusectl detached from all paths. The mount ends when the descriptor is closed.
fn hidden() -> Result<OwnedFd, Errno> {
    let context = fsopen("fusectl", FsOpenFlags::FSOPEN_CLOEXEC)?;
    fsconfig_create(&context)?;
    fsmount(
        &context,
        FsMountFlags::FSMOUNT_CLOEXEC,
        MountAttrFlags::empty(),
    )
}

/// Returns the number of a connection: the device number as the kernel encodes it.
fn number(device: &str) -> Option<u64> {
    let (major, minor) = device.split_once(':')?;
    Some(major.parse::<u64>().ok()? << 20 | minor.parse::<u64>().ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_has_the_number_of_its_device() {
        assert_eq!(number("0:41"), Some(41));
        assert_eq!(number("1:2"), Some((1 << 20) + 2));
        assert_eq!(number("41"), None);
    }
}
