//! Reads and appends segment files: `segments/0000000000000001.seg` and so on.
//!
//! A segment is the concatenation of its stored extents; the extent records hold their offsets and
//! hashes. Appends go to one segment until it has [`SEGMENT_SIZE`] bytes.
//!
//! Invariants: a segment of an earlier run is never appended to. After a crash its end may hold
//! bytes that no record refers to, and that may not be on stable storage. Everything that was
//! appended before a call of [`Segments::sync`] is on stable storage when it returns `Ok`, with any
//! concurrent syncs: an entry stays listed as unsynced until a sync of it has returned.

use super::{ContentError, unfinished};
use crate::disk::{Disk, DiskFile};
use crate::tinyfs::{SegmentId, Stored};
use parking_lot::Mutex;
use std::collections::{BTreeSet, HashMap};
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Size in bytes at which a segment is full, and its share of a small disk: a prune reclaims whole
/// segments where there is no room to copy.
const SEGMENT_SIZE: u64 = 64 << 20;
const SEGMENT_SHARE: u64 = 32;

pub(super) struct Segments {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    /// Size in bytes of the disk.
    disk_size: u64,
    /// Held for the whole of a sync. Taken before `tail`, which a sync releases while it waits for
    /// the disk, so that others go on appending.
    syncing: Mutex<()>,
    tail: Mutex<Tail>,
    readers: Mutex<HashMap<SegmentId, Arc<dyn DiskFile>>>,
    /// Greatest number of `readers`.
    open_files: usize,
}

/// A segment file, with its path for error messages.
type SegmentFile = (PathBuf, Arc<dyn DiskFile>);

/// The bytes and names that one sync has to write.
struct Unsynced {
    ended: Vec<SegmentFile>,
    /// The open segment: its id, its length now, its file.
    open: Option<((SegmentId, u64), SegmentFile)>,
    /// Number of segments created so far, and whether the folder has to be synced for their names.
    made: u64,
    folder: bool,
}

/// The open segment, and the files that have to be synced.
struct Tail {
    next: u64,
    open: Option<Open>,
    /// Ended segments with bytes that are not synced. An entry is removed only after a sync of it
    /// has succeeded.
    ended: Vec<SegmentFile>,
    /// Number of segments created, and of those whose names a sync of the folder has covered.
    made: u64,
    named: u64,
    /// Set when a sync failed: the kernel may have dropped dirty pages, and a later sync of the
    /// same file would report success all the same.
    failed: bool,
}

impl Tail {
    /// Ends the open segment. The next sync covers its unsynced bytes.
    fn end(&mut self) {
        if let Some(open) = self.open.take()
            && open.synced < open.len
        {
            self.ended.push((open.path, open.file));
        }
    }

    /// Returns the files that are not on stable storage, unless a sync has failed before.
    fn unsynced(&self, dir: &Path) -> Result<Unsynced, ContentError> {
        if self.failed {
            let source = io::Error::other("an earlier sync failed");
            return Err(ContentError::io("sync", dir)(source));
        }
        let open = self.open.as_ref().filter(|open| open.synced < open.len);
        Ok(Unsynced {
            ended: self.ended.clone(),
            open: open.map(|o| ((o.id, o.len), (o.path.clone(), o.file.clone()))),
            made: self.made,
            folder: self.named < self.made,
        })
    }

    /// Records a successful sync. Bytes that were appended or ended meanwhile are still unsynced.
    fn synced(&mut self, done: &Unsynced) {
        let is_synced = |path: &PathBuf| done.ended.iter().any(|(synced, _)| synced == path);
        self.ended.retain(|(path, _)| !is_synced(path));
        self.named = done.made;
        if let (Some(((id, len), _)), Some(open)) = (&done.open, &mut self.open)
            && open.id == *id
        {
            open.synced = *len;
        }
    }
}

struct Open {
    id: SegmentId,
    file: Arc<dyn DiskFile>,
    path: PathBuf,
    len: u64,
    synced: u64,
}

impl Segments {
    /// Returns the size in bytes that the disk had when the segments were opened.
    pub(super) fn disk_size(&self) -> u64 {
        self.disk_size
    }

    pub(super) fn open(
        disk: Arc<dyn Disk>,
        dir: &Path,
        open_files: usize,
    ) -> Result<Segments, ContentError> {
        let last = segment_ids(disk.as_ref(), dir)?.into_iter().max();
        let space = disk.space(dir).map_err(ContentError::io("look at", dir))?;
        let disk_size = space.blocks.saturating_mul(space.block);
        Ok(Segments {
            disk,
            disk_size,
            dir: dir.to_owned(),
            tail: Mutex::new(Tail {
                next: last.map_or(1, |id| id.0 + 1),
                open: None,
                ended: Vec::new(),
                made: 0,
                named: 0,
                failed: false,
            }),
            syncing: Mutex::default(),
            readers: Mutex::default(),
            open_files,
        })
    }

    fn path(&self, id: SegmentId) -> PathBuf {
        self.dir.join(format!("{:016}.seg", id.0))
    }

    /// Appends `bytes` to the open segment and returns their location. Not durable before `sync`.
    pub(super) fn append(&self, bytes: &[u8]) -> Result<(SegmentId, u64), ContentError> {
        let mut tail = self.tail.lock();
        if tail
            .open
            .as_ref()
            .is_none_or(|open| open.len >= SEGMENT_SIZE.min(self.disk_size / SEGMENT_SHARE))
        {
            self.start(&mut tail)?;
        }
        let Some(open) = &mut tail.open else {
            return Err(ContentError::io("append to", &self.dir)(
                io::ErrorKind::NotFound.into(),
            ));
        };
        let offset = open.len;
        // A failed write may leave bytes behind. No extent refers to them, and the next append
        // overwrites them.
        open.file
            .write_at(bytes, offset)
            .map_err(ContentError::io("write to", &open.path))?;
        open.len += bytes.len() as u64;
        Ok((open.id, offset))
    }

    fn start(&self, tail: &mut Tail) -> Result<(), ContentError> {
        tail.end();
        let id = SegmentId(tail.next);
        let path = self.path(id);
        let file = (self.disk)
            .create(&path)
            .map_err(ContentError::io("create", &path))?;
        tail.next += 1;
        tail.made += 1;
        tail.open = Some(Open {
            id,
            file,
            path,
            len: 0,
            synced: 0,
        });
        Ok(())
    }

    /// Returns once all bytes that were appended before the call are on stable storage.
    ///
    /// After a sync that lost pages ([`ContentError::is_lost_sync`]) every later call fails, and so
    /// does every call that waited for that sync. After any other error nothing counts as synced,
    /// and the next call tries again.
    pub(super) fn sync(&self) -> Result<(), ContentError> {
        let _one_at_a_time = self.syncing.lock();
        let unsynced = self.tail.lock().unsynced(&self.dir)?;
        let synced = self.write_back(&unsynced);
        let mut tail = self.tail.lock();
        match &synced {
            Ok(()) => tail.synced(&unsynced),
            Err(error) => tail.failed |= error.is_lost_sync(),
        }
        synced
    }

    fn write_back(&self, unsynced: &Unsynced) -> Result<(), ContentError> {
        let open = unsynced.open.iter().map(|(_, file)| file);
        for (path, file) in unsynced.ended.iter().chain(open) {
            file.sync_data().map_err(ContentError::io("sync", path))?;
        }
        match unsynced.folder {
            true => self.sync_dir(),
            false => Ok(()),
        }
    }

    pub(super) fn ids(&self) -> Result<Vec<SegmentId>, ContentError> {
        segment_ids(self.disk.as_ref(), &self.dir)
    }

    /// Ends the open segment, so that the next extent begins a new one.
    pub(super) fn end(&self) {
        self.tail.lock().end();
    }

    /// Removes the segments that are neither in `kept`, nor open, nor unsynced. Returns the bytes
    /// that were freed.
    pub(super) fn retain(&self, kept: &BTreeSet<SegmentId>) -> Result<u64, ContentError> {
        let mut removed = 0;
        for id in self.ids()? {
            let is_open = {
                let tail = self.tail.lock();
                let open = tail.open.as_ref().is_some_and(|open| open.id == id);
                let path = self.path(id);
                open || tail.ended.iter().any(|(ended, _)| *ended == path)
            };
            if is_open || kept.contains(&id) {
                continue;
            }
            let path = self.path(id);
            removed += self.len(id)?.unwrap_or_default();
            self.readers.lock().remove(&id);
            (self.disk.remove(&path)).map_err(ContentError::io("remove", &path))?;
        }
        self.sync_dir()?;
        Ok(removed)
    }

    pub(super) fn note_unfinished(&self, erased: &BTreeSet<SegmentId>) -> Result<(), ContentError> {
        unfinished::write(self.disk.as_ref(), &self.dir, erased)
    }

    pub(super) fn unfinished(&self) -> Result<Option<BTreeSet<SegmentId>>, ContentError> {
        unfinished::read(self.disk.as_ref(), &self.dir)
    }

    pub(super) fn note_finished(&self) -> Result<(), ContentError> {
        unfinished::remove(self.disk.as_ref(), &self.dir)
    }

    /// Returns the length of a segment in bytes, or `None` if it does not exist.
    pub(super) fn len(&self, id: SegmentId) -> Result<Option<u64>, ContentError> {
        let path = self.path(id);
        match self.disk.look(&path) {
            Ok(seen) => Ok(Some(seen.len)),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(ContentError::io("look at", &path)(e)),
        }
    }

    fn sync_dir(&self) -> Result<(), ContentError> {
        (self.disk.sync_dir(&self.dir)).map_err(ContentError::io("sync", &self.dir))
    }

    /// Returns `len` bytes of the stored extent of `run`, from its byte `skip` on, as they are in
    /// the segment: neither decompressed nor verified.
    pub(super) fn read(&self, run: &Stored, skip: u32, len: u32) -> Result<Vec<u8>, ContentError> {
        let file = self.reader(run.segment)?;
        let mut bytes = vec![0; len as usize];
        match file.read_at(&mut bytes, run.offset + u64::from(skip)) {
            Ok(()) => Ok(bytes),
            Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => {
                Err(ContentError::corrupt(run, "the segment is cut short"))
            }
            Err(e) => Err(ContentError::io("read", &self.path(run.segment))(e)),
        }
    }

    fn reader(&self, id: SegmentId) -> Result<Arc<dyn DiskFile>, ContentError> {
        if let Some(file) = self.readers.lock().get(&id) {
            return Ok(file.clone());
        }
        let path = self.path(id);
        let file = (self.disk.open(&path)).map_err(ContentError::io("open", &path))?;
        let mut readers = self.readers.lock();
        if readers.len() >= self.open_files {
            readers.clear();
        }
        readers.insert(id, file.clone());
        Ok(file)
    }
}

/// Returns the ids of the segments in a folder. Other files there are ignored.
fn segment_ids(disk: &dyn Disk, dir: &Path) -> Result<Vec<SegmentId>, ContentError> {
    let names = disk.list(dir).map_err(ContentError::io("list", dir))?;
    let number = |name: &OsString| name.to_str()?.strip_suffix(".seg")?.parse().ok();
    Ok(names.iter().filter_map(number).map(SegmentId).collect())
}
