//! The journal: the flushed part of the open version, on disk until a commit holds it.
//!
//! Role: keep what `fsync` acknowledged. In: immutable memtables. Out: the same entries after a
//! crash. Invariant: a flush is one record, read whole or not at all; records are numbered without
//! gaps, so that a missing one is detected; an unreadable record is an error, unless it was never
//! acknowledged.
//!
//! The files are `journal/GENERATION-PART.jnl`. A generation becomes one commit; its number is the
//! transaction identifier in the oplog, which shows after a crash what the oplog already holds. A
//! new part begins after a failed write and after a crash: nothing is appended to a file that may
//! be torn. Files are extended with zeros ahead of the records: to sync a write that does not
//! extend a file takes one flush of the disk and no transaction of its file system. [`record`]
//! encodes records, [`sectors`] places them in a file, [`load`] reads files back.

mod load;
mod record;
mod sectors;

use super::{ImmutableMemtable, IndexError};
use crate::disk::{Disk, DiskFile, make_dirs};
use crate::tinyfs::Version;
pub use load::Damage;
pub(super) use load::Loaded;
use parking_lot::Mutex;
use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use uuid::Uuid;

/// A file of the journal: its generation and part.
type FileId = (u64, u32);

/// The journal of one pond.
pub struct Journal {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    pond: Uuid,
    tail: Mutex<Tail>,
}

/// The position of the next record.
struct Tail {
    open: Option<Open>,
    /// The existing files.
    files: BTreeSet<FileId>,
    /// The number of the next record.
    sequence: u64,
    /// Set when a sync failed: records may be lost, and no later sync can show whether they are.
    failed: bool,
}

/// Zeros by which a file is extended: half of its length, within these bounds in bytes.
const AHEAD: std::ops::RangeInclusive<u64> = 64 << 10..=1 << 20;

struct Open {
    generation: u64,
    file: Arc<dyn DiskFile>,
    path: PathBuf,
    /// The offset of the next record, as [`sectors`] counts.
    len: u64,
    /// The length of the file; after the records there are zeros.
    size: u64,
    /// Whether its name is on stable storage.
    named: bool,
}

impl Journal {
    /// Opens the journal in folder `dir`, which is created if missing, and lists its files.
    pub fn open(disk: Arc<dyn Disk>, dir: &Path, pond: Uuid) -> Result<Journal, IndexError> {
        make_dirs(disk.as_ref(), dir).map_err(IndexError::journal("make", dir))?;
        // The process that created a file may have died before the name was durable.
        disk.sync_dir(dir)
            .map_err(IndexError::journal("sync", dir))?;
        let files = load::files(disk.as_ref(), dir)?;
        let tail = Tail {
            open: None,
            files: files.into_iter().collect(),
            sequence: 0,
            failed: false,
        };
        Ok(Journal {
            disk,
            dir: dir.to_owned(),
            pond,
            tail: Mutex::new(tail),
        })
    }

    /// Returns the newest version that a record knows to be committed.
    pub(super) fn known(&self) -> Result<Version, IndexError> {
        let files: Vec<FileId> = self.tail.lock().files.iter().copied().collect();
        load::known(self.disk.as_ref(), &self.dir, self.pond, &files)
    }

    /// Returns the entries of generations after `committed`, up to the first damage, if there is
    /// any. Removes the generations up to `committed`.
    pub(super) fn load(&self, committed: u64) -> Result<Loaded, IndexError> {
        self.forget(committed);
        let mut tail = self.tail.lock();
        let files: Vec<FileId> = tail
            .files
            .range(first_after(committed)..)
            .copied()
            .collect();
        let loaded = load::load(self.disk.as_ref(), &self.dir, self.pond, &files)?;
        tail.sequence = loaded.next_sequence;
        Ok(loaded)
    }

    /// Renames the files from the damaged one on, after which the journal ends before it. The
    /// readable records of that file are to be written again. Returns the new names.
    pub(super) fn set_aside(&self, damage: &Damage) -> Result<Vec<PathBuf>, IndexError> {
        let mut tail = self.tail.lock();
        tail.open = None;
        let mut moved = Vec::new();
        // From the last on: after a failure at any point, the damage still ends the journal.
        while let Some(id) = tail.files.last().copied().filter(|id| *id >= damage.file) {
            let path = path(&self.dir, id);
            let aside = path.with_extension("jnl.damaged");
            (self.disk.rename(&path, &aside, true))
                .map_err(IndexError::journal("rename", &path))?;
            tail.files.remove(&id);
            moved.push(aside);
        }
        (self.disk.sync_dir(&self.dir)).map_err(IndexError::journal("sync", &self.dir))?;
        Ok(moved)
    }

    /// Writes all entries of `memtables`, all of one generation, as one record, and returns when
    /// it is on stable storage. `next_id` is above all their ids; `known` is the newest version.
    pub(super) fn write(
        &self,
        generation: u64,
        memtables: &[ImmutableMemtable],
        next_id: u64,
        known: Version,
    ) -> Result<(), IndexError> {
        let mut tail = self.tail.lock();
        if tail.failed {
            let source = io::Error::other("an earlier sync failed");
            return Err(IndexError::journal_sync(&self.dir)(source));
        }
        let header = record::Header {
            pond: self.pond,
            generation,
            sequence: tail.sequence,
        };
        let entries = memtables.iter().map(|memtable| &*memtable.changes);
        let record = record::encode(&header, next_id, known, entries);
        // A record that a reader takes for damage must not be acknowledged.
        if !header.is_within_limits() || record.len() as u64 > record::MAX_PAYLOAD {
            let why = format!(
                "record {} of generation {generation} has {} bytes, which is more than the journal can hold",
                header.sequence,
                record.len()
            );
            return Err(IndexError::journal("write to", &self.dir)(
                io::Error::other(why),
            ));
        }
        self.append(&mut tail, generation, &record)
    }

    /// Appends a record and syncs it. After a failed write the next record goes to another file;
    /// after a failed sync nothing more is written.
    fn append(&self, tail: &mut Tail, generation: u64, record: &[u8]) -> Result<(), IndexError> {
        if tail
            .open
            .as_ref()
            .is_none_or(|o| o.generation != generation)
        {
            tail.open = None;
            tail.open = Some(self.start(tail, generation)?);
        }
        let Some(mut open) = tail.open.take() else {
            return Err(IndexError::journal("open", &self.dir)(
                io::ErrorKind::NotFound.into(),
            ));
        };
        open.write(record)
            .map_err(IndexError::journal("write to", &open.path))?;
        if let Err(e) = open.file.sync_data() {
            // Records that were not written for lack of space are written again, to another file.
            tail.failed = !matches!(e.raw_os_error(), Some(libc::ENOSPC | libc::EDQUOT));
            return Err(match tail.failed {
                true => IndexError::journal_sync(&open.path)(e),
                false => IndexError::journal("write to", &open.path)(e),
            });
        }
        // The record is in the file even if the sync of its name fails: a repetition gets the next
        // number.
        open.len += record.len() as u64;
        tail.sequence += 1;
        let named = match open.named {
            true => Ok(()),
            false => self.disk.sync_dir(&self.dir),
        };
        open.named |= named.is_ok();
        tail.open = Some(open);
        named.map_err(|e| {
            // Without a descriptor the sync could not begin; the next record repeats it.
            tail.failed = !matches!(e.raw_os_error(), Some(libc::EMFILE | libc::ENFILE));
            match tail.failed {
                true => IndexError::journal_sync(&self.dir)(e),
                false => IndexError::journal("sync", &self.dir)(e),
            }
        })
    }

    fn start(&self, tail: &mut Tail, generation: u64) -> Result<Open, IndexError> {
        let parts = tail.files.range((generation, 0)..=(generation, u32::MAX));
        let part = parts
            .last()
            .map_or(Some(0), |(_, part)| part.checked_add(1));
        let Some(part) = part else {
            let why = format!("generation {generation} has no file number left");
            return Err(IndexError::journal("create a file in", &self.dir)(
                io::Error::other(why),
            ));
        };
        let id = (generation, part);
        let path = path(&self.dir, id);
        let made = self.disk.create(&path);
        let file = made.map_err(IndexError::journal("create", &path))?;
        tail.files.insert(id);
        Ok(Open {
            generation,
            file,
            path,
            len: 0,
            size: 0,
            named: false,
        })
    }

    /// Returns the bytes of the records in the file that is written to.
    pub(super) fn len(&self) -> u64 {
        self.tail.lock().open.as_ref().map_or(0, |open| open.len)
    }

    /// Removes the generations up to `generation`, which a commit holds. Needs no sync: files that
    /// remain are removed later.
    pub(super) fn forget(&self, generation: u64) {
        let mut tail = self.tail.lock();
        if tail
            .open
            .as_ref()
            .is_some_and(|o| o.generation <= generation)
        {
            tail.open = None;
        }
        let later = tail.files.split_off(&first_after(generation));
        for id in std::mem::replace(&mut tail.files, later) {
            let path = path(&self.dir, id);
            match self.disk.remove(&path) {
                Err(e) if e.kind() != io::ErrorKind::NotFound => {
                    tracing::warn!("a file of the journal stays: {}: {e}", path.display());
                    tail.files.insert(id);
                }
                _ => {}
            }
        }
    }
}

impl Open {
    /// Appends a record, and zeros after it if the file has to be extended.
    fn write(&mut self, record: &[u8]) -> io::Result<()> {
        let place = sectors::place(self.len);
        let bytes = sectors::stamped(record, self.len);
        self.file.write_at(&bytes, place)?;
        let end = place + bytes.len() as u64;
        if end > self.size {
            let ahead = (end / 2).clamp(*AHEAD.start(), *AHEAD.end());
            // Without space for the zeros the record is complete all the same.
            self.size = match self.file.write_at(&vec![0; ahead as usize], end) {
                Ok(()) => end + ahead,
                Err(_) => end,
            };
        }
        Ok(())
    }
}

/// Returns the first file that a generation after `generation` can have.
fn first_after(generation: u64) -> FileId {
    (generation.saturating_add(1), 0)
}

fn path(dir: &Path, (generation, part): FileId) -> PathBuf {
    dir.join(format!("{generation:016}-{part:04}.jnl"))
}

#[cfg(test)]
mod fuzz_tests;
#[cfg(test)]
mod tests;
