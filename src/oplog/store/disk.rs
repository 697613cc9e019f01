//! File operations that return when what they did is on the disk. They block.
//!
//! Role: stage, sync, publish. In: paths within the table. Out: files, or the operating system's
//! error. Holds always: a file is staged in a folder of its own, synced, and then given its name;
//! the folders whose entries changed are synced last. A new folder's parent is synced before
//! anything is put in it.

use super::listing::{self, Listing};
use crate::tinyfs::Errno;
use object_store::path::Path;
use object_store::{ObjectMeta, PutPayload};
use parking_lot::Mutex;
use rustix::fs::{CWD, RenameFlags, renameat_with};
use std::collections::HashSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path as FilePath, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU64, Ordering};

/// Where files stand until they are whole. Delta readers pass over hidden names.
const STAGING: &str = ".staging";

/// Whether a path lies in the staging folder.
pub(super) fn is_staging(path: &Path) -> bool {
    path.parts()
        .next()
        .is_some_and(|part| part.as_ref() == STAGING)
}

#[derive(Debug)]
pub(super) struct Disk {
    root: PathBuf,
    staged: AtomicU64,
    /// Folders that are known to be there and durable.
    folders: Mutex<HashSet<PathBuf>>,
    pub(super) listing: Listing,
    poisoned: AtomicBool,
    errno: AtomicI32,
    syncs: AtomicU64,
}

impl Disk {
    pub(super) fn open(root: &FilePath) -> io::Result<Disk> {
        let disk = Disk {
            root: fs::canonicalize(root)?,
            staged: AtomicU64::new(0),
            folders: Mutex::new(HashSet::new()),
            listing: Listing::default(),
            poisoned: AtomicBool::new(false),
            errno: AtomicI32::new(0),
            syncs: AtomicU64::new(0),
        };
        disk.sweep()?;
        let log = disk.at(&listing::log());
        if log.is_dir() {
            disk.sync_folder(&log)?;
        }
        Ok(disk)
    }

    pub(super) fn root(&self) -> &FilePath {
        &self.root
    }

    pub(super) fn is_poisoned(&self) -> bool {
        self.poisoned.load(Ordering::Acquire)
    }

    pub(super) fn note(&self, error: &io::Error) {
        if let Some(n) = error.raw_os_error() {
            self.errno.store(n, Ordering::Release);
        }
    }

    pub(super) fn take_errno(&self) -> Option<Errno> {
        Some(self.errno.swap(0, Ordering::AcqRel))
            .filter(|n| *n != 0)
            .map(Errno)
    }

    #[cfg(test)]
    pub(super) fn syncs(&self) -> u64 {
        self.syncs.load(Ordering::Acquire)
    }

    #[cfg(test)]
    pub(super) fn poison_for_test(&self) {
        self.poison(io::Error::from_raw_os_error(libc::EIO));
    }

    /// Removes what was staged and never published.
    fn sweep(&self) -> io::Result<()> {
        let staging = self.root.join(STAGING);
        let entries = match fs::read_dir(&staging) {
            Ok(entries) => entries,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(e) => return Err(e),
        };
        for entry in entries {
            fs::remove_file(entry?.path())?;
        }
        Ok(())
    }

    fn at(&self, path: &Path) -> PathBuf {
        // Parts hold neither `/` nor `..`: `Path` refuses both.
        path.parts()
            .fold(self.root.clone(), |at, part| at.join(part.as_ref()))
    }

    /// A new file in the staging folder.
    pub(super) fn stage(&self) -> io::Result<(PathBuf, File)> {
        self.refuse_if_poisoned()?;
        let folder = self.root.join(STAGING);
        self.ensure_folder(&folder)?;
        loop {
            let n = self.staged.fetch_add(1, Ordering::Relaxed);
            let path = folder.join(format!("{}-{n}", std::process::id()));
            match OpenOptions::new().write(true).create_new(true).open(&path) {
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
                opened => return opened.map(|file| (path, file)),
            }
        }
    }

    pub(super) fn put(&self, to: &Path, payload: &PutPayload, replace: bool) -> io::Result<()> {
        let (staged, mut file) = self.stage()?;
        let written = payload.iter().try_for_each(|bytes| file.write_all(bytes));
        self.finish(written, &staged, &file, to, replace)
    }

    pub(super) fn copy(&self, from: &Path, to: &Path, replace: bool) -> io::Result<()> {
        let mut source = File::open(self.at(from))?;
        let (staged, mut file) = self.stage()?;
        let written = io::copy(&mut source, &mut file).map(|_| ());
        self.finish(written, &staged, &file, to, replace)
    }

    /// Syncs a staged file and gives it its name, or takes it away where anything went wrong.
    pub(super) fn finish(
        &self,
        written: io::Result<()>,
        staged: &FilePath,
        file: &File,
        to: &Path,
        replace: bool,
    ) -> io::Result<()> {
        let published = written
            .and_then(|()| self.sync_file(file))
            .and_then(|()| self.publish(staged, to, replace));
        if published.is_err() {
            // It may have been published and only its folder not been synced; then it is gone.
            let _ = fs::remove_file(staged);
            self.listing.forget();
        }
        published
    }

    fn publish(&self, staged: &FilePath, to: &Path, replace: bool) -> io::Result<()> {
        let target = self.at(to);
        let folder = target.parent().unwrap_or(&self.root).to_path_buf();
        self.ensure_folder(&folder)?;
        move_file(staged, &target, replace)?;
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
        move_file(&source, &target, replace)?;
        self.sync_folder(entered)?;
        if left != entered {
            self.sync_folder(left)?;
        }
        Ok(())
    }

    pub(super) fn delete(&self, path: &Path) -> io::Result<()> {
        self.refuse_if_poisoned()?;
        let target = self.at(path);
        fs::remove_file(&target)?;
        self.listing.removed(path);
        self.sync_folder(target.parent().unwrap_or(&self.root))
    }

    pub(super) fn list_log(&self, offset: Option<Path>) -> io::Result<Vec<ObjectMeta>> {
        self.listing.list(&self.at(&listing::log()), offset)
    }

    /// Makes a folder and what leads to it, each durable in its parent before it is used.
    fn ensure_folder(&self, folder: &FilePath) -> io::Result<()> {
        if self.folders.lock().contains(folder) {
            return Ok(());
        }
        if folder != self.root {
            let parent = folder.parent().unwrap_or(&self.root);
            self.ensure_folder(parent)?;
            match fs::create_dir(folder) {
                // Who made it may have died before the parent was synced.
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
                made => made?,
            }
            self.sync_folder(parent)?;
        }
        self.folders.lock().insert(folder.into());
        Ok(())
    }

    fn sync_file(&self, file: &File) -> io::Result<()> {
        self.syncs.fetch_add(1, Ordering::Relaxed);
        file.sync_data().map_err(|e| match e.raw_os_error() {
            // The file is not published: it can be written anew.
            Some(libc::ENOSPC | libc::EDQUOT) => e,
            _ => self.poison(e),
        })
    }

    fn sync_folder(&self, folder: &FilePath) -> io::Result<()> {
        self.syncs.fetch_add(1, Ordering::Relaxed);
        File::open(folder)?.sync_all().map_err(|e| self.poison(e))
    }

    fn poison(&self, error: io::Error) -> io::Error {
        tracing::error!(%error, "a sync of the oplog failed, nothing more is written");
        self.poisoned.store(true, Ordering::Release);
        error
    }

    fn refuse_if_poisoned(&self) -> io::Result<()> {
        match self.is_poisoned() {
            true => Err(io::Error::other("a sync of this disk failed before")),
            false => Ok(()),
        }
    }
}

fn move_file(from: &FilePath, to: &FilePath, replace: bool) -> io::Result<()> {
    if replace {
        return fs::rename(from, to);
    }
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        // Not every file system has this call; a hard link never replaces either.
        Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS) => {
            fs::hard_link(from, to)?;
            fs::remove_file(from)
        }
        moved => Ok(moved?),
    }
}
