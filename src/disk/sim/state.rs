//! State of a simulated disk: what is visible, what is durable, and what a power cut leaves.
//!
//! Changes of directory entries are visible at once, and durable once a directory that they concern
//! is synced. A power cut keeps a prefix of the pending ones, or any subset.
//!
//! Writes are visible at once, and durable once the file is synced. A power cut keeps any subset of
//! the pages that are not synced. A lost page before a kept one reads as zeros.

use super::super::Seen;
use super::Rng;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

const PAGE: u64 = 4096;

/// Index of a file; never reused.
pub(super) type Id = usize;

#[derive(Clone, Copy, Debug, Hash, PartialEq, Eq)]
enum Entry {
    Dir,
    File(Id),
}

type Names = BTreeMap<PathBuf, Entry>;

/// A change of directory entries: each path with its new entry, `None` if it is removed.
type Change = Vec<(PathBuf, Option<Entry>)>;

#[derive(Clone, Debug, Default)]
struct File {
    bytes: Vec<u8>,
    durable: Vec<u8>,
    /// Writes that are not durable: offset and bytes, oldest first.
    pending: Vec<(u64, Vec<u8>)>,
}

pub(super) struct State {
    names: Names,
    durable: Names,
    /// Changes of directory entries that are not durable, oldest first.
    pending: Vec<Change>,
    files: Vec<File>,
}

impl State {
    pub(super) fn new() -> State {
        let root: Names = [(PathBuf::from("/"), Entry::Dir)].into();
        State {
            names: root.clone(),
            durable: root,
            pending: Vec::new(),
            files: Vec::new(),
        }
    }

    fn change(&mut self, change: Change) {
        apply(&mut self.names, &change);
        self.pending.push(change);
    }

    fn must_have_parent(&self, path: &Path) -> io::Result<()> {
        match path.parent().and_then(|parent| self.names.get(parent)) {
            Some(Entry::Dir) => Ok(()),
            Some(Entry::File(_)) => Err(io::ErrorKind::NotADirectory.into()),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    pub(super) fn create(&mut self, path: &Path) -> io::Result<Id> {
        self.must_have_parent(path)?;
        if self.names.contains_key(path) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        self.files.push(File::default());
        let id = self.files.len() - 1;
        self.change(vec![(path.into(), Some(Entry::File(id)))]);
        Ok(id)
    }

    pub(super) fn file(&self, path: &Path) -> io::Result<Id> {
        match self.names.get(path) {
            Some(Entry::File(id)) => Ok(*id),
            Some(Entry::Dir) => Err(io::ErrorKind::IsADirectory.into()),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    pub(super) fn rename(&mut self, from: &Path, to: &Path, replace: bool) -> io::Result<()> {
        let id = self.file(from)?;
        self.must_have_parent(to)?;
        if !replace && self.names.contains_key(to) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let change = vec![(from.into(), None), (to.into(), Some(Entry::File(id)))];
        self.change(change);
        Ok(())
    }

    pub(super) fn remove(&mut self, path: &Path) -> io::Result<()> {
        self.file(path)?;
        self.change(vec![(path.into(), None)]);
        Ok(())
    }

    pub(super) fn make_dir(&mut self, path: &Path) -> io::Result<()> {
        self.must_have_parent(path)?;
        if self.names.contains_key(path) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        self.change(vec![(path.into(), Some(Entry::Dir))]);
        Ok(())
    }

    pub(super) fn sync_dir(&mut self, dir: &Path) {
        for change in std::mem::take(&mut self.pending) {
            match change.iter().any(|(path, _)| path.parent() == Some(dir)) {
                true => apply(&mut self.durable, &change),
                false => self.pending.push(change),
            }
        }
    }

    pub(super) fn list(&self, dir: &Path) -> io::Result<Vec<OsString>> {
        match self.names.get(dir) {
            Some(Entry::Dir) => {}
            Some(Entry::File(_)) => return Err(io::ErrorKind::NotADirectory.into()),
            None => return Err(io::ErrorKind::NotFound.into()),
        }
        let within = self.names.keys().filter(|path| path.parent() == Some(dir));
        Ok(within
            .filter_map(|path| path.file_name().map(Into::into))
            .collect())
    }

    pub(super) fn look(&self, path: &Path) -> io::Result<Seen> {
        let entry = self.names.get(path).ok_or(io::ErrorKind::NotFound)?;
        let len = match entry {
            Entry::Dir => 0,
            Entry::File(id) => self.len(*id),
        };
        Ok(Seen {
            is_dir: *entry == Entry::Dir,
            len,
            modified: SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000),
        })
    }

    pub(super) fn len(&self, id: Id) -> u64 {
        self.files[id].bytes.len() as u64
    }

    pub(super) fn read(&self, id: Id, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let bytes = &self.files[id].bytes;
        let range = offset as usize..offset as usize + buffer.len();
        buffer.copy_from_slice(bytes.get(range).ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    pub(super) fn write(&mut self, id: Id, bytes: &[u8], offset: u64) {
        let file = &mut self.files[id];
        put(&mut file.bytes, offset, bytes);
        file.pending.push((offset, bytes.to_vec()));
    }

    /// Makes the pending writes of a file durable. Writes that a failed sync lost are not among
    /// them.
    pub(super) fn sync_file(&mut self, id: Id) {
        let file = &mut self.files[id];
        for (offset, bytes) in std::mem::take(&mut file.pending) {
            put(&mut file.durable, offset, &bytes);
        }
    }

    /// Drops the cached pages of a file: reads return durable bytes and pending writes.
    pub(super) fn forget_cache(&mut self, id: Id) {
        let file = &mut self.files[id];
        file.bytes.clone_from(&file.durable);
        for (offset, bytes) in &file.pending {
            put(&mut file.bytes, *offset, bytes);
        }
    }

    /// Simulates a failed sync: the cache shows what was written, of which any part is on the disk.
    pub(super) fn lose(&mut self, id: Id, rng: &mut Rng) {
        let file = &mut self.files[id];
        file.keep_some(rng);
        file.pending.clear();
    }

    pub(super) fn used(&self) -> u64 {
        self.names.values().fold(0, |used, entry| match entry {
            Entry::Dir => used,
            Entry::File(id) => used + self.len(*id),
        })
    }

    /// Simulates a power cut: keeps what is durable and any part of the pending changes.
    pub(super) fn crash(&mut self, rng: &mut Rng) {
        let pending = std::mem::take(&mut self.pending);
        let (in_order, upto) = (rng.below(4) > 0, rng.below(pending.len() as u64 + 1));
        for (n, change) in pending.iter().enumerate() {
            let kept = match in_order {
                true => (n as u64) < upto,
                false => rng.below(2) == 0,
            };
            if kept {
                apply(&mut self.durable, change);
            }
        }
        // An entry whose directory is lost is lost too.
        let durable = std::mem::take(&mut self.durable);
        for (path, entry) in durable {
            let parent = path.parent().map(Path::to_path_buf);
            if parent.is_none_or(|parent| self.durable.contains_key(&parent)) {
                self.durable.insert(path, entry);
            }
        }
        self.names = self.durable.clone();
        for file in &mut self.files {
            file.keep_some(rng);
            file.pending.clear();
            file.bytes.clone_from(&file.durable);
        }
    }

    pub(super) fn flip(&mut self, path: &Path, offset: u64, bit: u8) {
        if let Ok(id) = self.file(path) {
            let file = &mut self.files[id];
            for bytes in [&mut file.bytes, &mut file.durable] {
                if let Some(byte) = bytes.get_mut(offset as usize) {
                    *byte ^= 1 << bit;
                }
            }
        }
    }

    /// Returns a hash of the sizes of segments and journals. File names are left out, because some
    /// are random.
    pub(super) fn digest(&self) -> u64 {
        let mut sizes: Vec<u64> = Vec::new();
        for (path, entry) in &self.names {
            if let (Entry::File(id), Some("seg" | "jnl")) =
                (entry, path.extension().and_then(|e| e.to_str()))
            {
                sizes.push(self.len(*id));
            }
        }
        let mut hasher = DefaultHasher::new();
        (sizes, self.names.len()).hash(&mut hasher);
        hasher.finish()
    }
}

impl File {
    /// Makes none, all or random pages of the pending writes durable.
    fn keep_some(&mut self, rng: &mut Rng) {
        let mode = rng.below(4);
        for (offset, bytes) in &self.pending {
            let mut at = 0;
            while at < bytes.len() as u64 {
                let to_page_end = PAGE - (offset + at) % PAGE;
                let len = to_page_end.min(bytes.len() as u64 - at);
                let kept = match mode {
                    0 => false,
                    1 => true,
                    _ => rng.below(2) == 0,
                };
                if kept {
                    let part = &bytes[at as usize..(at + len) as usize];
                    put(&mut self.durable, offset + at, part);
                }
                at += len;
            }
        }
    }
}

fn apply(names: &mut Names, change: &Change) {
    for (path, entry) in change {
        match entry {
            Some(entry) => names.insert(path.clone(), *entry),
            None => names.remove(path),
        };
    }
}

fn put(into: &mut Vec<u8>, offset: u64, bytes: &[u8]) {
    let end = offset as usize + bytes.len();
    if into.len() < end {
        into.resize(end, 0);
    }
    into[offset as usize..end].copy_from_slice(bytes);
}
