//! Reads ranges of a data file for the Parquet library.

use super::table::Table;
use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use parquet::arrow::arrow_reader::ArrowReaderOptions;
use parquet::arrow::async_reader::AsyncFileReader;
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader};
use std::ops::Range;
use std::sync::Arc;

/// A data file in the store, with its bytes if they were read already.
#[derive(Clone)]
pub(super) struct FileReader {
    store: Arc<dyn ObjectStore>,
    at: Path,
    size: u64,
    whole: Option<Bytes>,
}

impl FileReader {
    pub(super) fn new(table: &Table, at: Path, size: u64, whole: Option<Bytes>) -> FileReader {
        FileReader {
            store: table.store(),
            at,
            size,
            whole,
        }
    }
}

impl AsyncFileReader for FileReader {
    fn get_bytes(&mut self, range: Range<u64>) -> BoxFuture<'_, Result<Bytes>> {
        let read = async move {
            let Some(whole) = &self.whole else {
                let read = self.store.get_range(&self.at, range).await;
                return read.map_err(|e| ParquetError::External(Box::new(e)));
            };
            // A range beyond the end, which damaged metadata can claim, must not panic.
            let (start, end) = (usize::try_from(range.start)?, usize::try_from(range.end)?);
            match start <= end && end <= whole.len() {
                true => Ok(whole.slice(start..end)),
                false => Err(ParquetError::EOF(format!("no bytes at {start}..{end}"))),
            }
        };
        read.boxed()
    }

    fn get_metadata<'a>(
        &'a mut self,
        options: Option<&'a ArrowReaderOptions>,
    ) -> BoxFuture<'a, Result<Arc<ParquetMetaData>>> {
        let read = async move {
            let size = self.size;
            let reader = ParquetMetaDataReader::new().with_arrow_reader_options(options);
            Ok(Arc::new(reader.load_and_finish(self, size).await?))
        };
        read.boxed()
    }
}
