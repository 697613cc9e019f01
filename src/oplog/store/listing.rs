//! What stands in the log's folder, read once and kept.
//!
//! Role: spare the kernel a reading of the whole folder for each look at the log's tail. In: what
//! this store adds and removes. Out: the files after an offset, in the order of their names. Holds
//! always: with the table's one writer, what is listed is what is there; whoever meets a file that
//! it did not expect has the listing forgotten.

use super::files::child;
use crate::disk::Disk;
use object_store::ObjectMeta;
use object_store::path::Path;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::io;
use std::ops::Bound;
use std::path::Path as FilePath;

/// The folder of the log.
pub(super) fn log() -> Path {
    Path::from("_delta_log")
}

/// Names of the log's files; what `stat` tells of them is asked when it is first needed.
#[derive(Debug, Default)]
pub(super) struct Listing(Mutex<Option<BTreeMap<String, Option<ObjectMeta>>>>);

impl Listing {
    pub(super) fn forget(&self) {
        *self.0.lock() = None;
    }

    pub(super) fn added(&self, path: &Path) {
        if let (Some(names), Some(name)) = (self.0.lock().as_mut(), name_of(path)) {
            // What was known of a file of this name no longer holds.
            names.insert(name.into(), None);
        }
    }

    pub(super) fn removed(&self, path: &Path) {
        if let (Some(names), Some(name)) = (self.0.lock().as_mut(), name_of(path)) {
            names.remove(name);
        }
    }

    /// The files of `folder` after `offset`.
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

/// The name of a file that stands in the log's folder itself.
fn name_of(path: &Path) -> Option<&str> {
    let name = path.as_ref().strip_prefix("_delta_log/")?;
    (!name.contains('/')).then_some(name)
}

fn read(disk: &dyn Disk, folder: &FilePath) -> io::Result<BTreeMap<String, Option<ObjectMeta>>> {
    let mut names = BTreeMap::new();
    for name in disk.list(folder)? {
        // A name that is no path of this store is none of ours.
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
