//! Mounts and unmounts as root: `/dev/fuse`, `mount(2)` and `umount2(2)`.

use crate::mount::{FILE_SYSTEM, MountError, MountOptions, Rules};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::{MountFlags, UnmountFlags};
use std::ffi::CString;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;

const DEVICE: &str = "/dev/fuse";
/// Major and minor number of `/dev/fuse`, the same on every Linux.
const NUMBERS: (u32, u32) = (10, 229);
/// The kernel's read-ahead for a pond, in KiB.
const READ_AHEAD_KB: u32 = 512;

/// Checks that the kernel offers FUSE: `/dev/fuse` exists and has the right device number.
pub fn available() -> Result<(), MountError> {
    let seen = rustix::fs::stat(DEVICE).map_err(|_| MountError::NoDevice)?;
    let kind = rustix::fs::FileType::from_raw_mode(seen.st_mode);
    let numbers = (
        rustix::fs::major(seen.st_rdev),
        rustix::fs::minor(seen.st_rdev),
    );
    match kind.is_char_device() && numbers == NUMBERS {
        true => Ok(()),
        false => Err(MountError::NoDevice),
    }
}

/// Mounts `source` at `mountpoint` and returns the `/dev/fuse` connection.
pub(in crate::mount) fn mount(
    source: &Path,
    mountpoint: &Path,
    options: &MountOptions,
) -> Result<OwnedFd, MountError> {
    let device = open()?;
    let flags = flags(options.read_only, options.rules);
    let data = format!(
        "fd={},rootmode=40000,user_id={},group_id={},default_permissions{}",
        device.as_raw_fd(),
        rustix::process::geteuid().as_raw(),
        rustix::process::getegid().as_raw(),
        if options.allow_other {
            ",allow_other"
        } else {
            ""
        },
    );
    let invalid = |e: std::ffi::NulError| MountError::io("mount at", mountpoint)(e);
    let data = CString::new(data).map_err(invalid)?;
    match rustix::mount::mount(source, mountpoint, FILE_SYSTEM, flags, data.as_c_str()) {
        Ok(()) => Ok(device),
        Err(Errno::NODEV) => Err(MountError::NoDevice),
        Err(Errno::PERM | Errno::ACCESS) => Err(MountError::Denied {
            what: "mount",
            mountpoint: mountpoint.into(),
        }),
        Err(errno) => Err(MountError::io("mount at", mountpoint)(errno)),
    }
}

/// Raises the read-ahead of the mount with device number `device` above the kernel's 128 KiB: fewer
/// and larger READs, each of which covers larger stored extents. Only root may; otherwise has no
/// effect.
pub(in crate::mount) fn read_ahead(device: &str) {
    let path = format!("/sys/class/bdi/{device}/read_ahead_kb");
    if let Err(error) = std::fs::write(&path, READ_AHEAD_KB.to_string()) {
        tracing::debug!("the kernel reads ahead as it does by default: {path}: {error}");
    }
}

/// Remounts with other flags, read-only or read-write.
pub(in crate::mount) fn remount(
    mountpoint: &Path,
    read_only: bool,
    rules: Rules,
) -> Result<(), MountError> {
    let flags = flags(read_only, rules);
    rustix::mount::mount_remount(mountpoint, flags, c"").map_err(|errno| match errno {
        Errno::BUSY => MountError::Busy(mountpoint.into()),
        Errno::PERM | Errno::ACCESS => MountError::Denied {
            what: "remount",
            mountpoint: mountpoint.into(),
        },
        errno => MountError::io("remount", mountpoint)(errno),
    })
}

/// Returns mount flags. Files in a pond never grant privileges, and a read does not update `atime`.
fn flags(read_only: bool, rules: Rules) -> MountFlags {
    let mut flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOATIME;
    flags.set(MountFlags::RDONLY, read_only);
    flags.set(MountFlags::NOEXEC, rules.no_exec);
    flags.set(MountFlags::SYNCHRONOUS, rules.sync);
    flags.set(MountFlags::DIRSYNC, rules.dir_sync);
    flags
}

fn open() -> Result<OwnedFd, MountError> {
    let path = Path::new(DEVICE);
    rustix::fs::open(path, OFlags::RDWR | OFlags::CLOEXEC, Mode::empty()).map_err(|errno| {
        match errno {
            Errno::NOENT | Errno::NODEV | Errno::NXIO => MountError::NoDevice,
            Errno::ACCESS | Errno::PERM => MountError::DeviceDenied,
            errno => MountError::io("open", path)(errno),
        }
    })
}

/// Unmounts the uppermost mount at `mountpoint`; with `lazy`, processes that use it may stay.
pub(in crate::mount) fn unmount(mountpoint: &Path, lazy: bool) -> Result<(), MountError> {
    let mut flags = UnmountFlags::NOFOLLOW;
    flags.set(UnmountFlags::DETACH, lazy);
    rustix::mount::unmount(mountpoint, flags).map_err(|errno| match errno {
        Errno::BUSY => MountError::Busy(mountpoint.into()),
        Errno::INVAL => MountError::NotMounted(mountpoint.into()),
        Errno::PERM | Errno::ACCESS => MountError::Denied {
            what: "unmount",
            mountpoint: mountpoint.into(),
        },
        errno => MountError::io("unmount", mountpoint)(errno),
    })
}
