//! A note on the disk that segments are being rewritten, by which a crashed rewrite is finished.
//!
//! `pond` writes the note before it commits a rewrite of the history, and removes it once all
//! unneeded bytes are gone. The note lists the segments with bytes that are to be erased.
//!
//! Invariant: while a segment holds bytes that were to be erased, either the table still needs
//! them or the note lists the segment.

use super::ContentError;
use crate::disk::Disk;
use crate::tinyfs::SegmentId;
use std::collections::BTreeSet;
use std::io;
use std::path::Path;

/// Name of the note in the folder of the segments, and of the one that is being written.
const NOTE: &str = "unfinished";
const NEW: &str = "unfinished.new";

/// Writes the note durably, in place of any earlier one.
pub(super) fn write(
    disk: &dyn Disk,
    dir: &Path,
    segments: &BTreeSet<SegmentId>,
) -> Result<(), ContentError> {
    let (note, new) = (dir.join(NOTE), dir.join(NEW));
    remove_if_there(disk, &new)?;
    let text: String = segments.iter().map(|id| format!("{}\n", id.0)).collect();
    let written = || -> io::Result<()> {
        let file = disk.create(&new)?;
        file.write_at(text.as_bytes(), 0)?;
        file.sync_data()?;
        disk.rename(&new, &note, true)?;
        disk.sync_dir(dir)
    };
    written().map_err(ContentError::io("write", &note))
}

/// Returns the segments that the note lists; `None` if there is no note.
pub(super) fn read(
    disk: &dyn Disk,
    dir: &Path,
) -> Result<Option<BTreeSet<SegmentId>>, ContentError> {
    let note = dir.join(NOTE);
    let read = || -> io::Result<Vec<u8>> {
        let file = disk.open(&note)?;
        let mut bytes = vec![0; usize::try_from(file.size()?).map_err(io::Error::other)?];
        file.read_at(&mut bytes, 0)?;
        Ok(bytes)
    };
    match read() {
        Ok(bytes) => {
            let text = String::from_utf8_lossy(&bytes);
            let numbers = text.lines().filter_map(|line| line.parse().ok());
            Ok(Some(numbers.map(SegmentId).collect()))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(ContentError::io("read", &note)(error)),
    }
}

/// Removes the note, durably.
pub(super) fn remove(disk: &dyn Disk, dir: &Path) -> Result<(), ContentError> {
    remove_if_there(disk, &dir.join(NOTE))?;
    disk.sync_dir(dir).map_err(ContentError::io("sync", dir))
}

fn remove_if_there(disk: &dyn Disk, path: &Path) -> Result<(), ContentError> {
    match disk.remove(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(ContentError::io("remove", path)(error))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::LocalDisk;

    #[test]
    fn the_note_lists_segments_until_it_is_removed() {
        let dir = tempfile::tempdir().unwrap();
        let (disk, dir) = (LocalDisk, dir.path());
        assert_eq!(read(&disk, dir).unwrap(), None);
        for ids in [BTreeSet::new(), [SegmentId(3), SegmentId(17)].into()] {
            write(&disk, dir, &ids).unwrap();
            assert_eq!(read(&disk, dir).unwrap(), Some(ids));
        }
        remove(&disk, dir).unwrap();
        remove(&disk, dir).unwrap();
        assert_eq!(read(&disk, dir).unwrap(), None);
    }
}
