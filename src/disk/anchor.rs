//! A directory that stays accessible when it is moved.
//!
//! A pond is open for months, and its folder or one above it may be renamed meanwhile. So the pond
//! opens its folder once, and reaches every file in it through that descriptor: by
//! [`AnchoredDisk`], and, for libraries that take only paths, by [`AnchoredDir::access_path`],
//! which is below `/proc/self/fd`. Messages name the path that the user gave; [`display_path`]
//! turns a path below `/proc/self/fd` into one that is valid outside of this process.
//!
//! Invariant: no file is looked up by the path that the directory had when it was opened.

use super::{Disk, DiskFile, LocalDisk, Seen, Space};
use rustix::fs::{CWD, Mode, OFlags, fstat, openat, stat};
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

/// The kernel's list of this process's open files.
const DESCRIPTORS: &str = "/proc/self/fd";
/// What the kernel appends there to the path of a removed file.
const REMOVED: &[u8] = b" (deleted)";

/// A directory that is held open.
#[derive(Debug)]
pub struct AnchoredDir {
    /// Its path when it was opened.
    path: PathBuf,
    /// Its path below `/proc/self/fd`.
    access: PathBuf,
    handle: OwnedFd,
}

/// Where a directory is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Location {
    /// At this path.
    At(PathBuf),
    /// It was removed.
    Removed,
    /// At no path that this process can see: below a detached mount, or outside of its root.
    Unreachable,
}

impl AnchoredDir {
    /// Opens the directory at `path`.
    pub fn open(path: &Path) -> io::Result<AnchoredDir> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let handle = openat(CWD, path, flags, Mode::empty())?;
        let access = Path::new(DESCRIPTORS).join(handle.as_raw_fd().to_string());
        let mut dir = AnchoredDir {
            path: path.to_owned(),
            access,
            handle,
        };
        // Without /proc there is only the path.
        if !dir.is_at(&dir.access) {
            dir.access = dir.path.clone();
        }
        Ok(dir)
    }

    /// The path of the directory when it was opened.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the path by which system calls reach `path`, which is given as if the directory had
    /// not been moved.
    pub fn access_path(&self, path: &Path) -> PathBuf {
        match path.strip_prefix(&self.path) {
            Ok(rest) if rest.as_os_str().is_empty() => self.access.clone(),
            Ok(rest) => self.access.join(rest),
            Err(_) => path.to_owned(),
        }
    }

    /// Returns where the directory is now.
    pub fn location(&self) -> Location {
        if self.is_at(&self.path) {
            return Location::At(self.path.clone());
        }
        match std::fs::read_link(&self.access) {
            Ok(path) if self.is_at(&path) => Location::At(path),
            Ok(path) if without_removed_mark(&path).is_some() => Location::Removed,
            _ => Location::Unreachable,
        }
    }

    fn is_at(&self, path: &Path) -> bool {
        match (fstat(&self.handle), stat(path)) {
            (Ok(held), Ok(seen)) => (held.st_dev, held.st_ino) == (seen.st_dev, seen.st_ino),
            _ => false,
        }
    }
}

/// Returns a path for messages: one below `/proc/self/fd` means nothing outside of this process.
pub fn display_path(path: &Path) -> PathBuf {
    let Ok(rest) = path.strip_prefix(DESCRIPTORS) else {
        return path.to_owned();
    };
    let mut parts = rest.components();
    let Some(Component::Normal(descriptor)) = parts.next() else {
        return path.to_owned();
    };
    match std::fs::read_link(Path::new(DESCRIPTORS).join(descriptor)) {
        Ok(dir) => without_removed_mark(&dir)
            .unwrap_or(dir)
            .join(parts.as_path()),
        Err(_) => path.to_owned(),
    }
}

/// Returns the path without the kernel's mark of a removed file; `None` if it has no mark.
fn without_removed_mark(path: &Path) -> Option<PathBuf> {
    let bare = path.as_os_str().as_bytes().strip_suffix(REMOVED)?;
    Some(OsStr::from_bytes(bare).into())
}

/// The file system of this machine, below a directory that is held open.
#[derive(Clone, Debug)]
pub struct AnchoredDisk(pub Arc<AnchoredDir>);

impl Disk for AnchoredDisk {
    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        LocalDisk.create(&self.0.access_path(path))
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        LocalDisk.open(&self.0.access_path(path))
    }

    fn open_cold(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        LocalDisk.open_cold(&self.0.access_path(path))
    }

    fn rename(&self, from: &Path, to: &Path, replace: bool) -> io::Result<()> {
        LocalDisk.rename(&self.0.access_path(from), &self.0.access_path(to), replace)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        LocalDisk.remove(&self.0.access_path(path))
    }

    fn make_dir(&self, path: &Path) -> io::Result<()> {
        LocalDisk.make_dir(&self.0.access_path(path))
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        LocalDisk.sync_dir(&self.0.access_path(path))
    }

    fn list(&self, path: &Path) -> io::Result<Vec<OsString>> {
        LocalDisk.list(&self.0.access_path(path))
    }

    fn look(&self, path: &Path) -> io::Result<Seen> {
        LocalDisk.look(&self.0.access_path(path))
    }

    fn space(&self, path: &Path) -> io::Result<Space> {
        LocalDisk.space(&self.0.access_path(path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn a_directory_is_reached_wherever_it_is_moved() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        let (old, new) = (root.join("above/pond"), root.join("elsewhere"));
        fs::create_dir_all(&old).unwrap();
        let anchored = Arc::new(AnchoredDir::open(&old).unwrap());
        assert_eq!(anchored.location(), Location::At(old.clone()));
        let disk = AnchoredDisk(anchored.clone());
        fs::rename(root.join("above"), &new).unwrap();
        // Another one takes its place.
        fs::create_dir_all(&old).unwrap();
        let file = disk.create(&old.join("f")).unwrap();
        file.write_at(b"here", 0).unwrap();
        disk.rename(&old.join("f"), &old.join("g"), false).unwrap();
        disk.sync_dir(&old).unwrap();
        assert_eq!(disk.list(&old).unwrap(), ["g"]);
        assert_eq!(fs::read(new.join("pond/g")).unwrap(), b"here");
        assert_eq!(fs::read_dir(&old).unwrap().count(), 0);
        assert_eq!(anchored.location(), Location::At(new.join("pond")));
        assert_eq!(
            display_path(&anchored.access_path(&old.join("g"))),
            new.join("pond/g")
        );
        // A path that is none of its own is left alone.
        assert_eq!(anchored.access_path(&new), new);
        assert_eq!(display_path(&new), new);
    }

    #[test]
    fn a_removed_directory_is_told_from_a_moved_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().canonicalize().unwrap().join("a (deleted)");
        fs::create_dir(&path).unwrap();
        let anchored = AnchoredDir::open(&path).unwrap();
        assert_eq!(anchored.location(), Location::At(path.clone()));
        fs::remove_dir(&path).unwrap();
        assert_eq!(anchored.location(), Location::Removed);
        assert_eq!(
            display_path(&anchored.access_path(&path.join("f"))),
            path.join("f")
        );
        fs::create_dir(&path).unwrap();
        assert_eq!(anchored.location(), Location::Removed);
    }
}
