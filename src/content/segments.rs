//! Reads and appends segment files: `segments/0000000000000001.seg` and so on.
//!
//! A segment is the concatenation of its stored extents; the extent records hold their offsets and
//! hashes. Appends go to one segment until it has [`SEGMENT_SIZE`] bytes.
//!
//! Invariant: a segment of an earlier run is never appended to. After a crash its end may hold
//! bytes that no record refers to, and that may not be on stable storage.

use super::ContentError;
use crate::disk::{Disk, DiskFile};
use crate::tinyfs::{SegmentId, Stored};
use parking_lot::Mutex;
use std::collections::{BTreeSet, HashMap};
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Size in bytes at which a segment is full.
const SEGMENT_SIZE: u64 = 64 << 20;
/// Greatest number of segments that are held open for reading.
const OPEN_FILES: usize = 32;

pub(super) struct Segments {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    tail: Mutex<Tail>,
    readers: Mutex<HashMap<SegmentId, Arc<dyn DiskFile>>>,
}

/// The open segment, and what has to be synced.
struct Tail {
    next: u64,
    open: Option<Open>,
    /// Ended segments with bytes that are not synced.
    unsynced: Vec<(PathBuf, Arc<dyn DiskFile>)>,
    /// Whether a file was created since the last sync of the folder.
    made: bool,
    /// Set when a sync failed: the kernel may have dropped dirty pages, and a later sync of the
    /// same file would report success all the same.
    failed: bool,
}

impl Tail {
    /// Ends the open segment. What is not synced of it is synced by the next sync.
    fn end(&mut self) {
        if let Some(open) = self.open.take()
            && open.synced < open.len
        {
            self.unsynced.push((open.path, open.file));
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
    pub(super) fn open(disk: Arc<dyn Disk>, dir: &Path) -> Result<Segments, ContentError> {
        let last = segment_ids(disk.as_ref(), dir)?.into_iter().max();
        Ok(Segments {
            disk,
            dir: dir.to_owned(),
            tail: Mutex::new(Tail {
                next: last.map_or(1, |id| id.0 + 1),
                open: None,
                unsynced: Vec::new(),
                made: false,
                failed: false,
            }),
            readers: Mutex::default(),
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
            .is_none_or(|open| open.len >= SEGMENT_SIZE)
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
        tail.made = true;
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
    pub(super) fn sync(&self) -> Result<(), ContentError> {
        let (files, upto, made) = {
            let mut tail = self.tail.lock();
            if tail.failed {
                let source = io::Error::other("an earlier sync failed");
                return Err(ContentError::io("sync", &self.dir)(source));
            }
            let mut files = std::mem::take(&mut tail.unsynced);
            let mut upto = None;
            if let Some(open) = &tail.open
                && open.synced < open.len
            {
                files.push((open.path.clone(), open.file.clone()));
                upto = Some((open.id, open.len));
            }
            (files, upto, std::mem::take(&mut tail.made))
        };
        let synced = files
            .iter()
            .try_for_each(|(path, file)| file.sync_data().map_err(ContentError::io("sync", path)))
            .and_then(|()| if made { self.sync_dir() } else { Ok(()) });
        let mut tail = self.tail.lock();
        match &synced {
            Err(error) if error.is_lost_sync() => tail.failed = true,
            // The sync could not begin, so no pages were lost: try these files again with the next
            // one.
            Err(_) => {
                let again = files.into_iter().filter(|(path, _)| {
                    let open = tail.open.as_ref();
                    open.is_none_or(|open| open.path != *path)
                });
                let again: Vec<_> = again.collect();
                tail.unsynced.extend(again);
                tail.made |= made;
            }
            Ok(()) => {}
        }
        if let (Ok(()), Some((id, len)), Some(open)) = (&synced, upto, &mut tail.open)
            && open.id == id
        {
            open.synced = len;
        }
        synced
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
                open || tail.unsynced.iter().any(|(unsynced, _)| *unsynced == path)
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
        if readers.len() >= OPEN_FILES {
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
