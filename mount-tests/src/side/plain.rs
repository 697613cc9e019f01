//! The plain directory, as the reference: on the tests' disk, mounted again with the flags of a
//! pond's mount: `noatime`, `nosuid` and `nodev`.

use std::path::{Path, PathBuf};

use rustix::mount::{MountFlags, UnmountFlags, mount_bind, mount_remount, unmount};
use tempfile::TempDir;

use crate::pond::scratch;

/// A directory that is unmounted and removed at the end.
pub struct Plain {
    path: PathBuf,
    _dir: TempDir,
}

impl Plain {
    pub fn new() -> Plain {
        let dir = scratch();
        let path = dir.path().join("plain");
        std::fs::create_dir(&path).expect("mkdir");
        crate::place::open_to_all(dir.path());
        crate::place::open_to_all(&path);
        mount_bind(&path, &path).expect("bind the plain directory");
        let plain = Plain { path, _dir: dir };
        let flags = MountFlags::BIND | MountFlags::NOATIME | MountFlags::NOSUID | MountFlags::NODEV;
        mount_remount(&plain.path, flags, c"").expect("remount the plain directory");
        plain
    }

    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Default for Plain {
    fn default() -> Self {
        Plain::new()
    }
}

impl Drop for Plain {
    fn drop(&mut self) {
        if let Err(error) = unmount(&self.path, UnmountFlags::DETACH) {
            eprintln!("cannot unmount {}: {error}", self.path.display());
        }
    }
}
