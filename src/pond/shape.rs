//! Checks the files in a pond's folder before any of them is opened.
//!
//! Role: a pond may come from an untrusted source. A link in it would redirect reads and writes to
//! outside the pond, and a pipe would block its reader for ever. In: the folder. Out: nothing, or
//! the file that does not belong in it. Invariant: all paths that the pond opens later are files
//! and folders of its own. The check reads only folders, so it is fast however many files the
//! oplog has.

use super::PondError;
use crate::disk::display_path;
use std::fs::{self, FileType};
use std::io;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

/// Folders and the depth to which they are read: the key-value store has its own in the index.
const FOLDERS: [(&str, u32); 5] = [
    ("oplog", 1),
    ("segments", 0),
    ("journal", 0),
    ("cache", 8),
    ("index", 8),
];
/// The maximum number of digits of a segment's number.
const DIGITS: usize = 16;
const SEGMENT: &str = ".seg";

/// Refuses the pond at `pond` where a file in it leads elsewhere.
pub(super) fn check(pond: &Path) -> Result<(), PondError> {
    look(pond, 0)?;
    FOLDERS
        .iter()
        .try_for_each(|(name, depth)| look(&pond.join(name), *depth))
}

fn look(folder: &Path, depth: u32) -> Result<(), PondError> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        // The code that needs a missing folder reports it.
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(PondError::io("look into", folder)(e)),
    };
    for entry in entries {
        let entry = entry.map_err(PondError::io("look into", folder))?;
        let kind = entry
            .file_type()
            .map_err(PondError::io("look into", folder))?;
        if let Some(what) = leads(kind) {
            let path = display_path(&entry.path());
            return Err(PondError::Leads { path, what });
        }
        let name = entry.file_name();
        let number = name.to_str().and_then(|name| name.strip_suffix(SEGMENT));
        if number.is_some_and(|number| number.len() > DIGITS) {
            let (path, what) = (
                display_path(&entry.path()),
                "has a greater number than any segment",
            );
            return Err(PondError::Leads { path, what });
        }
        if kind.is_dir() && depth > 0 {
            look(&entry.path(), depth - 1)?;
        }
    }
    Ok(())
}

/// Returns why a file does not belong in a pond. Sockets are only connected to, or replaced.
fn leads(kind: FileType) -> Option<&'static str> {
    match () {
        () if kind.is_symlink() => Some("is a symbolic link"),
        () if kind.is_fifo() => Some("is a pipe"),
        () if kind.is_block_device() || kind.is_char_device() => Some("is a device"),
        () => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn links_are_found_wherever_they_lead_and_whatever_they_are_called() {
        for place in [
            "pond.toml",
            "lock",
            "control.sock",
            "index",
            "oplog/node_part=0",
            "oplog/.staging",
            "oplog/node_part=0/x.parquet",
            "oplog/_delta_log/_last_checkpoint",
            "segments/0000000000000001.seg",
            "journal/0000000000000001-0000.jnl",
            "index/keyspaces/1/tables/1",
        ] {
            let dir = tempfile::tempdir().unwrap();
            let at = dir.path().join(place);
            fs::create_dir_all(at.parent().unwrap()).unwrap();
            assert!(check(dir.path()).is_ok());
            symlink("/nowhere", &at).unwrap();
            let said = check(dir.path()).unwrap_err().to_string();
            assert!(
                said.contains("symbolic link") && said.contains(place),
                "{said}"
            );
        }
    }

    #[test]
    fn what_others_left_in_the_folder_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["segments", "oplog", "notes"] {
            fs::create_dir(dir.path().join(name)).unwrap();
        }
        fs::write(dir.path().join("segments/copy of 1.seg"), "").unwrap();
        fs::write(dir.path().join("oplog/README"), "").unwrap();
        assert!(check(dir.path()).is_ok());
        fs::write(dir.path().join("segments/18446744073709551615.seg"), "").unwrap();
        assert!(check(dir.path()).is_err());
    }
}
