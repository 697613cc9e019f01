//! The cache of results by their keys, in files that can be deleted at any time.
//!
//! A file is the bytes, then its note, the note's length, and a BLAKE3 of all that. It is written
//! under a temporary name first, and verified when this process first reads it; a damaged file
//! counts as missing. Files are not synced: the hash detects what a power cut damaged.

use super::{DeriveError, lease};
use crate::query::{Hash, Keep};
use bytes::Bytes;
use parking_lot::Mutex;
use rustc_hash::FxHashSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Read, Seek, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

/// Bytes of the length and the hash at the end of a file.
const TRAILER: u64 = 8 + 32;
/// The most bytes of a note.
const MAX_NOTE: u64 = 1 << 24;
/// A full cache is trimmed to this part of its limit, in percent.
const KEPT_PERCENT: u64 = 80;

/// The cache of a pond.
pub(super) struct Cache {
    folder: PathBuf,
    limit: u64,
    /// The size when the cache was last measured, plus the bytes written since.
    size: AtomicU64,
    /// Files that were verified by this process.
    sound: Mutex<FxHashSet<Hash>>,
}

/// A cached result.
#[derive(Debug)]
pub struct Cached {
    file: File,
    len: u64,
    /// Its note: JSON.
    pub note: Bytes,
}

impl Cached {
    /// Returns whether its bytes are still those that were written.
    pub(super) fn is_sound(&self) -> bool {
        is_sound(&self.file).unwrap_or(false)
    }

    /// Returns its size in bytes.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Returns whether it is empty.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Reads up to `size` bytes from `offset`: fewer only at the end.
    pub fn read(&self, offset: u64, size: u64) -> io::Result<Vec<u8>> {
        let end = offset.saturating_add(size).min(self.len);
        let mut bytes = vec![0; end.saturating_sub(offset) as usize];
        self.file.read_exact_at(&mut bytes, offset)?;
        Ok(bytes)
    }
}

/// Returns whether a file matches the hash at its end.
fn is_sound(file: &File) -> io::Result<bool> {
    let (mut file, mut hasher, mut hash) = (file, blake3::Hasher::new(), [0; 32]);
    let end = file.metadata()?.len().saturating_sub(32);
    file.read_exact_at(&mut hash, end)?;
    file.rewind()?;
    hasher.update_reader(file.take(end))?;
    Ok(*hasher.finalize().as_bytes() == hash)
}

impl crate::query::Blob for Cached {
    fn len(&self) -> u64 {
        self.len
    }

    fn read(&self, range: std::ops::Range<u64>) -> io::Result<Bytes> {
        if range.end > self.len || range.start > range.end {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Cached::read(self, range.start, range.end - range.start).map(Bytes::from)
    }
}

/// A result that is being written: a file that this process owns as long as it is open.
pub(super) struct Draft<'c> {
    cache: &'c Cache,
    path: PathBuf,
    out: BufWriter<Hashing>,
}

/// Hashes the bytes that it passes on.
struct Hashing {
    file: File,
    hasher: blake3::Hasher,
    len: u64,
}

impl Write for Hashing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.hasher.update(bytes.get(..written).unwrap_or_default());
        self.len += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Write for Draft<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.out.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

impl Drop for Draft<'_> {
    fn drop(&mut self) {
        // A finished draft has been renamed.
        let _ = fs::remove_file(&self.path);
    }
}

impl Draft<'_> {
    /// Renames the result to its final name.
    pub(super) fn finish(mut self, key: &Hash, note: &[u8]) -> Result<Cached, DeriveError> {
        self.out.flush()?;
        let len = self.out.get_ref().len;
        self.out.write_all(note)?;
        self.out.write_all(&(note.len() as u64).to_le_bytes())?;
        self.out.flush()?;
        let hash = self.out.get_ref().hasher.finalize();
        self.out.write_all(hash.as_bytes())?;
        self.out.flush()?;
        let place = self.cache.place(key);
        if let Some(folder) = place.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::rename(&self.path, &place)?;
        self.cache.sound.lock().insert(*key);
        self.cache.grown(len + note.len() as u64 + TRAILER);
        Ok(Cached {
            file: File::open(&place)?,
            len,
            note: note.to_vec().into(),
        })
    }
}

impl Cache {
    /// Opens the cache in a folder, of at most `limit` bytes.
    pub(super) fn open(folder: &Path, limit: u64) -> io::Result<Cache> {
        fs::create_dir_all(folder)?;
        let cache = Cache {
            folder: folder.into(),
            limit,
            size: AtomicU64::new(0),
            sound: Mutex::default(),
        };
        // Drafts of processes that crashed.
        lease::sweep(folder, |name| name.starts_with(b"."))?;
        cache.trim();
        Ok(cache)
    }

    fn place(&self, key: &Hash) -> PathBuf {
        let name: String = key.iter().map(|byte| format!("{byte:02x}")).collect();
        let (folder, _) = name.split_at(2);
        self.folder.join(folder).join(&name)
    }

    /// Returns the result of a key.
    pub(super) fn find(&self, key: &Hash) -> Option<Cached> {
        let file = OpenOptions::new()
            .read(true)
            .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK)
            .open(self.place(key))
            .ok()?;
        let all = file.metadata().ok().filter(|data| data.is_file())?.len();
        let end = all.checked_sub(TRAILER)?;
        let mut trailer = [0; TRAILER as usize];
        file.read_exact_at(&mut trailer, end).ok()?;
        let (size, _) = trailer.split_at(8);
        let size = u64::from_le_bytes(size.try_into().ok()?);
        let len = end.checked_sub(size).filter(|_| size <= MAX_NOTE)?;
        if !self.sound.lock().contains(key) {
            if !is_sound(&file).ok()? {
                let _ = fs::remove_file(self.place(key));
                return None;
            }
            self.sound.lock().insert(*key);
        }
        let mut note = vec![0; size as usize];
        file.read_exact_at(&mut note, len).ok()?;
        // The modification time orders files for eviction.
        let _ = file.set_modified(SystemTime::now());
        Some(Cached {
            file,
            len,
            note: note.into(),
        })
    }

    /// Begins a result.
    pub(super) fn draft(&self) -> Result<Draft<'_>, DeriveError> {
        let folder = &self.folder;
        let (path, file) = lease::claim_file(folder)
            .map_err(|error| DeriveError::new(format!("{}: {error}", folder.display())))?;
        let hashing = Hashing {
            file,
            hasher: blake3::Hasher::new(),
            len: 0,
        };
        Ok(Draft {
            cache: self,
            path,
            out: BufWriter::with_capacity(1 << 17, hashing),
        })
    }

    fn grown(&self, by: u64) {
        if self.size.fetch_add(by, Ordering::Relaxed) + by > self.limit {
            self.trim();
        }
    }

    /// Measures the cache, and evicts the least recently used files if it is too large.
    fn trim(&self) {
        let mut files: Vec<(SystemTime, u64, PathBuf)> = Vec::new();
        for folder in fs::read_dir(&self.folder).into_iter().flatten().flatten() {
            for file in fs::read_dir(folder.path()).into_iter().flatten().flatten() {
                if let Ok(data) = file.metadata()
                    && let Ok(used) = data.modified()
                {
                    files.push((used, data.len(), file.path()));
                }
            }
        }
        let mut size: u64 = files.iter().map(|(_, len, _)| len).sum();
        if size > self.limit {
            files.sort();
            for (_, len, path) in files {
                if size <= self.limit / 100 * KEPT_PERCENT {
                    break;
                }
                if fs::remove_file(path).is_ok() {
                    size -= len;
                }
            }
            // Evicted files must be verified again when they are written again.
            self.sound.lock().clear();
        }
        self.size.store(size, Ordering::Relaxed);
    }
}

impl Keep for Cache {
    fn get(&self, key: &Hash) -> Option<Bytes> {
        let cached = self.find(key)?;
        cached.read(0, cached.len).ok().map(Bytes::from)
    }

    fn put(&self, key: &Hash, value: Bytes) {
        let kept = || -> Result<Cached, DeriveError> {
            let mut draft = self.draft()?;
            draft.write_all(&value)?;
            draft.finish(key, b"")
        };
        if let Err(error) = kept() {
            tracing::debug!("a partial result is not kept: {error}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fill(cache: &Cache, n: u8, len: usize) {
        let mut draft = cache.draft().unwrap();
        draft.write_all(&vec![n; len]).unwrap();
        draft.finish(&[n; 32], b"{}").unwrap();
    }

    #[test]
    fn what_was_put_is_found() {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache::open(dir.path(), 1 << 20).unwrap();
        assert!(cache.find(&[1; 32]).is_none());
        fill(&cache, 1, 5_000);
        let again = Cache::open(dir.path(), 1 << 20).unwrap();
        let found = again.find(&[1; 32]).unwrap();
        assert_eq!((found.len(), &found.note[..]), (5_000, &b"{}"[..]));
        assert_eq!(found.read(4_990, 100).unwrap(), [1; 10]);
    }

    #[test]
    fn what_is_open_can_be_verified_again() {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache::open(dir.path(), 1 << 20).unwrap();
        fill(&cache, 1, 100);
        let found = cache.find(&[1; 32]).unwrap();
        assert!(found.is_sound());
        let path = cache.place(&[1; 32]);
        let file = OpenOptions::new().write(true).open(path).unwrap();
        file.write_all_at(b"x", 50).unwrap();
        assert!(!found.is_sound());
    }

    #[test]
    fn a_flipped_bit_is_found() {
        let dir = tempfile::tempdir().unwrap();
        fill(&Cache::open(dir.path(), 1 << 20).unwrap(), 1, 100);
        let path = Cache::open(dir.path(), 1 << 20).unwrap().place(&[1; 32]);
        for at in 0..fs::metadata(&path).unwrap().len() as usize {
            let whole = fs::read(&path).unwrap();
            let mut bytes = whole.clone();
            bytes[at] ^= 4;
            fs::write(&path, &bytes).unwrap();
            let cache = Cache::open(dir.path(), 1 << 20).unwrap();
            assert!(cache.find(&[1; 32]).is_none(), "byte {at}");
            fs::write(&path, whole).unwrap();
        }
    }

    #[test]
    fn two_users_of_one_folder_leave_each_other_their_drafts() {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache::open(dir.path(), 1 << 20).unwrap();
        let mut draft = cache.draft().unwrap();
        draft.write_all(&[7; 300_000]).unwrap();
        // Another process starts, and one has the same process id in its own namespace.
        let other = Cache::open(dir.path(), 1 << 20).unwrap();
        let mut beside = other.draft().unwrap();
        beside.write_all(b"x").unwrap();
        draft.finish(&[1; 32], b"{}").unwrap();
        drop(Cache::open(dir.path(), 1 << 20).unwrap());
        beside.finish(&[2; 32], b"{}").unwrap();
        assert_eq!(other.find(&[1; 32]).unwrap().len(), 300_000);
        assert_eq!(cache.find(&[2; 32]).unwrap().len(), 1);
    }

    #[test]
    fn it_stays_below_its_limit_and_leaves_no_drafts() {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache::open(dir.path(), 10_000).unwrap();
        (0..30).for_each(|n| fill(&cache, n, 1_000));
        drop(cache.draft().unwrap());
        let mut size = 0;
        for folder in fs::read_dir(dir.path()).unwrap() {
            let folder = folder.unwrap();
            assert!(folder.file_type().unwrap().is_dir());
            for file in fs::read_dir(folder.path()).unwrap() {
                size += file.unwrap().metadata().unwrap().len();
            }
        }
        assert!((5_000..=10_000).contains(&size), "{size}");
        assert!(cache.find(&[29; 32]).is_some());
    }
}
