//! Errors of mounting and unmounting: one sentence each, with a hint.

use crate::tinyfs::FsError;
use std::io;
use std::path::{Path, PathBuf};

/// A failure to mount, to serve or to unmount.
#[derive(Debug, thiserror::Error)]
pub enum MountError {
    /// The mountpoint does not exist.
    #[error("the mountpoint {} does not exist", .0.display())]
    Missing(PathBuf),
    /// The mountpoint is not a directory.
    #[error("the mountpoint {} is not a directory", .0.display())]
    NotADirectory(PathBuf),
    /// The mountpoint and the pond's folder overlap: the mount would hide or contain the pond.
    #[error("cannot mount at {}: it and the pond {} lie one within the other", mountpoint.display(), pond.display())]
    Overlaps {
        /// The mountpoint.
        mountpoint: PathBuf,
        /// The pond's folder.
        pond: PathBuf,
    },
    /// Another mount of a pond is at the mountpoint.
    #[error("cannot mount at {}: the pond {} is mounted there already", mountpoint.display(), pond.display())]
    Taken {
        /// The mountpoint.
        mountpoint: PathBuf,
        /// The pond that is mounted there.
        pond: PathBuf,
    },
    /// A mount whose daemon ended without unmounting it.
    #[error("a dead mount of type {kind} stands at {}", mountpoint.display())]
    Dead {
        /// The mountpoint.
        mountpoint: PathBuf,
        /// The file system type.
        kind: String,
    },
    /// No pond is mounted at the path that was to be unmounted.
    #[error("{} is not the mountpoint of a pond", .0.display())]
    NotMounted(PathBuf),
    /// The tree has no root that a mount could show.
    #[error("the pond has no root directory")]
    NoRoot(#[source] FsError),
    /// The mount that was to be unmounted is in use.
    #[error("{} is busy: a program has a file open or is at work in there", .0.display())]
    Busy(PathBuf),
    /// The kernel offers no FUSE.
    #[error("there is no /dev/fuse, or it does not lead to the kernel")]
    NoDevice,
    /// This user may not open `/dev/fuse`.
    #[error("permission denied to open /dev/fuse")]
    DeviceDenied,
    /// This user may not mount or unmount there.
    #[error("permission denied to {what} at {}", mountpoint.display())]
    Denied {
        /// `mount` or `unmount`.
        what: &'static str,
        /// The mountpoint.
        mountpoint: PathBuf,
    },
    /// The helper that mounts for users other than root is missing.
    #[error("cannot run fusermount3, which mounts for users other than root")]
    NoFusermount(#[source] io::Error),
    /// The system does not allow this user `allow_other`.
    #[error("only root may open a mount to others: /etc/fuse.conf does not say user_allow_other")]
    OthersNotAllowed,
    /// `fusermount3` refused.
    #[error("cannot {what} at {}: {said}", mountpoint.display())]
    Fusermount {
        /// `mount` or `unmount`.
        what: &'static str,
        /// The mountpoint.
        mountpoint: PathBuf,
        /// What `fusermount3` printed.
        said: String,
    },
    /// The mount belongs to another user.
    #[error("{} is a mount of {owner}, and only they or root may unmount it", mountpoint.display())]
    NotYours {
        /// The mountpoint.
        mountpoint: PathBuf,
        /// The user that mounted it.
        owner: String,
    },
    /// This process may not abort the connection.
    #[error("cannot abort the connection of the mount at {}", mountpoint.display())]
    CannotAbort {
        /// The mountpoint.
        mountpoint: PathBuf,
        /// The error of the system call.
        #[source]
        source: io::Error,
    },
    /// Any other failed system call.
    #[error("cannot {what} {}", path.display())]
    Io {
        /// The verb of the operation.
        what: &'static str,
        /// The path that it was applied to.
        path: PathBuf,
        /// The error of the system call.
        #[source]
        source: io::Error,
    },
    /// The FUSE handshake failed after mounting.
    #[error("the conversation with the kernel failed")]
    Session(#[source] io::Error),
}

impl MountError {
    /// Wraps a system error of an attempt to `what` (a verb) `path`.
    pub(super) fn io<E: Into<io::Error>>(
        what: &'static str,
        path: &Path,
    ) -> impl FnOnce(E) -> MountError {
        let path = path.to_owned();
        move |source| MountError::Io {
            what,
            path,
            source: source.into(),
        }
    }

    /// Returns the exit code of a command that fails with this error.
    pub fn exit_code(&self) -> u8 {
        1
    }

    /// Returns a short name for programs.
    pub fn code(&self) -> &'static str {
        match self {
            MountError::Missing(_) => "no_mountpoint",
            MountError::NotADirectory(_) => "mountpoint_not_a_directory",
            MountError::Overlaps { .. } => "mountpoint_overlaps",
            MountError::Taken { .. } => "already_mounted",
            MountError::Dead { .. } => "dead_mount",
            MountError::NotMounted(_) => "not_mounted",
            MountError::NoRoot(_) => "no_root",
            MountError::Busy(_) => "busy",
            MountError::NoDevice => "no_fuse",
            MountError::DeviceDenied | MountError::Denied { .. } => "permission_denied",
            MountError::NoFusermount(_) => "no_fusermount",
            MountError::OthersNotAllowed => "allow_other_denied",
            MountError::Fusermount { .. } => "fusermount",
            MountError::NotYours { .. } => "not_yours",
            MountError::CannotAbort { .. } => "cannot_abort",
            MountError::Io { .. } => "io",
            MountError::Session(_) => "session",
        }
    }

    /// Returns what the user can do.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            MountError::Missing(path) => format!("`mkdir {}` makes it", path.display()),
            MountError::Overlaps { .. } => "mount at a directory outside of the pond".into(),
            MountError::Taken { mountpoint, .. } => {
                format!("`pondmount umount {}` unmounts it", mountpoint.display())
            }
            MountError::Dead { mountpoint, .. } => {
                format!("`umount --lazy {}` removes it", mountpoint.display())
            }
            MountError::NoRoot(_) => "`pondmount check` says what else is wrong".into(),
            MountError::NotMounted(_) => "`pondmount mount` lists what is mounted".into(),
            MountError::Busy(path) => format!(
                "`fuser -vm {0}` shows which program; `pondmount umount --lazy {0}` does not wait for it",
                path.display()
            ),
            MountError::NoDevice => {
                "`modprobe fuse` loads it; a container has to be given /dev/fuse".into()
            }
            MountError::NotYours { mountpoint, .. } => {
                format!(
                    "`sudo pondmount umount {}` unmounts it",
                    mountpoint.display()
                )
            }
            MountError::CannotAbort { mountpoint, .. } => {
                format!(
                    "root can: `sudo pondmount umount --force {}`",
                    mountpoint.display()
                )
            }
            MountError::DeviceDenied => "ask for the rights of the group that owns it".into(),
            MountError::Denied { what: "mount", .. } => {
                "mount at a directory of your own; a container needs CAP_SYS_ADMIN".into()
            }
            MountError::NoFusermount(_) => {
                "install the Debian package fuse3, or mount as root".into()
            }
            MountError::OthersNotAllowed => {
                "mount without allow_other, or have root add the line user_allow_other".into()
            }
            _ => return None,
        })
    }
}
