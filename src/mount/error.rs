//! Why a pond could not be mounted or unmounted: one sentence each, and what to do about it.

use crate::tinyfs::FsError;
use std::io;
use std::path::{Path, PathBuf};

/// A failure to mount, to serve or to unmount.
#[derive(Debug, thiserror::Error)]
pub enum MountError {
    /// There is nothing at the mountpoint.
    #[error("the mountpoint {} does not exist", .0.display())]
    Missing(PathBuf),
    /// There is something else than a directory at the mountpoint.
    #[error("the mountpoint {} is not a directory", .0.display())]
    NotADirectory(PathBuf),
    /// One of the two lies in the other, so that the mount would hide or swallow the pond.
    #[error("cannot mount at {}: it and the pond {} lie one within the other", mountpoint.display(), pond.display())]
    Overlaps {
        /// Where to mount.
        mountpoint: PathBuf,
        /// The pond's folder.
        pond: PathBuf,
    },
    /// A pond is mounted there already.
    #[error("cannot mount at {}: the pond {} is mounted there already", mountpoint.display(), pond.display())]
    Taken {
        /// Where to mount.
        mountpoint: PathBuf,
        /// What is mounted there.
        pond: PathBuf,
    },
    /// A mount whose program has ended without unmounting it.
    #[error("a dead mount of type {kind} stands at {}", mountpoint.display())]
    Dead {
        /// Where it stands.
        mountpoint: PathBuf,
        /// Its type.
        kind: String,
    },
    /// To be unmounted, and no pond is mounted there.
    #[error("{} is not the mountpoint of a pond", .0.display())]
    NotMounted(PathBuf),
    /// The tree has nothing that a mount could show.
    #[error("the pond has no root directory")]
    NoRoot(#[source] FsError),
    /// To be unmounted, and in use.
    #[error("{} is busy: a program has a file open or is at work in there", .0.display())]
    Busy(PathBuf),
    /// The kernel offers no FUSE.
    #[error("there is no /dev/fuse, or it does not lead to the kernel")]
    NoDevice,
    /// `/dev/fuse` is there, and this user may not open it.
    #[error("permission denied to open /dev/fuse")]
    DeviceDenied,
    /// This user may not mount or unmount there.
    #[error("permission denied to {what} at {}", mountpoint.display())]
    Denied {
        /// `mount` or `unmount`.
        what: &'static str,
        /// Where.
        mountpoint: PathBuf,
    },
    /// The helper that mounts for users who are not root is missing.
    #[error("cannot run fusermount3, which mounts for users other than root")]
    NoFusermount(#[source] io::Error),
    /// `allow_other` by a user whom the system does not allow it.
    #[error("only root may open a mount to others: /etc/fuse.conf does not say user_allow_other")]
    OthersNotAllowed,
    /// The helper refused, in its own words.
    #[error("cannot {what} at {}: {said}", mountpoint.display())]
    Fusermount {
        /// `mount` or `unmount`.
        what: &'static str,
        /// Where.
        mountpoint: PathBuf,
        /// What the helper said.
        said: String,
    },
    /// Somebody else's mount.
    #[error("{} is a mount of {owner}, and only they or root may unmount it", mountpoint.display())]
    NotYours {
        /// Where it is.
        mountpoint: PathBuf,
        /// Who mounted it.
        owner: String,
    },
    /// The kernel lets this process not abort a connection.
    #[error("cannot abort the connection of the mount at {}", mountpoint.display())]
    CannotAbort {
        /// Where it is mounted.
        mountpoint: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A system call failed in a way that nothing above tells.
    #[error("cannot {what} {}", path.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// With what.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// Mounted, but the kernel and this program do not understand one another.
    #[error("the conversation with the kernel failed")]
    Session(#[source] io::Error),
}

impl MountError {
    /// Wraps what the system said to an attempt to `what` (a verb) `path`.
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

    /// The exit code of a command that fails with this.
    pub fn exit_code(&self) -> u8 {
        1
    }

    /// A short name for programs.
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

    /// What the user can do.
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
