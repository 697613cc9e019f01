//! Parquet: the columns are in the footer, and each row group is a piece.

use super::{BATCH, File, Layout, Part, Rows, Shape};
use crate::observe::guarded;
use crate::query::QueryError;
use crate::query::blob::{Blob, BlobReader};
use bytes::Bytes;
use datafusion::parquet::arrow::ProjectionMask;
use datafusion::parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ParquetRecordBatchReaderBuilder,
};
use datafusion::parquet::errors::{ParquetError, Result as ParquetResult};
use datafusion::parquet::file::reader::{ChunkReader, Length};
use std::sync::Arc;

/// Reason in the error for a file on which the library panics.
const UNSOUND: &str = "it is no sound Parquet file";

/// The decoded footer of a file.
#[derive(Clone)]
pub(super) struct Footer(ArrowReaderMetadata);

impl Footer {
    /// Returns the number of row groups.
    pub(super) fn groups(&self) -> usize {
        self.0.metadata().num_row_groups()
    }
}

/// A blob for the Parquet library.
pub(in crate::query) struct Chunks(pub(in crate::query) Arc<dyn Blob>);

impl Length for Chunks {
    fn len(&self) -> u64 {
        self.0.len()
    }
}

impl ChunkReader for Chunks {
    type T = BlobReader;

    fn get_read(&self, start: u64) -> ParquetResult<BlobReader> {
        Ok(BlobReader::new(self.0.clone(), start..u64::MAX))
    }

    fn get_bytes(&self, start: u64, length: usize) -> ParquetResult<Bytes> {
        let end = start.saturating_add(length as u64);
        self.0
            .read(start..end)
            .map_err(|error| ParquetError::External(Box::new(error)))
    }
}

pub(super) fn shape(file: &File<'_>) -> Result<Shape, QueryError> {
    let chunks = Chunks(file.blob.clone());
    // The library panics on some damaged files.
    let read = guarded(|| ArrowReaderMetadata::load(&chunks, Default::default()));
    let metadata = read
        .ok_or_else(|| file.wrong(UNSOUND))?
        .map_err(|error| file.wrong(error))?;
    Ok(Shape {
        schema: metadata.schema().clone(),
        layout: Layout::Parquet(Footer(metadata)),
    })
}

/// Returns the rows of a row group.
pub(super) fn scan(
    file: &File<'_>,
    footer: &Footer,
    part: &Part,
    columns: &[usize],
) -> Result<Rows, QueryError> {
    let Part::Group(group) = part else {
        return Err(file.wrong("a Parquet file is read by row groups"));
    };
    let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(
        Chunks(file.blob.clone()),
        footer.0.clone(),
    );
    let mask = ProjectionMask::roots(builder.parquet_schema(), columns.iter().copied());
    // The library returns columns in the order of the file.
    let mut sorted = columns.to_vec();
    sorted.sort_unstable();
    let order: Vec<usize> = columns
        .iter()
        .filter_map(|column| sorted.binary_search(column).ok())
        .collect();
    let name = file.name.to_owned();
    let mut rows = builder
        .with_projection(mask)
        .with_row_groups(vec![*group])
        .with_batch_size(BATCH)
        .build()
        .map_err(|error| file.wrong(error))?;
    Ok(Box::new(std::iter::from_fn(move || {
        let Some(next) = guarded(|| rows.next()) else {
            return Some(Err(QueryError::input(&name, UNSOUND)));
        };
        let batch = next?;
        let ordered = batch.and_then(|batch| batch.project(&order));
        Some(ordered.map_err(|error| QueryError::input(&name, error)))
    })))
}
