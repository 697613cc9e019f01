//! The object store for a local disk: what it says is written, is on the disk.
//!
//! Role: all I/O of the table goes through here. In: the calls of the object store interface, with
//! paths within the table's folder. Out: files. Holds always: a file appears under its name whole
//! and synced, or not at all; its folder is synced before the call returns; creating never replaces.
//! After a sync failed for another reason than a full disk, every write is refused: nobody knows
//! what of the past writes is durable, until the table is opened anew.

mod disk;
mod listing;
mod upload;

use async_trait::async_trait;
use disk::Disk;
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{
    CopyMode, CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, PutMode, PutMultipartOptions, PutOptions, PutPayload, PutResult, RenameOptions,
    RenameTargetMode, Result,
};
use std::fmt;
use std::io;
use std::sync::Arc;
use upload::Upload;

use crate::tinyfs::Errno;

/// The name that this store gives itself in errors.
const NAME: &str = "disk";

/// An object store in one folder of a local disk.
#[derive(Debug)]
pub(super) struct LocalStore {
    read: LocalFileSystem,
    disk: Arc<Disk>,
}

impl LocalStore {
    /// The store in folder `dir`, which exists. Removes what an interrupted write has left behind,
    /// and syncs the folder of the log: a commit that is seen now is durable before it is believed.
    ///
    /// Only the one writer of the table may open it so.
    pub(super) fn open(dir: &std::path::Path) -> Result<LocalStore> {
        let read = LocalFileSystem::new_with_prefix(dir)?;
        let disk = Disk::open(dir).map_err(|e| generic(e, &Path::default()))?;
        Ok(LocalStore {
            read,
            disk: Arc::new(disk),
        })
    }

    /// Forgets what is known of the log's folder, so that it is read again.
    pub(super) fn forget_listing(&self) {
        self.disk.listing.forget();
    }

    /// Whether a sync failed, so that no past write can be trusted.
    pub(super) fn is_poisoned(&self) -> bool {
        self.disk.is_poisoned()
    }

    /// The last error number of the operating system, once.
    pub(super) fn take_errno(&self) -> Option<Errno> {
        self.disk.take_errno()
    }

    /// How many times a file or a folder was synced.
    #[cfg(test)]
    pub(super) fn syncs(&self) -> u64 {
        self.disk.syncs()
    }

    async fn blocking<T: Send + 'static>(
        &self,
        at: &Path,
        work: impl FnOnce(&Disk) -> io::Result<T> + Send + 'static,
    ) -> Result<T> {
        run(self.disk.clone(), at, work).await
    }
}

/// Runs file operations where they may block, and turns their error into the store's.
async fn run<T: Send + 'static>(
    disk: Arc<Disk>,
    at: &Path,
    work: impl FnOnce(&Disk) -> io::Result<T> + Send + 'static,
) -> Result<T> {
    let done = tokio::task::spawn_blocking(move || {
        let done = work(&disk);
        if let Err(e) = &done {
            disk.note(e);
        }
        done
    });
    done.await?.map_err(|e| generic(e, at))
}

fn generic(source: io::Error, at: &Path) -> Error {
    let path = at.to_string();
    match source.kind() {
        io::ErrorKind::NotFound => Error::NotFound {
            path,
            source: source.into(),
        },
        io::ErrorKind::AlreadyExists => Error::AlreadyExists {
            path,
            source: source.into(),
        },
        _ => Error::Generic {
            store: NAME,
            source: source.into(),
        },
    }
}

fn unsupported(operation: &str) -> Error {
    Error::NotImplemented {
        operation: operation.into(),
        implementer: NAME.into(),
    }
}

impl fmt::Display for LocalStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{NAME}({})", self.disk.root().display())
    }
}

#[async_trait]
impl ObjectStore for LocalStore {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        opts: PutOptions,
    ) -> Result<PutResult> {
        let replace = match opts.mode {
            PutMode::Overwrite => true,
            PutMode::Create => false,
            PutMode::Update(_) => return Err(unsupported("conditional update")),
        };
        let at = location.clone();
        self.blocking(location, move |disk| disk.put(&at, &payload, replace))
            .await?;
        Ok(PutResult {
            e_tag: None,
            version: None,
        })
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        _: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        let (path, file) = self.blocking(location, Disk::stage).await?;
        Ok(Box::new(Upload::new(
            self.disk.clone(),
            location.clone(),
            path,
            file,
        )))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.read.get_opts(location, options).await
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        let disk = self.disk.clone();
        let delete = move |location: Result<Path>| {
            let disk = disk.clone();
            async move {
                let location = location?;
                let at = location.clone();
                run(disk, &location, move |disk| disk.delete(&at)).await?;
                Ok(location)
            }
        };
        locations.then(delete).boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        match prefix {
            Some(prefix) if *prefix == listing::log() => listed(self.disk.clone(), None),
            _ => {
                let seen = |m: &Result<ObjectMeta>| {
                    let hidden = m.as_ref().is_ok_and(|m| disk::is_staging(&m.location));
                    futures::future::ready(!hidden)
                };
                self.read.list(prefix).filter(seen).boxed()
            }
        }
    }

    fn list_with_offset(
        &self,
        prefix: Option<&Path>,
        offset: &Path,
    ) -> BoxStream<'static, Result<ObjectMeta>> {
        let offset = offset.clone();
        match prefix {
            Some(prefix) if *prefix == listing::log() => listed(self.disk.clone(), Some(offset)),
            _ => {
                let after = move |m: &Result<ObjectMeta>| {
                    let before = m.as_ref().is_ok_and(|m| m.location <= offset);
                    futures::future::ready(!before)
                };
                self.list(prefix).filter(after).boxed()
            }
        }
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        let mut found = self.read.list_with_delimiter(prefix).await?;
        found.common_prefixes.retain(|p| !disk::is_staging(p));
        Ok(found)
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        let replace = matches!(options.mode, CopyMode::Overwrite);
        let (source, at) = (from.clone(), to.clone());
        self.blocking(to, move |disk| disk.copy(&source, &at, replace))
            .await
    }

    async fn rename_opts(&self, from: &Path, to: &Path, options: RenameOptions) -> Result<()> {
        let replace = matches!(options.target_mode, RenameTargetMode::Overwrite);
        let (source, at) = (from.clone(), to.clone());
        self.blocking(to, move |disk| disk.rename(&source, &at, replace))
            .await
    }
}

/// The files of the log after `offset`, in the order of their names.
fn listed(disk: Arc<Disk>, offset: Option<Path>) -> BoxStream<'static, Result<ObjectMeta>> {
    let found = async move {
        match run(disk, &listing::log(), move |disk| disk.list_log(offset)).await {
            Ok(found) => stream::iter(found).map(Ok).boxed(),
            // As with any store, a prefix that has no objects is an empty one.
            Err(Error::NotFound { .. }) => stream::empty().boxed(),
            Err(e) => stream::once(async { Err(e) }).boxed(),
        }
    };
    stream::once(found).flatten().boxed()
}

#[cfg(test)]
mod tests;
