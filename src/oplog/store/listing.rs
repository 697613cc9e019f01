//! Caches the listing of the log's folder.
//!
//! The Delta kernel lists the log's tail for every commit; the cache saves reading the whole
//! folder. The store updates it with every file that it adds or removes.
//!
//! Invariant: with one writer, the cache equals the folder. A caller that meets an unexpected file
//! must have the cache dropped.

use super::files::child;
use crate::disk::Disk;
use object_store::ObjectMeta;
use object_store::path::Path;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::io;
use std::ops::Bound;
use std::path::Path as FilePath;

/// Returns the path of the log's folder.
pub(super) fn log() -> Path {
    Path::from("_delta_log")
}

/// Names of the log's files, each with its metadata once that was needed.
#[derive(Debug, Default)]
pub(super) struct Listing(Mutex<Option<BTreeMap<String, Option<ObjectMeta>>>>);

impl Listing {
    pub(super) fn forget(&self) {
        *self.0.lock() = None;
    }

    pub(super) fn added(&self, path: &Path) {
        if let (Some(names), Some(name)) = (self.0.lock().as_mut(), name_of(path)) {
            // Metadata of a replaced file is stale.
            names.insert(name.into(), None);
        }
    }

    pub(super) fn removed(&self, path: &Path) {
        if let (Some(names), Some(name)) = (self.0.lock().as_mut(), name_of(path)) {
            names.remove(name);
        }
    }

    /// Returns the files of `folder` after `offset`, sorted by name.
    pub(super) fn list(
        &self,
        disk: &dyn Disk,
        folder: &FilePath,
        offset: Option<Path>,
    ) -> io::Result<Vec<ObjectMeta>> {
        let mut kept = self.0.lock();
        let names = match &mut *kept {
            Some(names) => names,
            kept => kept.insert(read(disk, folder)?),
        };
        let after = match &offset {
            Some(offset) => match name_of(offset) {
                Some(name) => Bound::Excluded(name),
                None => Bound::Unbounded,
            },
            None => Bound::Unbounded,
        };
        let mut found = Vec::new();
        for (name, meta) in names.range_mut::<str, _>((after, Bound::Unbounded)) {
            let meta = match meta {
                Some(meta) => meta,
                meta => meta.insert(stat(disk, folder, name)?),
            };
            found.push(meta.clone());
        }
        Ok(found)
    }
}

/// Returns the name of a file directly in the log's folder.
fn name_of(path: &Path) -> Option<&str> {
    let name = path.as_ref().strip_prefix("_delta_log/")?;
    (!name.contains('/')).then_some(name)
}

fn read(disk: &dyn Disk, folder: &FilePath) -> io::Result<BTreeMap<String, Option<ObjectMeta>>> {
    let mut names = BTreeMap::new();
    for name in disk.list(folder)? {
        // Names that are not valid paths of this store are ignored.
        if let Ok(name) = name.into_string()
            && child(&log(), &name).is_some()
            && !disk.look(&folder.join(&name))?.is_dir
        {
            names.insert(name, None);
        }
    }
    Ok(names)
}

fn stat(disk: &dyn Disk, folder: &FilePath, name: &str) -> io::Result<ObjectMeta> {
    let seen = disk.look(&folder.join(name))?;
    Ok(ObjectMeta {
        location: log().parts().chain([name.into()]).collect(),
        last_modified: seen.modified.into(),
        size: seen.len,
        e_tag: None,
        version: None,
    })
}
