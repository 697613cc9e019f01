//! Files of a pond on a disk, and what it takes until they stay there.
//!
//! Role: the few calls by which segments, journal and oplog use a file system, so that all of them can be
//! run on one that fails. In: paths. Out: bytes, or the error of the operating system. Holds always:
//! nothing is durable before it was synced: bytes by [`DiskFile::sync_data`], names by [`Disk::sync_dir`].
//!
//! - [`LocalDisk`]: the file system of this machine.
//! - [`sim`]: one in memory that loses, delays and refuses as a seed has it. For tests.

mod local;
#[cfg(test)]
pub(crate) mod sim;

pub use local::LocalDisk;

use std::ffi::OsString;
use std::fmt::Debug;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

/// A file system. Calls block.
pub trait Disk: Debug + Send + Sync + 'static {
    /// Makes a file that must not be there, to read and write.
    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>>;

    /// Opens a file to read it.
    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>>;

    /// Opens a file to read what is on stable storage. Whoever wrote it may have died before it was
    /// synced, or not have been able to sync it: then the system shows bytes that no later sync will
    /// write. So it is synced, and what the system keeps of it in memory is dropped.
    fn open_cold(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>>;

    /// Moves a file. What is at `to` is replaced, or in the way ([`io::ErrorKind::AlreadyExists`]).
    fn rename(&self, from: &Path, to: &Path, replace: bool) -> io::Result<()>;

    /// Removes a file.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Makes a folder whose parent is there.
    fn make_dir(&self, path: &Path) -> io::Result<()>;

    /// Returns when the names in a folder are on stable storage.
    fn sync_dir(&self, path: &Path) -> io::Result<()>;

    /// The names in a folder, in no order.
    fn list(&self, path: &Path) -> io::Result<Vec<OsString>>;

    /// What stands at a path.
    fn look(&self, path: &Path) -> io::Result<Seen>;

    /// How much room there is.
    fn space(&self, path: &Path) -> io::Result<Space>;
}

/// An open file.
pub trait DiskFile: Debug + Send + Sync {
    /// Fills `buffer` from `offset` on, or fails with [`io::ErrorKind::UnexpectedEof`].
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()>;

    /// Writes all of `bytes` at `offset`.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;

    /// Returns when what was written is on stable storage.
    fn sync_data(&self) -> io::Result<()>;

    /// Its length in bytes.
    fn size(&self) -> io::Result<u64>;
}

/// What a look at a path tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Whether it is a folder; if not, it is a file.
    pub is_dir: bool,
    /// Bytes of a file.
    pub len: u64,
    /// When it was last changed.
    pub modified: SystemTime,
}

/// The room on a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Space {
    /// Bytes of a block.
    pub block: u64,
    /// Blocks in all.
    pub blocks: u64,
    /// Blocks that are free.
    pub free: u64,
    /// Blocks that are free for all users.
    pub available: u64,
    /// Files that the disk could hold.
    pub files: u64,
    /// Of them, free.
    pub files_free: u64,
}

/// Makes a folder and what leads to it, each durable in its parent before it is used.
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
        // Who made it may have died before the parent was synced.
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
        made => made?,
    }
    disk.sync_dir(parent)
}

/// All bytes of a file, which is at most `limit` long.
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
