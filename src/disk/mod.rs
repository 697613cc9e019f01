//! File system access for everything that must survive a crash: segments, journal and oplog.
//!
//! `content`, `index`, `oplog` and `pond` take a [`Disk`] instead of calling `std::fs`, so that
//! tests can run them on a disk that fails. [`LocalDisk`] is the file system of this machine,
//! [`AnchoredDisk`] the same below a directory that is held open and may be moved meanwhile.
//! `sim`, for tests only, simulates power cuts, failed calls and a full disk.
//!
//! Nothing is durable before it is synced: file content by [`DiskFile::sync_data`], directory
//! entries by [`Disk::sync_dir`].

mod anchor;
mod local;
#[cfg(test)]
pub(crate) mod sim;

pub use anchor::{AnchoredDir, AnchoredDisk, Location, display_path};
pub use local::LocalDisk;

use std::ffi::OsString;
use std::fmt::Debug;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

/// A file system. Calls block.
pub trait Disk: Debug + Send + Sync + 'static {
    /// Creates a file and opens it for reading and writing. Fails if it exists.
    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>>;

    /// Opens a file for reading.
    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>>;

    /// Opens a file to read what is on stable storage. The process that wrote it may have died
    /// before it synced the file, or its sync may have failed. The page cache then shows bytes that
    /// no later sync writes. So this call syncs the file and drops its pages from the page cache.
    fn open_cold(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>>;

    /// Renames a file. With `replace` an existing `to` is replaced; without it the call fails with
    /// [`io::ErrorKind::AlreadyExists`].
    fn rename(&self, from: &Path, to: &Path, replace: bool) -> io::Result<()>;

    /// Removes a file.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Creates a directory in an existing parent.
    fn make_dir(&self, path: &Path) -> io::Result<()>;

    /// Makes the entries of a directory durable.
    fn sync_dir(&self, path: &Path) -> io::Result<()>;

    /// Returns the names in a directory, in no particular order.
    fn list(&self, path: &Path) -> io::Result<Vec<OsString>>;

    /// Returns the attributes of the file or directory at `path`.
    fn look(&self, path: &Path) -> io::Result<Seen>;

    /// Returns the capacity and free space of the file system that holds `path`.
    fn space(&self, path: &Path) -> io::Result<Space>;
}

/// An open file.
pub trait DiskFile: Debug + Send + Sync {
    /// Fills `buffer` from `offset`, or fails with [`io::ErrorKind::UnexpectedEof`].
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()>;

    /// Writes all of `bytes` at `offset`.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;

    /// Makes everything written to the file durable.
    fn sync_data(&self) -> io::Result<()>;

    /// Returns the length in bytes.
    fn size(&self) -> io::Result<u64>;
}

/// Attributes of a file or directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Whether it is a directory; otherwise it is a file.
    pub is_dir: bool,
    /// Length in bytes.
    pub len: u64,
    /// Time of the last modification.
    pub modified: SystemTime,
}

/// Capacity and free space of a file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Space {
    /// Size of a block in bytes.
    pub block: u64,
    /// Total number of blocks.
    pub blocks: u64,
    /// Number of free blocks.
    pub free: u64,
    /// Number of free blocks that unprivileged users may use.
    pub available: u64,
    /// Total number of inodes.
    pub files: u64,
    /// Number of free inodes.
    pub files_free: u64,
}

/// Creates `dir` and its missing ancestors. Each is durable in its parent before it is used.
pub fn make_dirs(disk: &dyn Disk, dir: &Path) -> io::Result<()> {
    let parent = match dir.parent() {
        Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
        Some(parent) => parent,
        None => return Ok(()),
    };
    match disk.make_dir(dir) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            make_dirs(disk, parent)?;
            disk.make_dir(dir)?;
        }
        // Its creator may have died before it synced the parent, so the parent is synced below.
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
        made => made?,
    }
    disk.sync_dir(parent)
}

/// Returns the content of the file at `path`. Fails with [`io::ErrorKind::FileTooLarge`] if it is
/// longer than `limit` bytes.
pub fn read(disk: &dyn Disk, path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let file = disk.open(path)?;
    let len = file.size()?;
    if len > limit {
        let why = format!("it has {len} bytes, and at most {limit} are expected");
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, why));
    }
    let mut bytes = vec![0; len as usize];
    file.read_at(&mut bytes, 0)?;
    Ok(bytes)
}
