//! A file that is written in parts and appears when it is complete.

use super::disk::Disk;
use super::run;
use async_trait::async_trait;
use futures::FutureExt;
use object_store::path::Path;
use object_store::{MultipartUpload, PutPayload, PutResult, Result, UploadPart};
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::Arc;

#[derive(Debug)]
pub(super) struct Upload {
    disk: Arc<Disk>,
    to: Path,
    staged: PathBuf,
    file: Arc<File>,
    /// Where the next part begins.
    end: u64,
    published: bool,
}

impl Upload {
    pub(super) fn new(disk: Arc<Disk>, to: Path, staged: PathBuf, file: File) -> Upload {
        let file = Arc::new(file);
        Upload {
            disk,
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
        let (disk, to, file) = (self.disk.clone(), self.to.clone(), self.file.clone());
        let mut at = self.end;
        self.end += data.content_length() as u64;
        let write = async move {
            let write = move |_: &Disk| {
                data.iter().try_for_each(|bytes| {
                    file.write_all_at(bytes, at)?;
                    at += bytes.len() as u64;
                    Ok(())
                })
            };
            run(disk, &to, write).await
        };
        write.boxed()
    }

    async fn complete(&mut self) -> Result<PutResult> {
        let (staged, file, to) = (self.staged.clone(), self.file.clone(), self.to.clone());
        let finish = move |disk: &Disk| disk.finish(Ok(()), &staged, &file, &to, true);
        run(self.disk.clone(), &self.to, finish).await?;
        self.published = true;
        Ok(PutResult {
            e_tag: None,
            version: None,
        })
    }

    async fn abort(&mut self) -> Result<()> {
        let staged = self.staged.clone();
        run(self.disk.clone(), &self.to, move |_| {
            fs::remove_file(staged)
        })
        .await
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        if !self.published {
            // Best effort: what stays is swept when the table is opened.
            let _ = fs::remove_file(&self.staged);
        }
    }
}
