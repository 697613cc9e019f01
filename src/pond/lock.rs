//! One writer per pond: an advisory lock on the file `lock`, which also says who holds it.
//!
//! The kernel drops the lock with the process, however that ends; so a stale file means nothing. A lock can
//! still be stolen: where two machines see one folder and not each other's locks, where the file was
//! removed, or where a frozen machine wakes up after another has taken over. So the file carries a token of
//! its holder, and whoever commits looks first whether it is still theirs.

use super::PondError;
use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;
use uuid::Uuid;

const FILE: &str = "lock";
/// What is opened is the file itself, and not a pipe to wait at.
const PLAIN: i32 = libc::O_NOFOLLOW | libc::O_NONBLOCK;
/// How often a lock that is held is tried again, and how long after.
const TRIES: u32 = 5;
const PAUSE: Duration = Duration::from_millis(10);

/// Who holds a pond.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// The process.
    pub pid: u32,
    /// The host that it runs on.
    pub host: String,
    /// Where the pond is mounted by it, if it is.
    pub mountpoint: Option<PathBuf>,
    /// Told by nobody else.
    #[serde(default)]
    pub token: Uuid,
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.pid {
            // It holds the lock and has not said yet who it is.
            0 => f.write_str("a process that is just starting"),
            pid => write!(f, "process {pid} on {}", self.host),
        }
    }
}

/// The held lock of a pond; dropped with this value.
pub(super) struct Lock {
    file: File,
    path: PathBuf,
    token: Uuid,
}

impl Lock {
    /// Takes the lock of the pond at `pond`, or tells who holds it.
    pub(super) fn take(pond: &Path) -> Result<Lock, PondError> {
        let path = pond.join(FILE);
        let mut file = open(&path)?;
        let mut tries = 0;
        loop {
            match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => break,
                // Somebody may only be asking who the holder is, which takes a moment.
                Err(rustix::io::Errno::WOULDBLOCK) if tries < TRIES => {
                    tries += 1;
                    std::thread::sleep(PAUSE);
                }
                Err(rustix::io::Errno::WOULDBLOCK) => {
                    let holder = read(&mut file).unwrap_or_default();
                    return Err(PondError::Locked {
                        path: pond.to_owned(),
                        holder,
                    });
                }
                Err(e) => return Err(PondError::io("lock", &path)(e.into())),
            }
        }
        let token = Uuid::new_v4();
        let lock = Lock { file, path, token };
        lock.note(None)?;
        Ok(lock)
    }

    /// Notes for others where the pond is mounted.
    pub(super) fn note(&self, mountpoint: Option<&Path>) -> Result<(), PondError> {
        let host = hostname::get().map(|host| host.to_string_lossy().into_owned());
        let holder = Holder {
            pid: std::process::id(),
            host: host.unwrap_or_else(|_| "this host".into()),
            mountpoint: mountpoint.map(Path::to_owned),
            token: self.token,
        };
        let write = || -> io::Result<()> {
            let text = serde_json::to_vec(&holder)?;
            let mut file = &self.file;
            file.set_len(0)?;
            file.rewind()?;
            file.write_all(&text)
        };
        write().map_err(PondError::io("write", &self.path))
    }
}

impl Lock {
    /// Who has taken the lock meanwhile, if it is not ours any more. A file that is gone is nobody's.
    pub(super) fn stolen(&self) -> Result<Option<Holder>, PondError> {
        let mut file = match File::open(&self.path) {
            Ok(file) => file,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Some(Holder::default())),
            Err(e) => return Err(PondError::io("open", &self.path)(e)),
        };
        let found = read(&mut file).unwrap_or_default();
        Ok((found.token != self.token).then_some(found))
    }
}

/// Who holds the pond at `pond` at this moment, if anyone does.
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

/// What the holder wrote; nothing, where it is only about to.
fn read(file: &mut File) -> Option<Holder> {
    let mut text = String::new();
    file.rewind().ok()?;
    file.take(64 << 10).read_to_string(&mut text).ok()?;
    serde_json::from_str(&text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_writer_is_told_who_the_first_is() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(holder(dir.path()).unwrap(), None);
        let lock = Lock::take(dir.path()).unwrap();
        lock.note(Some(Path::new("/mnt/x"))).unwrap();
        let Err(PondError::Locked { holder: found, .. }) = Lock::take(dir.path()) else {
            panic!("two writers")
        };
        assert_eq!(found.pid, std::process::id());
        assert_eq!(
            holder(dir.path()).unwrap().unwrap().mountpoint,
            Some("/mnt/x".into())
        );
        assert_eq!(lock.stolen().unwrap(), None);
        // As another machine does that does not see the lock.
        std::fs::remove_file(dir.path().join(FILE)).unwrap();
        assert_eq!(lock.stolen().unwrap(), Some(Holder::default()));
        let thief = Lock::take(dir.path()).unwrap();
        assert_eq!(lock.stolen().unwrap().unwrap().token, thief.token);
        drop((lock, thief));
        assert_eq!(holder(dir.path()).unwrap(), None);
        Lock::take(dir.path()).unwrap();
    }
}
