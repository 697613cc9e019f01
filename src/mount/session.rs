//! A mount from its beginning to its end.
//!
//! The FUSE session ends when the mount is gone, whichever process unmounted it, and the serving
//! threads end with it; [`Mounted::wait`] waits for that.

use super::kernel::mounts::{Mount, again, at, place};
use super::kernel::unmount::is_dead;
use super::kernel::unmount::unmount;
use super::kernel::{device, fusermount};
use super::requests::dispatch::Adapter;
use super::vfs::Vfs;
use super::{FILE_SYSTEM, MountError};
use crate::pond::Pond;
use crate::tinyfs::ops::Restored;
use crate::tinyfs::{Errno, NodeId, Version};
use fuser::{Config, Session, SessionACL};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;

/// Mount flags of any file system that the kernel enforces, besides `ro`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    /// No program in it can be executed (`noexec`).
    pub no_exec: bool,
    /// Every change waits until it is durable (`sync`).
    pub sync: bool,
    /// Every change of a directory waits until it is durable (`dirsync`).
    pub dir_sync: bool,
}

impl Rules {
    /// Returns them as options of mount(8).
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        let all = [
            (self.no_exec, "noexec"),
            (self.sync, "sync"),
            (self.dir_sync, "dirsync"),
        ];
        all.into_iter()
            .filter(|(set, _)| *set)
            .map(|(_, name)| name)
    }
}

/// Options of a mount.
#[derive(Clone, Debug)]
pub struct MountOptions {
    /// The kernel refuses all changes (`ro`).
    pub read_only: bool,
    /// Other users may enter, as far as the modes of the files allow (`allow_other`).
    pub allow_other: bool,
    /// Other mount flags.
    pub rules: Rules,
    /// Shows this version instead of the present.
    pub at: Option<Version>,
    /// The number of threads that serve requests.
    pub threads: usize,
}

impl Default for MountOptions {
    fn default() -> Self {
        MountOptions {
            read_only: false,
            allow_other: false,
            rules: Rules::default(),
            at: None,
            threads: 4,
        }
    }
}

/// A mounted pond. Dropping it does not unmount.
#[derive(Debug)]
pub struct Mounted {
    serving: JoinHandle<io::Result<()>>,
    unmounter: Unmounter,
}

/// Unmounts a [`Mounted`] pond, from any thread.
#[derive(Clone, Debug)]
pub struct Unmounter {
    mount: Mount,
}

/// Mounts `pond` at `mountpoint`. On return, the mount serves requests, in threads of its own,
/// until it is unmounted.
pub fn mount(
    pond: Arc<Pond>,
    mountpoint: &Path,
    options: &MountOptions,
) -> Result<Mounted, MountError> {
    let mountpoint = check(mountpoint, pond.path())?;
    let source = std::path::absolute(pond.path()).map_err(MountError::io("find", pond.path()))?;
    device::available()?;
    let root = pond.node(options.at.unwrap_or(Version::NOW), NodeId::ROOT);
    match root {
        Ok(node) if node.is_dir() => {}
        Ok(_) => return Err(MountError::NoRoot(Errno::ENOTDIR.into())),
        Err(error) => return Err(MountError::NoRoot(error)),
    }
    let connect = match rustix::process::geteuid().is_root() {
        true => device::mount,
        false => fusermount::mount,
    };
    let connection = connect(&source, &mountpoint, options)?;
    let mounted = serve(pond, connection, &mountpoint, options);
    if mounted.is_err() {
        // The connection is closed, so the mount is dead.
        unmount(&mountpoint, true).ok();
    }
    mounted
}

fn serve(
    pond: Arc<Pond>,
    connection: std::os::fd::OwnedFd,
    mountpoint: &Path,
    options: &MountOptions,
) -> Result<Mounted, MountError> {
    let mut config = Config::default();
    config.n_threads = Some(options.threads.max(1));
    config.clone_fd = true;
    // The kernel enforces the mount's options itself. It also sends requests without a user of
    // their own (such as write-back), which a second check would refuse.
    let acl = SessionACL::All;
    let vfs = Arc::new(Vfs::new(pond.clone(), options.at));
    vfs.look();
    let session = Session::from_fd(Adapter::new(vfs.clone()), connection, acl, config)
        .map_err(MountError::Session)?;
    vfs.notifications.start(session.notifier());
    // A single serving thread could wait for itself.
    if options.threads > 1 {
        vfs.push.start();
    }
    let monitor = vfs.monitor.clone();
    (monitor.start(Arc::downgrade(&vfs))).map_err(MountError::Session)?;
    let late = monitor.clone();
    pond.report_late(Box::new(move || late.late()));
    // Weak references, since the pond must not keep alive its owner.
    let (changed, announced) = (Arc::downgrade(&vfs), Arc::downgrade(&vfs));
    drop(vfs);
    pond.on_change(Box::new(move || {
        if let Some(vfs) = changed.upgrade() {
            vfs.cached.invalidate(&vfs.notifications);
        }
    }));
    pond.watch(Arc::new(move |restored| {
        if let Some(vfs) = announced.upgrade() {
            vfs.invalidate(restored);
            vfs.look_again();
        }
    }));
    let serving = std::thread::Builder::new()
        .name("mount".into())
        .spawn(move || session.run())
        .map_err(MountError::Session)?;
    // The FUSE handshake is done, so the mount serves requests. This process must not send it any:
    // a thread that waits for a reply of its own process when that is killed never ends, nor does
    // the mount.
    let mount = at(mountpoint)?
        .filter(|mount| mount.kind == FILE_SYSTEM)
        .ok_or_else(|| MountError::NotMounted(mountpoint.into()))?;
    device::read_ahead(&mount.device);
    monitor.mounted(&mount.device);
    Ok(Mounted {
        serving,
        unmounter: Unmounter { mount },
    })
}

impl Vfs {
    /// Invalidates the kernel's caches of names and nodes that changed otherwise than by its own
    /// requests. Waits for requests (see [`notify`](super::cache::notify)): never in a serving
    /// thread.
    fn invalidate(&self, changed: &Restored) {
        self.cached.invalidate(&self.notifications);
        for node in &changed.nodes {
            self.push.wait(node.0);
            self.push.forget(node.0);
        }
        for (dir, name) in &changed.names {
            self.notifications.invalidate_name(dir.0, name);
        }
        for node in &changed.nodes {
            self.notifications.invalidate_pages(node.0);
        }
        if changed.past {
            // The kernel caches the past for ever, and would still show forgotten versions.
            for number in self.inodes.of_the_past() {
                self.notifications.invalidate_pages(number);
            }
        }
    }
}

/// Checks that `pond` can be mounted at `mountpoint`, and returns the resolved mountpoint.
fn check(mountpoint: &Path, pond: &Path) -> Result<PathBuf, MountError> {
    let place = place(mountpoint);
    // An autofs mount is not refused: it waits for this mount. Only `stat` is safe on it, since any
    // other call would trigger the automount.
    if let Some(mount) = at(&place)?
        && mount.kind == FILE_SYSTEM
    {
        return Err(match is_dead(&place) {
            true => MountError::Dead {
                mountpoint: place,
                kind: mount.kind,
            },
            false => MountError::Taken {
                mountpoint: place,
                pond: mount.source,
            },
        });
    }
    let seen = std::fs::metadata(mountpoint).map_err(|error| match error.raw_os_error() {
        Some(libc::ENOENT) => MountError::Missing(mountpoint.into()),
        Some(libc::ENOTDIR) => MountError::NotADirectory(mountpoint.into()),
        Some(libc::EACCES) => MountError::Denied {
            what: "mount",
            mountpoint: mountpoint.into(),
        },
        Some(libc::ENOTCONN) => MountError::Dead {
            mountpoint: mountpoint.into(),
            kind: "fuse".into(),
        },
        _ => MountError::io("look at", mountpoint)(error),
    })?;
    if !seen.is_dir() {
        return Err(MountError::NotADirectory(mountpoint.into()));
    }
    let pond = pond.canonicalize().map_err(MountError::io("find", pond))?;
    match place.starts_with(&pond) || pond.starts_with(&place) {
        true => Err(MountError::Overlaps {
            mountpoint: place,
            pond,
        }),
        false => Ok(place),
    }
}

impl Mounted {
    /// Waits until the pond is unmounted and no thread serves it any more.
    pub fn wait(self) -> Result<(), MountError> {
        match self.serving.join() {
            Ok(ended) => ended.map_err(MountError::Session),
            Err(_) => Err(MountError::Session(io::Error::other(
                "a thread that served it died",
            ))),
        }
    }

    /// Returns the mountpoint.
    pub fn mountpoint(&self) -> &Path {
        &self.unmounter.mount.mountpoint
    }

    /// Returns the mount as the kernel lists it.
    pub fn mount(&self) -> &Mount {
        &self.unmounter.mount
    }

    /// Returns a handle that unmounts it.
    pub fn unmounter(&self) -> Unmounter {
        self.unmounter.clone()
    }
}

impl Unmounter {
    /// Unmounts the pond; with `lazy`, the mount ends when its last user leaves it. Succeeds if it
    /// is already unmounted.
    pub fn unmount(&self, lazy: bool) -> Result<(), MountError> {
        // The mountpoint may have been moved together with a directory above it.
        let Some(mount) = again(&self.mount)? else {
            return Ok(());
        };
        // A mount on top of it belongs to others.
        match at(&mount.mountpoint)?.is_some_and(|top| top.id == mount.id) {
            true => unmount(&mount.mountpoint, lazy),
            false => Ok(()),
        }
    }
}
