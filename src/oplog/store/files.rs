//! File operations that return when their effect is on the disk. They block.
//!
//! Role: stage, sync, publish. In: paths within the table. Out: files, or the operating system's
//! error. Invariant: a file is staged in a folder of its own, synced, and then renamed; the folders
//! whose entries changed are synced last. A new folder's parent is synced before any file is
//! put in it.

use super::listing::{self, Listing};
use crate::disk::{self, Disk, DiskFile};
use bytes::Bytes;
use object_store::path::Path;
use object_store::{GetOptions, ObjectMeta, PutPayload};
use parking_lot::Mutex;
use std::collections::HashSet;
use std::io;
use std::ops::Range;
use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// The folder of incomplete files. Delta readers ignore hidden names.
const STAGING: &str = ".staging";

/// Returns whether a path is in the staging folder.
pub(super) fn is_staging(path: &Path) -> bool {
    path.parts()
        .next()
        .is_some_and(|part| part.as_ref() == STAGING)
}

#[derive(Debug)]
pub(super) struct Files {
    disk: Arc<dyn Disk>,
    root: PathBuf,
    staged: AtomicU64,
    /// Folders that are known to exist durably.
    folders: Mutex<HashSet<PathBuf>>,
    pub(super) listing: Listing,
    poisoned: AtomicBool,
    syncs: AtomicU64,
}

impl Files {
    pub(super) fn open(disk: Arc<dyn Disk>, root: &FilePath) -> io::Result<Files> {
        let files = Files {
            disk,
            root: root.to_owned(),
            staged: AtomicU64::new(0),
            folders: Mutex::new(HashSet::new()),
            listing: Listing::default(),
            poisoned: AtomicBool::new(false),
            syncs: AtomicU64::new(0),
        };
        files.sweep()?;
        let log = files.at(&listing::log());
        match files.disk.look(&log) {
            Ok(_) => files.sync_folder(&log)?,
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            Err(e) => return Err(e),
        }
        Ok(files)
    }

    pub(super) fn root(&self) -> &FilePath {
        &self.root
    }

    #[cfg(test)]
    pub(super) fn syncs(&self) -> u64 {
        self.syncs.load(Ordering::Acquire)
    }

    #[cfg(test)]
    pub(super) fn poison_for_test(&self) {
        self.poison(io::Error::from_raw_os_error(libc::EIO));
    }

    /// Removes a staged file, as far as possible: the rest is swept when the table is opened.
    pub(super) fn unstage(&self, staged: &FilePath) {
        if let Err(error) = self.disk.remove(staged) {
            tracing::debug!(%error, "a staged file stays behind");
        }
    }

    /// Removes staged files that were never published.
    fn sweep(&self) -> io::Result<()> {
        let staging = self.root.join(STAGING);
        let names = match self.disk.list(&staging) {
            Ok(names) => names,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(e) => return Err(e),
        };
        let mut staged = names.iter().map(|name| staging.join(name));
        staged.try_for_each(|path| self.disk.remove(&path))
    }

    fn at(&self, path: &Path) -> PathBuf {
        // Parts hold neither `/` nor `..`: `Path` refuses both.
        path.parts()
            .fold(self.root.clone(), |at, part| at.join(part.as_ref()))
    }

    /// Creates a file in the staging folder.
    pub(super) fn stage(&self) -> io::Result<(PathBuf, Arc<dyn DiskFile>)> {
        self.refuse_if_poisoned()?;
        let folder = self.root.join(STAGING);
        self.ensure_folder(&folder)?;
        loop {
            let n = self.staged.fetch_add(1, Ordering::Relaxed);
            let path = folder.join(format!("{}-{n}", std::process::id()));
            match self.disk.create(&path) {
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
                opened => return opened.map(|file| (path, file)),
            }
        }
    }

    pub(super) fn put(&self, to: &Path, payload: &PutPayload, replace: bool) -> io::Result<()> {
        let (staged, file) = self.stage()?;
        let written = write(file.as_ref(), payload, 0);
        self.finish(written, &staged, file.as_ref(), to, replace)
    }

    pub(super) fn copy(&self, from: &Path, to: &Path, replace: bool) -> io::Result<()> {
        let bytes = disk::read(self.disk.as_ref(), &self.at(from), u64::MAX)?;
        self.put(to, &bytes.into(), replace)
    }

    /// Returns the range of a file that `options` request, and the file's metadata.
    pub(super) fn get(&self, at: &Path, options: &GetOptions) -> object_store::Result<Got> {
        let failed = |e| super::generic(e, at);
        let path = self.at(at);
        let file = self.disk.open(&path).map_err(failed)?;
        let meta = self.meta(&path, at).map_err(failed)?;
        options.check_preconditions(&meta)?;
        let range = match &options.range {
            Some(range) => range
                .as_range(meta.size)
                .map_err(|e| failed(io::Error::new(io::ErrorKind::InvalidInput, e)))?,
            None => 0..meta.size,
        };
        let wanted = if options.head {
            0
        } else {
            range.end - range.start
        };
        let mut bytes = vec![0; wanted as usize];
        file.read_at(&mut bytes, range.start).map_err(failed)?;
        Ok((meta, range, bytes.into()))
    }

    fn meta(&self, path: &FilePath, location: &Path) -> io::Result<ObjectMeta> {
        let seen = self.disk.look(path)?;
        if seen.is_dir {
            return Err(io::ErrorKind::NotFound.into());
        }
        Ok(ObjectMeta {
            location: location.clone(),
            last_modified: seen.modified.into(),
            size: seen.len,
            e_tag: None,
            version: None,
        })
    }

    /// Returns the files and the folders directly in a folder; none if the folder does not exist.
    pub(super) fn list(&self, folder: &Path) -> io::Result<(Vec<ObjectMeta>, Vec<Path>)> {
        let at = self.at(folder);
        let names = match self.disk.list(&at) {
            Ok(names) => names,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Default::default()),
            Err(e) => return Err(e),
        };
        let (mut files, mut folders) = (Vec::new(), Vec::new());
        for name in names {
            // A name that is no valid path of this store is ignored.
            let Some(location) = name.to_str().and_then(|name| child(folder, name)) else {
                continue;
            };
            let path = at.join(&name);
            match self.disk.look(&path)?.is_dir {
                true if is_staging(&location) => {}
                true => folders.push(location),
                false => files.push(self.meta(&path, &location)?),
            }
        }
        Ok((files, folders))
    }

    /// Returns the files in a folder and in all folders below it.
    pub(super) fn walk(&self, folder: &Path) -> io::Result<Vec<ObjectMeta>> {
        let (mut files, mut todo) = self.list(folder)?;
        while let Some(folder) = todo.pop() {
            let (more, below) = self.list(&folder)?;
            files.extend(more);
            todo.extend(below);
        }
        Ok(files)
    }

    /// Syncs and publishes a staged file, or removes it if anything failed.
    pub(super) fn finish(
        &self,
        written: io::Result<()>,
        staged: &FilePath,
        file: &dyn DiskFile,
        to: &Path,
        replace: bool,
    ) -> io::Result<()> {
        let published = written
            .and_then(|()| self.sync_file(file))
            .and_then(|()| self.publish(staged, to, replace));
        if published.is_err() {
            // If it was published and only the sync of its folder failed, it is no longer here.
            let _ = self.disk.remove(staged);
            self.listing.forget();
        }
        published
    }

    fn publish(&self, staged: &FilePath, to: &Path, replace: bool) -> io::Result<()> {
        let target = self.at(to);
        let folder = target.parent().unwrap_or(&self.root).to_path_buf();
        self.ensure_folder(&folder)?;
        self.disk.rename(staged, &target, replace)?;
        self.sync_folder(&folder)?;
        self.listing.added(to);
        Ok(())
    }

    pub(super) fn rename(&self, from: &Path, to: &Path, replace: bool) -> io::Result<()> {
        self.refuse_if_poisoned()?;
        self.listing.forget();
        let (source, target) = (self.at(from), self.at(to));
        let (left, entered) = (
            source.parent().unwrap_or(&self.root),
            target.parent().unwrap_or(&self.root),
        );
        self.ensure_folder(entered)?;
        self.disk.rename(&source, &target, replace)?;
        self.sync_folder(entered)?;
        if left != entered {
            self.sync_folder(left)?;
        }
        Ok(())
    }

    pub(super) fn delete(&self, path: &Path) -> io::Result<()> {
        self.refuse_if_poisoned()?;
        let target = self.at(path);
        self.disk.remove(&target)?;
        self.listing.removed(path);
        self.sync_folder(target.parent().unwrap_or(&self.root))
    }

    pub(super) fn list_log(&self, offset: Option<Path>) -> io::Result<Vec<ObjectMeta>> {
        self.listing
            .list(self.disk.as_ref(), &self.at(&listing::log()), offset)
    }

    /// Makes the names in the log's folder durable: a file whose publication was reported as failed
    /// may exist without a sync of its folder.
    pub(super) fn sync_log(&self) -> io::Result<()> {
        self.sync_folder(&self.at(&listing::log()))
    }

    /// Creates a folder and its parents, each durable in its parent before it is used.
    fn ensure_folder(&self, folder: &FilePath) -> io::Result<()> {
        if self.folders.lock().contains(folder) {
            return Ok(());
        }
        if folder != self.root {
            let parent = folder.parent().unwrap_or(&self.root);
            self.ensure_folder(parent)?;
            match self.disk.make_dir(folder) {
                // The process that made it may have died before the parent was synced.
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
                made => made?,
            }
            self.sync_folder(parent)?;
        }
        self.folders.lock().insert(folder.into());
        Ok(())
    }

    fn sync_file(&self, file: &dyn DiskFile) -> io::Result<()> {
        self.syncs.fetch_add(1, Ordering::Relaxed);
        file.sync_data().map_err(|e| match e.raw_os_error() {
            // The file is not published: it can be written again.
            Some(libc::ENOSPC | libc::EDQUOT) => e,
            _ => self.poison(e),
        })
    }

    fn sync_folder(&self, folder: &FilePath) -> io::Result<()> {
        self.syncs.fetch_add(1, Ordering::Relaxed);
        self.disk.sync_dir(folder).map_err(|e| self.poison(e))
    }

    fn poison(&self, error: io::Error) -> io::Error {
        tracing::error!(%error, "a sync of the oplog failed, nothing more is written");
        self.poisoned.store(true, Ordering::Release);
        error
    }

    /// Fails with `EIO` if a sync failed before.
    pub(super) fn refuse_if_poisoned(&self) -> io::Result<()> {
        match self.poisoned.load(Ordering::Acquire) {
            true => Err(io::Error::other(Poisoned {
                os: io::Error::from_raw_os_error(libc::EIO),
            })),
            false => Ok(()),
        }
    }
}

/// The error of an operation after a failed sync.
#[derive(Debug, thiserror::Error)]
#[error("a sync of this disk failed before")]
struct Poisoned {
    #[source]
    os: io::Error,
}

/// The metadata of a file, and a range of its bytes.
pub(super) type Got = (ObjectMeta, Range<u64>, Bytes);

/// Writes a payload from `offset` on.
pub(super) fn write(file: &dyn DiskFile, payload: &PutPayload, offset: u64) -> io::Result<()> {
    let mut at = offset;
    payload.iter().try_for_each(|bytes| {
        file.write_at(bytes, at)?;
        at += bytes.len() as u64;
        Ok(())
    })
}

/// Returns the path of `name` in `folder`, if it is valid in the store.
pub(super) fn child(folder: &Path, name: &str) -> Option<Path> {
    let path: Path = folder.parts().chain([name.into()]).collect();
    (path.filename() == Some(name)).then_some(path)
}
