//! The object store, the Delta kernel's engine and the tokio runtime of one table.
//!
//! All modules of the oplog use it for blocking access to files. Callers must not be on a thread of
//! an asynchronous runtime.
//!
//! Invariant: the store is rooted at the table. So no path of the machine is in a URL that the
//! kernel handles, and unusual characters in the folder's name are harmless.

use super::error::{Cause, OplogError};
use super::store::LocalStore;
use crate::tinyfs::Version;
use buoyant_kernel::Engine;
use bytes::Bytes;
use deltalake::logstore::{StorageConfig, default_logstore};
use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{Error, ObjectMeta, ObjectStore, ObjectStoreExt, PutMode};
use std::future::Future;
use std::sync::Arc;
use tokio::runtime::{Builder, Runtime};
use url::Url;

/// URL of the table for the kernel: the root of the store.
pub(super) const ROOT: &str = "pond:///";
/// Folder of the log.
pub(super) const LOG: &str = "_delta_log";
/// Greatest number of bytes that are read of a file in the log. A line has about 500 bytes, and
/// there is one for each file that a commit adds or removes.
pub(super) const MAX_LOG_FILE: u64 = 64 << 20;
/// File with the version of the newest checkpoint.
pub(super) const LAST_CHECKPOINT: &str = "_delta_log/_last_checkpoint";

/// The store, the engine and the runtime of one table.
pub(super) struct Table {
    /// `Some` until the table is dropped.
    runtime: Option<Runtime>,
    store: Arc<dyn ObjectStore>,
    local: Option<Arc<LocalStore>>,
    engine: Arc<dyn Engine>,
}

impl Table {
    /// Wraps a store that is rooted at the table. `local` is the same store if it is on this disk.
    pub(super) fn new(
        store: Arc<dyn ObjectStore>,
        local: Option<Arc<LocalStore>>,
    ) -> Result<Table, OplogError> {
        // Two worker threads: the kernel blocks one while another does its I/O.
        let runtime = Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("oplog")
            .enable_all()
            .build()
            .map_err(|e| OplogError::storage("start the threads of the oplog", e))?;
        let root =
            Url::parse(ROOT).map_err(|e| OplogError::storage("name the oplog's folder", e))?;
        let engine = {
            let _entered = runtime.enter();
            let config = StorageConfig::default();
            default_logstore(store.clone(), store.clone(), &root, &config).engine(None)
        };
        Ok(Table {
            runtime: Some(runtime),
            store,
            local,
            engine,
        })
    }

    pub(super) fn engine(&self) -> &dyn Engine {
        self.engine.as_ref()
    }

    pub(super) fn store(&self) -> Arc<dyn ObjectStore> {
        self.store.clone()
    }

    /// Blocks until `future` is done. `what` describes the operation in an error.
    pub(super) fn wait<T, E: Into<Cause>>(
        &self,
        what: impl FnOnce() -> String,
        future: impl Future<Output = Result<T, E>>,
    ) -> Result<T, OplogError> {
        let done = match &self.runtime {
            Some(runtime) => runtime.block_on(future).map_err(Into::into),
            None => Err("the oplog is closed".into()),
        };
        done.map_err(|e| self.failed(what(), e))
    }

    /// Builds an error of doing `what`.
    pub(super) fn failed(&self, what: impl Into<String>, error: impl Into<Cause>) -> OplogError {
        OplogError::storage(what, error)
    }

    /// Fails if a sync has failed before: earlier writes may not be durable.
    pub(super) fn must_be_durable(&self) -> Result<(), OplogError> {
        match &self.local {
            Some(local) => {
                (local.refuse_if_poisoned()).map_err(|e| self.failed("trust the oplog's disk", e))
            }
            None => Ok(()),
        }
    }

    /// Syncs the log's folder: a call that failed may have left a commit that is not durable.
    pub(super) fn sync_log(&self) -> Result<(), OplogError> {
        match &self.local {
            Some(local) => (local.sync_log()).map_err(|e| self.failed("sync the log", e)),
            None => Ok(()),
        }
    }

    /// Drops the cached listing of the log's folder.
    pub(super) fn forget_listing(&self) {
        if let Some(local) = &self.local {
            local.forget_listing();
        }
    }

    /// Returns the first [`MAX_LOG_FILE`] bytes of a file, or `None` if it does not exist.
    pub(super) fn get(&self, path: &str) -> Result<Option<Bytes>, OplogError> {
        let at = Path::from(path);
        let read = async {
            match self.store.head(&at).await {
                Ok(meta) if meta.size == 0 => Ok(Some(Bytes::new())),
                Ok(meta) => {
                    let most = 0..meta.size.min(MAX_LOG_FILE);
                    self.store.get_range(&at, most).await.map(Some)
                }
                Err(Error::NotFound { .. }) => Ok(None),
                Err(e) => Err(e),
            }
        };
        self.wait(|| format!("read {path}"), read)
    }

    /// Returns the length of a file in bytes, or `None` if it does not exist.
    pub(super) fn size(&self, at: &Path) -> Result<Option<u64>, OplogError> {
        let read = async {
            match self.store.head(at).await {
                Ok(meta) => Ok(Some(meta.size)),
                Err(Error::NotFound { .. }) => Ok(None),
                Err(e) => Err(e),
            }
        };
        self.wait(|| format!("look up {at}"), read)
    }

    /// Returns the last `n` bytes of a file of `size` bytes.
    pub(super) fn end(&self, at: &Path, size: u64, n: u64) -> Result<Bytes, OplogError> {
        let range = size.saturating_sub(n)..size;
        self.wait(|| format!("read {at}"), self.store.get_range(at, range))
    }

    /// Writes a new file. Fails if it exists.
    pub(super) fn create(&self, path: &str, bytes: Bytes) -> Result<(), Error> {
        let at = Path::from(path);
        let put = self
            .store
            .put_opts(&at, bytes.into(), PutMode::Create.into());
        match &self.runtime {
            Some(runtime) => runtime.block_on(put).map(|_| ()),
            None => Err(Error::NotSupported {
                source: "the oplog is closed".into(),
            }),
        }
    }

    /// Removes a file.
    pub(super) fn delete(&self, path: &str) -> Result<(), OplogError> {
        let at = Path::from(path);
        self.wait(|| format!("remove {path}"), self.store.delete(&at))
    }

    /// Renames a file. Fails if `to` exists.
    pub(super) fn rename(&self, from: &str, to: &str) -> Result<(), OplogError> {
        let (source, target) = (Path::from(from), Path::from(to));
        let rename = self.store.rename_if_not_exists(&source, &target);
        self.wait(|| format!("rename {from} to {to}"), rename)
    }

    /// Returns the log's files from version `from` on, sorted by name.
    pub(super) fn list_log(&self, from: Version) -> Result<Vec<ObjectMeta>, OplogError> {
        let log = Path::from(LOG);
        let offset = Path::from(format!("{LOG}/{:020}", from.0));
        let list = self.store.list_with_offset(Some(&log), &offset);
        let mut found: Vec<ObjectMeta> =
            self.wait(|| "list the log".into(), list.try_collect::<Vec<_>>())?;
        found.sort_by(|a, b| a.location.cmp(&b.location));
        Ok(found)
    }
}

impl Drop for Table {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // Not waited for: a runtime that is dropped on an asynchronous thread would panic.
            runtime.shutdown_background();
        }
    }
}

/// Returns the path of a version's commit.
pub(super) fn commit_path(version: Version) -> String {
    format!("{LOG}/{:020}.json", version.0)
}
