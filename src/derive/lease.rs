//! Leases: files and folders in the cache that belong to the process that created them.
//!
//! A daemon and commands may use the cache of one pond at the same time. Each creates its draft
//! under a random name and locks it (`flock`); the kernel releases the lock when the process ends.
//! [`sweep`] removes what no process has locked. It needs no process ids, which differ between PID
//! namespaces.
//!
//! Invariant: an entry is not swept before its lease is dropped, however the calls of several
//! processes interleave.

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use uuid::Uuid;

/// Flags that neither follow a link nor block on a pipe.
const PLAIN: i32 = libc::O_NOFOLLOW | libc::O_NONBLOCK;
/// How often another name is tried. A sweep interferes with an attempt only by a rare race.
const TRIES: u32 = 100;

/// Creates an empty file in `folder`, to be written. It is swept once the returned file is closed.
pub(super) fn claim_file(folder: &Path) -> io::Result<(PathBuf, File)> {
    claim(folder, |path| File::create_new(path))
}

/// Creates a folder in `folder`. It is swept once the returned file is closed.
pub(super) fn claim_folder(folder: &Path) -> io::Result<(PathBuf, File)> {
    claim(folder, |path| {
        fs::create_dir(path)?;
        open(path)
    })
}

fn claim(folder: &Path, create: impl Fn(&Path) -> io::Result<File>) -> io::Result<(PathBuf, File)> {
    for _ in 0..TRIES {
        let path = folder.join(format!(".{}", Uuid::new_v4()));
        let made = match create(&path) {
            // Swept between the two calls that create a folder.
            Err(error) if error.kind() == io::ErrorKind::NotFound && folder.is_dir() => continue,
            made => made?,
        };
        match flock(&made, FlockOperation::NonBlockingLockExclusive) {
            // A file system without locks: nothing is swept there.
            Ok(()) | Err(Errno::NOLCK | Errno::OPNOTSUPP | Errno::NOSYS) => {}
            // A sweep holds the lock, and will remove it.
            Err(Errno::WOULDBLOCK) => continue,
            Err(error) => return Err(error.into()),
        }
        if is_at(&made, &path)? {
            return Ok((path, made));
        }
    }
    Err(io::Error::other("others remove it again and again"))
}

/// Returns whether an open file is the one at a path.
fn is_at(open: &File, path: &Path) -> io::Result<bool> {
    let (open, there) = (open.metadata()?, fs::symlink_metadata(path));
    match there {
        Ok(there) => Ok((open.dev(), open.ino()) == (there.dev(), there.ino())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).custom_flags(PLAIN).open(path)
}

/// Removes from `folder` the files of processes that have ended: entries whose name `is_leased`
/// accepts and that no process has locked.
pub(super) fn sweep(folder: &Path, is_leased: impl Fn(&[u8]) -> bool) -> io::Result<()> {
    for entry in fs::read_dir(folder)?.flatten() {
        if !is_leased(entry.file_name().as_encoded_bytes()) {
            continue;
        }
        let path = entry.path();
        if let Err(error) = take_away(&path) {
            tracing::debug!("{} stays in the cache: {error}", path.display());
        }
    }
    Ok(())
}

/// Removes a file or folder, if no process has locked it.
fn take_away(path: &Path) -> io::Result<()> {
    let left = open(path)?;
    flock(&left, FlockOperation::NonBlockingLockExclusive)?;
    // Under its lock, no process can claim it. If it was renamed since the listing, it is not at
    // this path.
    match left.metadata()?.is_dir() {
        true => fs::remove_dir_all(path),
        false => fs::remove_file(path),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicBool, Ordering};

    fn names(folder: &Path) -> usize {
        fs::read_dir(folder).unwrap().count()
    }

    #[test]
    fn what_is_claimed_stays_until_its_lease_ends() {
        let dir = tempfile::tempdir().unwrap();
        let (file, folder) = (
            claim_file(dir.path()).unwrap(),
            claim_folder(dir.path()).unwrap(),
        );
        fs::write(folder.0.join("x"), "x").unwrap();
        // Left by an earlier program, without a lock.
        fs::write(dir.path().join(".4711-0"), "x").unwrap();
        fs::write(dir.path().join("result"), "x").unwrap();
        let hidden = |name: &[u8]| name.starts_with(b".");
        sweep(dir.path(), hidden).unwrap();
        assert!(file.0.exists() && folder.0.join("x").exists());
        assert_eq!(names(dir.path()), 3);
        drop((file, folder));
        sweep(dir.path(), hidden).unwrap();
        assert_eq!(names(dir.path()), 1);
    }

    #[test]
    fn claims_beside_sweeps_lose_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    while !done.load(Ordering::Relaxed) {
                        sweep(dir.path(), |_| true).unwrap();
                    }
                });
            }
            let claims = scope.spawn(|| {
                for _ in 0..300 {
                    let (path, file) = claim_file(dir.path()).unwrap();
                    let (folder, lease) = claim_folder(dir.path()).unwrap();
                    std::thread::yield_now();
                    assert!(path.exists() && folder.exists());
                    drop((file, lease));
                }
            });
            let claimed = claims.join();
            done.store(true, Ordering::Relaxed);
            claimed.unwrap();
        });
    }
}
