//! The object store of the oplog on a local disk. A write that returns is on stable storage.
//!
//! All I/O of the table goes through it. Paths are relative to the table's folder.
//!
//! Invariants: a file appears under its name complete and synced, or not at all. Its folder is
//! synced before the call returns. Creating never replaces a file. After a failed sync, other than
//! for a full disk, every write is refused until the table is reopened: the state of earlier writes
//! is unknown.

mod files;
mod listing;
mod upload;

use crate::disk::Disk;
use async_trait::async_trait;
use files::Files;
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use object_store::path::Path;
use object_store::{
    Attributes, CopyMode, CopyOptions, Error, GetOptions, GetResult, GetResultPayload, ListResult,
    MultipartUpload, ObjectMeta, ObjectStore, PutMode, PutMultipartOptions, PutOptions, PutPayload,
    PutResult, RenameOptions, RenameTargetMode, Result,
};
use std::fmt;
use std::io;
use std::sync::Arc;
use upload::Upload;

/// Name of this store in errors.
const NAME: &str = "disk";

/// An object store in a folder of a local disk.
#[derive(Debug)]
pub(super) struct LocalStore {
    files: Arc<Files>,
}

impl LocalStore {
    /// Opens the store in folder `dir`, which must exist. Removes staging files of interrupted
    /// writes, and syncs the folder of the log: a commit must be durable before it is read.
    ///
    /// Only the table's one writer may open it.
    pub(super) fn open(disk: Arc<dyn Disk>, dir: &std::path::Path) -> Result<LocalStore> {
        let files = Files::open(disk, dir).map_err(|e| generic(e, &Path::default()))?;
        Ok(LocalStore {
            files: Arc::new(files),
        })
    }

    /// Drops the cached listing of the log's folder.
    pub(super) fn forget_listing(&self) {
        self.files.listing.forget();
    }

    /// Returns once the names in the log's folder are durable.
    pub(super) fn sync_log(&self) -> io::Result<()> {
        self.files.sync_log()
    }

    /// Fails if a sync has failed before, so that no earlier write can be trusted.
    pub(super) fn refuse_if_poisoned(&self) -> io::Result<()> {
        self.files.refuse_if_poisoned()
    }

    /// Returns the number of syncs of files and folders.
    #[cfg(test)]
    pub(super) fn syncs(&self) -> u64 {
        self.files.syncs()
    }

    async fn blocking<T: Send + 'static>(
        &self,
        at: &Path,
        work: impl FnOnce(&Files) -> io::Result<T> + Send + 'static,
    ) -> Result<T> {
        run(self.files.clone(), at, work).await
    }
}

/// Runs file operations on a blocking thread and converts their error.
async fn run<T: Send + 'static>(
    files: Arc<Files>,
    at: &Path,
    work: impl FnOnce(&Files) -> io::Result<T> + Send + 'static,
) -> Result<T> {
    let done = tokio::task::spawn_blocking(move || work(&files));
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
        write!(f, "{NAME}({})", self.files.root().display())
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
        self.blocking(location, move |files| files.put(&at, &payload, replace))
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
        let (path, file) = self.blocking(location, Files::stage).await?;
        Ok(Box::new(Upload::new(
            self.files.clone(),
            location.clone(),
            path,
            file,
        )))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let (files, at) = (self.files.clone(), location.clone());
        let read = move || files.get(&at, &options);
        let (meta, range, bytes) = tokio::task::spawn_blocking(read).await??;
        Ok(GetResult {
            payload: GetResultPayload::Stream(stream::once(async { Ok(bytes) }).boxed()),
            meta,
            range,
            attributes: Attributes::default(),
        })
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        let files = self.files.clone();
        let delete = move |location: Result<Path>| {
            let files = files.clone();
            async move {
                let location = location?;
                let at = location.clone();
                run(files, &location, move |files| files.delete(&at)).await?;
                Ok(location)
            }
        };
        locations.then(delete).boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        match prefix {
            Some(prefix) if *prefix == listing::log() => listed(self.files.clone(), None),
            prefix => {
                let (files, folder) = (self.files.clone(), prefix.cloned().unwrap_or_default());
                found(async move {
                    let at = folder.clone();
                    run(files, &at, move |files| files.walk(&folder)).await
                })
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
            Some(prefix) if *prefix == listing::log() => listed(self.files.clone(), Some(offset)),
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
        let folder = prefix.cloned().unwrap_or_default();
        let at = folder.clone();
        let (objects, common_prefixes) =
            self.blocking(&at, move |files| files.list(&folder)).await?;
        Ok(ListResult {
            common_prefixes,
            objects,
        })
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        let replace = matches!(options.mode, CopyMode::Overwrite);
        let (source, at) = (from.clone(), to.clone());
        self.blocking(to, move |files| files.copy(&source, &at, replace))
            .await
    }

    async fn rename_opts(&self, from: &Path, to: &Path, options: RenameOptions) -> Result<()> {
        let replace = matches!(options.target_mode, RenameTargetMode::Overwrite);
        let (source, at) = (from.clone(), to.clone());
        self.blocking(to, move |files| files.rename(&source, &at, replace))
            .await
    }
}

/// Returns the files of the log after `offset`, sorted by name.
fn listed(files: Arc<Files>, offset: Option<Path>) -> BoxStream<'static, Result<ObjectMeta>> {
    found(async move {
        match run(files, &listing::log(), move |files| files.list_log(offset)).await {
            // In an object store a prefix without objects is empty, not an error.
            Err(Error::NotFound { .. }) => Ok(Vec::new()),
            found => found,
        }
    })
}

/// Turns a future list into a stream.
fn found(
    look: impl Future<Output = Result<Vec<ObjectMeta>>> + Send + 'static,
) -> BoxStream<'static, Result<ObjectMeta>> {
    let found = async {
        match look.await {
            Ok(found) => stream::iter(found).map(Ok).boxed(),
            Err(e) => stream::once(async { Err(e) }).boxed(),
        }
    };
    stream::once(found).flatten().boxed()
}

#[cfg(test)]
mod tests;
