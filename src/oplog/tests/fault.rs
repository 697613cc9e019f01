//! An object store that fails on demand, before or after it does the operation.

use async_trait::async_trait;
use futures::stream::BoxStream;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};
use parking_lot::Mutex;
use std::fmt;
use std::sync::Arc;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// The put is not done, and fails.
    Before,
    /// The put is done, and reported as failed.
    After,
}

#[derive(Debug)]
pub(super) struct FaultStore {
    inner: Arc<dyn ObjectStore>,
    /// The fault of the next put of a path with this suffix.
    armed: Mutex<Option<(&'static str, Fault)>>,
}

impl FaultStore {
    pub(super) fn new(inner: Arc<dyn ObjectStore>) -> Arc<FaultStore> {
        Arc::new(FaultStore {
            inner,
            armed: Mutex::new(None),
        })
    }

    pub(super) fn arm(&self, end: &'static str, fault: Fault) {
        *self.armed.lock() = Some((end, fault));
    }

    pub(super) fn is_armed(&self) -> bool {
        self.armed.lock().is_some()
    }
}

impl fmt::Display for FaultStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "fault({})", self.inner)
    }
}

fn broken() -> Error {
    let source = std::io::Error::from_raw_os_error(libc::ENOSPC);
    Error::Generic {
        store: "fault",
        source: Box::new(source),
    }
}

#[async_trait]
impl ObjectStore for FaultStore {
    async fn put_opts(&self, at: &Path, data: PutPayload, opts: PutOptions) -> Result<PutResult> {
        let hit = self
            .armed
            .lock()
            .take_if(|(end, _)| at.as_ref().ends_with(*end));
        match hit {
            Some((_, Fault::Before)) => Err(broken()),
            Some((_, Fault::After)) => {
                self.inner.put_opts(at, data, opts).await?;
                Err(broken())
            }
            None => self.inner.put_opts(at, data, opts).await,
        }
    }

    async fn put_multipart_opts(
        &self,
        at: &Path,
        opts: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(at, opts).await
    }

    async fn get_opts(&self, at: &Path, options: GetOptions) -> Result<GetResult> {
        self.inner.get_opts(at, options).await
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}
