//! Multipart uploads: a staged file that is published when it is complete.

use super::files::{Files, write};
use super::run;
use crate::disk::DiskFile;
use async_trait::async_trait;
use futures::FutureExt;
use object_store::path::Path;
use object_store::{MultipartUpload, PutPayload, PutResult, Result, UploadPart};
use std::path::PathBuf;
use std::sync::Arc;

#[derive(Debug)]
pub(super) struct Upload {
    files: Arc<Files>,
    to: Path,
    staged: PathBuf,
    file: Arc<dyn DiskFile>,
    /// Offset of the next part.
    end: u64,
    published: bool,
}

impl Upload {
    pub(super) fn new(
        files: Arc<Files>,
        to: Path,
        staged: PathBuf,
        file: Arc<dyn DiskFile>,
    ) -> Upload {
        Upload {
            files,
            to,
            staged,
            file,
            end: 0,
            published: false,
        }
    }
}

#[async_trait]
impl MultipartUpload for Upload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        let (files, to, file) = (self.files.clone(), self.to.clone(), self.file.clone());
        let at = self.end;
        self.end += data.content_length() as u64;
        let write = async move {
            let write = move |_: &Files| write(file.as_ref(), &data, at);
            run(files, &to, write).await
        };
        write.boxed()
    }

    async fn complete(&mut self) -> Result<PutResult> {
        let (staged, file, to) = (self.staged.clone(), self.file.clone(), self.to.clone());
        let finish = move |files: &Files| files.finish(Ok(()), &staged, file.as_ref(), &to, true);
        run(self.files.clone(), &self.to, finish).await?;
        self.published = true;
        Ok(PutResult {
            e_tag: None,
            version: None,
        })
    }

    async fn abort(&mut self) -> Result<()> {
        let staged = self.staged.clone();
        let unstage = move |files: &Files| {
            files.unstage(&staged);
            Ok(())
        };
        run(self.files.clone(), &self.to, unstage).await
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        if !self.published {
            self.files.unstage(&self.staged);
        }
    }
}
