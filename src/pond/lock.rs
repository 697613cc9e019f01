//! One writer per pond: an advisory lock on the file `lock`, which also identifies its holder.
//!
//! The kernel releases the lock when the process ends, however that happens, so a stale file has
//! no effect. A lock can still be lost: two machines see one folder but not each other's locks,
//! the file is removed, or a frozen machine resumes after another has taken over. So the file
//! contains a token of its holder, and each commit first checks that the token is still its own.

use super::PondError;
use crate::disk::{AnchoredDir, Location};
use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use uuid::Uuid;

/// The name of the file in the folder of a pond.
pub const FILE: &str = "lock";
/// Flags that open the file itself: no link is followed, and a pipe does not block.
const PLAIN: i32 = libc::O_NOFOLLOW | libc::O_NONBLOCK;
/// How many times a held lock is tried again, and the pause between two tries.
const TRIES: u32 = 5;
const PAUSE: Duration = Duration::from_millis(10);

/// The holder of a pond.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// The process id.
    pub pid: u32,
    /// The host that it runs on.
    pub host: String,
    /// Where the holder mounted the pond, if it did; the mountpoint may have been moved since.
    pub mountpoint: Option<PathBuf>,
    /// The device number of that mount, as `major:minor`. The kernel may assign it to another mount
    /// after the unmount.
    #[serde(default)]
    pub device: Option<String>,
    /// The source of that mount in the kernel's list, which stays when the pond's folder is moved.
    #[serde(default)]
    pub source: Option<PathBuf>,
    /// A random token of this holder.
    #[serde(default)]
    pub token: Uuid,
    /// How the pond was closed, once it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closed: Option<Closed>,
}

/// How a pond was closed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Closed {
    /// All changes are in a version.
    InOrder,
    /// The last version could not be made, for this reason.
    Failed(String),
}

/// The mount that a daemon notes in its lock.
#[derive(Clone, Copy, Debug)]
pub struct MountNote<'a> {
    /// The mountpoint.
    pub mountpoint: &'a Path,
    /// Its device number, as `major:minor`.
    pub device: &'a str,
    /// The source of the mount in the kernel's list.
    pub source: &'a Path,
}

/// Why a held lock no longer excludes other writers.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Lost {
    /// Another process has taken it.
    Taken(Holder),
    /// Its file was removed.
    LockRemoved,
    /// The pond's folder was removed.
    PondRemoved,
}

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Lost::Taken(thief) => write!(f, "the pond was taken over by {thief}"),
            Lost::LockRemoved => {
                f.write_str("the pond was taken over by somebody, who removed its lock")
            }
            Lost::PondRemoved => f.write_str("the folder of the pond was removed"),
        }
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.pid {
            // The process holds the lock and has not written its id yet.
            0 => f.write_str("a process that is just starting"),
            pid => write!(f, "process {pid} on {}", self.host),
        }
    }
}

/// The held lock of a pond, released when the value is dropped.
pub(super) struct Lock {
    file: File,
    folder: Arc<AnchoredDir>,
    path: PathBuf,
    token: Uuid,
}

impl Lock {
    /// Takes the lock of the pond in `folder`, or fails with its holder.
    pub(super) fn take(folder: &Arc<AnchoredDir>) -> Result<Lock, PondError> {
        let path = folder.path().join(FILE);
        let mut file = open(&folder.access_path(&path))?;
        let mut tries = 0;
        loop {
            match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => break,
                // Another process may hold it for a moment, to read the holder.
                Err(rustix::io::Errno::WOULDBLOCK) if tries < TRIES => {
                    tries += 1;
                    std::thread::sleep(PAUSE);
                }
                Err(rustix::io::Errno::WOULDBLOCK) => {
                    let holder = read(&mut file).unwrap_or_default();
                    return Err(PondError::Locked {
                        path: folder.path().to_owned(),
                        holder: holder.into(),
                    });
                }
                Err(e) => return Err(PondError::io("lock", &path)(e.into())),
            }
        }
        let token = Uuid::new_v4();
        let lock = Lock {
            file,
            folder: folder.clone(),
            path,
            token,
        };
        lock.note(None)?;
        Ok(lock)
    }

    /// Writes where the pond is mounted, for other processes.
    pub(super) fn note(&self, mount: Option<MountNote<'_>>) -> Result<(), PondError> {
        self.write(&Holder {
            mountpoint: mount.map(|mount| mount.mountpoint.to_owned()),
            device: mount.map(|mount| mount.device.to_owned()),
            source: mount.map(|mount| mount.source.to_owned()),
            ..self.holder()
        })
    }

    /// Writes how the pond was closed, for `umount` without a control socket, and releases the
    /// lock.
    pub(super) fn end(self, failure: Option<String>) {
        let noted = self.write(&Holder {
            closed: Some(failure.map_or(Closed::InOrder, Closed::Failed)),
            ..self.holder()
        });
        if let Err(error) = noted {
            // A disk that takes no writes has no changes to commit, or the commit failed already.
            tracing::debug!("{error}");
        }
    }

    fn holder(&self) -> Holder {
        let host = hostname::get().map(|host| host.to_string_lossy().into_owned());
        Holder {
            pid: std::process::id(),
            host: host.unwrap_or_else(|_| "this host".into()),
            token: self.token,
            ..Holder::default()
        }
    }

    /// Writes in place, without truncating first: a full disk has no free block for a new file.
    fn write(&self, holder: &Holder) -> Result<(), PondError> {
        let write = || -> io::Result<()> {
            let text = serde_json::to_vec(holder)?;
            let mut file = &self.file;
            file.rewind()?;
            file.write_all(&text)?;
            file.set_len(text.len() as u64)
        };
        write().map_err(PondError::io("write", &self.path))
    }

    /// Returns why this lock no longer excludes other writers; `None` while it does.
    pub(super) fn lost(&self) -> Result<Option<Lost>, PondError> {
        let mut file = match File::open(self.folder.access_path(&self.path)) {
            Ok(file) => file,
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                return Ok(Some(match self.folder.location() {
                    Location::Removed => Lost::PondRemoved,
                    _ => Lost::LockRemoved,
                }));
            }
            Err(e) => return Err(PondError::io("open", &self.path)(e)),
        };
        let found = read(&mut file).unwrap_or_default();
        Ok((found.token != self.token).then_some(Lost::Taken(found)))
    }
}

/// Returns the current holder of the pond at `pond`, if there is one.
pub fn holder(pond: &Path) -> Result<Option<Holder>, PondError> {
    let path = pond.join(FILE);
    let mut file = match File::options().read(true).custom_flags(PLAIN).open(&path) {
        Ok(file) => file,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(PondError::io("open", &path)(e)),
    };
    match flock(&file, FlockOperation::NonBlockingLockShared) {
        Ok(()) => Ok(None),
        Err(rustix::io::Errno::WOULDBLOCK) => Ok(Some(read(&mut file).unwrap_or_default())),
        Err(e) => Err(PondError::io("lock", &path)(e.into())),
    }
}

fn open(path: &Path) -> Result<File, PondError> {
    File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .custom_flags(PLAIN)
        .open(path)
        .map_err(PondError::io("open", path))
}

/// Reads the last holder of the pond at `pond`, whether it still holds it or not.
pub fn last_holder(pond: &Path) -> Option<Holder> {
    let path = pond.join(FILE);
    let mut file = (File::options().read(true).custom_flags(PLAIN))
        .open(path)
        .ok()?;
    read(&mut file)
}

/// Reads the holder; `None` before it is written. The rest of a longer, earlier text may follow.
pub fn read(file: &mut File) -> Option<Holder> {
    let mut text = Vec::new();
    file.rewind().ok()?;
    file.take(64 << 10).read_to_end(&mut text).ok()?;
    let mut values = serde_json::Deserializer::from_slice(&text).into_iter();
    values.next()?.ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_writer_is_told_who_the_first_is() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(holder(dir.path()).unwrap(), None);
        let folder = Arc::new(AnchoredDir::open(dir.path()).unwrap());
        let lock = Lock::take(&folder).unwrap();
        let note = MountNote {
            mountpoint: Path::new("/mnt/x"),
            device: "0:41",
            source: Path::new("/ponds/x"),
        };
        lock.note(Some(note)).unwrap();
        let Err(PondError::Locked { holder: found, .. }) = Lock::take(&folder) else {
            panic!("two writers")
        };
        assert_eq!(found.pid, std::process::id());
        let found = holder(dir.path()).unwrap().unwrap();
        assert_eq!(found.mountpoint, Some("/mnt/x".into()));
        assert_eq!(found.device.as_deref(), Some("0:41"));
        assert_eq!(found.source, Some("/ponds/x".into()));
        assert_eq!(lock.lost().unwrap(), None);
        // Another machine that does not see the lock does the same.
        std::fs::remove_file(dir.path().join(FILE)).unwrap();
        assert_eq!(lock.lost().unwrap(), Some(Lost::LockRemoved));
        let thief = Lock::take(&folder).unwrap();
        let lost = lock.lost().unwrap();
        assert!(matches!(lost, Some(Lost::Taken(found)) if found.token == thief.token));
        drop((lock, thief));
        assert_eq!(holder(dir.path()).unwrap(), None);
        Lock::take(&folder).unwrap();
    }

    #[test]
    fn a_lock_goes_with_its_folder_and_tells_when_that_is_removed() {
        let dir = tempfile::tempdir().unwrap();
        let (old, new) = (dir.path().join("old"), dir.path().join("new"));
        std::fs::create_dir(&old).unwrap();
        let folder = Arc::new(AnchoredDir::open(&old).unwrap());
        let lock = Lock::take(&folder).unwrap();
        std::fs::rename(&old, &new).unwrap();
        assert_eq!(lock.lost().unwrap(), None);
        std::fs::remove_dir_all(&new).unwrap();
        assert_eq!(lock.lost().unwrap(), Some(Lost::PondRemoved));
    }

    #[test]
    fn what_the_last_holder_says_of_the_end_is_read_when_it_has_gone() {
        let dir = tempfile::tempdir().unwrap();
        let folder = Arc::new(AnchoredDir::open(dir.path()).unwrap());
        let lock = Lock::take(&folder).unwrap();
        assert_eq!(last_holder(dir.path()).unwrap().closed, None);
        lock.end(Some("no room".into()));
        assert_eq!(holder(dir.path()).unwrap(), None);
        let closed = last_holder(dir.path()).unwrap().closed;
        assert_eq!(closed, Some(Closed::Failed("no room".into())));
        // A shorter text that was not truncated yet.
        let lock = Lock::take(&folder).unwrap();
        assert_eq!(last_holder(dir.path()).unwrap().closed, None);
        lock.end(None);
        let path = dir.path().join(FILE);
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, format!("{text}no room\"}}}}")).unwrap();
        let closed = last_holder(dir.path()).unwrap().closed;
        assert_eq!(closed, Some(Closed::InOrder));
    }
}
