//! Mounting and unmounting as root: `/dev/fuse`, `mount(2)` and `umount2(2)`.

use super::{FILE_SYSTEM, MountError, MountOptions};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::{MountFlags, UnmountFlags};
use std::ffi::CString;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;

/// The number of `/dev/fuse`: a miscellaneous device, by the kernel's `Documentation/admin-guide/devices.txt`.
const FUSE_DEVICE: (u32, u32) = (10, 229);

/// Mounts `source` at `mountpoint` and answers the connection to the kernel.
pub(super) fn mount(
    source: &Path,
    mountpoint: &Path,
    options: &MountOptions,
) -> Result<OwnedFd, MountError> {
    let device = open()?;
    let mut flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOATIME;
    flags.set(MountFlags::RDONLY, options.read_only);
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

fn open() -> Result<OwnedFd, MountError> {
    let path = Path::new("/dev/fuse");
    let flags = OFlags::RDWR | OFlags::CLOEXEC;
    let device = rustix::fs::open(path, flags, Mode::empty()).map_err(|errno| match errno {
        Errno::NOENT | Errno::NODEV | Errno::NXIO => MountError::NoDevice,
        Errno::ACCESS | Errno::PERM => MountError::DeviceDenied,
        errno => MountError::io("open", path)(errno),
    })?;
    // Containers hide devices by putting another file in their place.
    let number = rustix::fs::fstat(&device)
        .map_err(MountError::io("look at", path))?
        .st_rdev;
    match (rustix::fs::major(number), rustix::fs::minor(number)) {
        FUSE_DEVICE => Ok(device),
        _ => Err(MountError::NoDevice),
    }
}

/// Takes the uppermost mount away from `mountpoint`; with `lazy`, whoever is in it may stay.
pub(super) fn unmount(mountpoint: &Path, lazy: bool) -> Result<(), MountError> {
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
