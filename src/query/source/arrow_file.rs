//! Arrow IPC files: the columns are in the footer, and each record batch is a piece.

use super::{File, Layout, Part, Rows, Shape};
use crate::query::QueryError;
use crate::query::blob::Blob;
use datafusion::arrow::ipc::reader::{FileReader, FileReaderBuilder};
use std::io::{self, Read, Seek, SeekFrom};
use std::sync::Arc;

/// A blob with a position, for `Read` and `Seek`.
struct Cursor {
    blob: Arc<dyn Blob>,
    at: u64,
}

impl Read for Cursor {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let end = self
            .blob
            .len()
            .min(self.at.saturating_add(into.len() as u64));
        let bytes = self.blob.read(self.at.min(end)..end)?;
        if let Some(into) = into.get_mut(..bytes.len()) {
            into.copy_from_slice(&bytes);
        }
        self.at = end;
        Ok(bytes.len())
    }
}

impl Seek for Cursor {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let at = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(by) => self.blob.len().checked_add_signed(by),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
        };
        self.at = at.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.at)
    }
}

fn reader(file: &File<'_>, columns: Option<&[usize]>) -> Result<FileReader<Cursor>, QueryError> {
    let cursor = Cursor {
        blob: file.blob.clone(),
        at: 0,
    };
    let builder = FileReaderBuilder::new();
    let builder = match columns {
        Some(columns) => builder.with_projection(columns.to_vec()),
        None => builder,
    };
    builder.build(cursor).map_err(|error| file.wrong(error))
}

pub(super) fn shape(file: &File<'_>) -> Result<Shape, QueryError> {
    let reader = reader(file, None)?;
    Ok(Shape {
        schema: reader.schema(),
        layout: Layout::Arrow {
            batches: reader.num_batches(),
        },
    })
}

/// Returns the rows of a record batch.
pub(super) fn scan(file: &File<'_>, part: &Part, columns: &[usize]) -> Result<Rows, QueryError> {
    let mut reader = reader(file, Some(columns))?;
    let rows: Vec<_> = match part {
        Part::Group(batch) => {
            let moved = reader.set_index(*batch);
            moved.map_err(|error| file.wrong(error))?;
            reader.by_ref().take(1).collect()
        }
        _ => reader.collect(),
    };
    let name = file.name.to_owned();
    let batch = move |batch: Result<_, _>| batch.map_err(|error| QueryError::input(&name, error));
    Ok(Box::new(rows.into_iter().map(batch)))
}
