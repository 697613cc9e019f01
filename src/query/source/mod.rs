//! A file as rows: its columns, and the pieces in which its rows are read.
//!
//! A piece is the unit of reading, computing and caching: some megabytes of lines, a Parquet row
//! group or an Arrow record batch. Its identity depends on content only, so a cached result of a
//! piece is valid wherever the piece occurs again. An append to a file of lines changes only the
//! last piece.

mod arrow_file;
mod csv;
mod json;
mod lines;
mod otel;
mod parquet_file;

pub(super) use parquet_file::Chunks;

use super::blob::{Blob, BlobReader, Hash};
use super::format::{Format, Packing};
use super::{QueryError, schema};
use crate::query::keep::Keep;
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use parking_lot::Mutex;
use std::io::Read;
use std::ops::Range;
use std::sync::Arc;

/// Batches of rows of one schema, of some thousand rows each.
pub type Rows = Box<dyn Iterator<Item = Result<RecordBatch, QueryError>> + Send>;

/// Maximum number of rows in a batch.
pub(super) const BATCH: usize = 16_384;

/// A piece of a source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Its location in the file.
    pub(super) part: Part,
    /// The identity of its content.
    pub(super) id: Hash,
}

/// Location of a piece in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// The whole file.
    Whole,
    /// A range of bytes that contains whole lines.
    Bytes(Range<u64>),
    /// Index of the row group or record batch.
    Group(usize),
}

/// A file that is read as rows.
pub struct Source {
    name: String,
    blob: Arc<dyn Blob>,
    format: Format,
    packing: Packing,
    shape: Mutex<Shape>,
}

/// The columns of a file, and where its rows are.
#[derive(Clone)]
struct Shape {
    schema: SchemaRef,
    layout: Layout,
}

/// How the rows of a file are found.
#[derive(Clone)]
enum Layout {
    Csv {
        /// Offset of the first row, in uncompressed bytes.
        body: u64,
        /// Whether the file can be split at line ends: no quoted value contains one.
        splits: bool,
        /// Whether the types come from all values, not from a sample.
        certain: bool,
    },
    Json,
    Otel,
    Parquet(parquet_file::Footer),
    Arrow {
        batches: usize,
    },
}

impl Source {
    /// Opens a file of a format. Errors call the file `name`. What is computed to know its columns
    /// is cached in `keep`.
    pub fn open(
        name: &str,
        format: Option<(Format, Packing)>,
        blob: Arc<dyn Blob>,
        keep: &dyn Keep,
    ) -> Result<Source, QueryError> {
        let (format, packing) = format.ok_or_else(|| {
            let why = "its name tells no format of rows; call it .csv, .jsonl, .parquet or .arrow";
            QueryError::input(name, why)
        })?;
        if blob.is_empty() && format != Format::Parquet && format != Format::Arrow {
            return Err(QueryError::input(
                name,
                "it is empty: not even its columns are known",
            ));
        }
        let file = File {
            name,
            blob: &blob,
            packing,
        };
        let shape = match format {
            Format::Csv { separator } => csv::shape(&file, separator, keep)?,
            Format::JsonLines | Format::JsonArray => json::shape(&file, keep)?,
            Format::Parquet => parquet_file::shape(&file)?,
            Format::Arrow => arrow_file::shape(&file)?,
        };
        schema::distinct(name, &shape.schema)?;
        Ok(Source {
            name: name.into(),
            blob,
            format,
            packing,
            shape: Mutex::new(shape),
        })
    }

    /// Returns the name by which errors call the file.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the names of the columns.
    pub fn columns(&self) -> Vec<String> {
        let schema = self.schema();
        schema
            .fields()
            .iter()
            .map(|field| field.name().clone())
            .collect()
    }

    /// Returns the columns.
    pub fn schema(&self) -> SchemaRef {
        self.shape.lock().schema.clone()
    }

    fn file(&self) -> File<'_> {
        File {
            name: &self.name,
            blob: &self.blob,
            packing: self.packing,
        }
    }

    /// Returns the pieces in the order of their rows. Where the file is split is cached in `keep`.
    pub fn pieces(&self, keep: &dyn Keep) -> Result<Vec<Piece>, QueryError> {
        let shape = self.shape.lock().clone();
        let failed = QueryError::io(&self.name);
        if self.packing != Packing::None {
            let id = self.blob.identity().map_err(failed)?;
            let part = Part::Whole;
            return Ok(vec![Piece { part, id }]);
        }
        match shape.layout {
            Layout::Csv { body, splits, .. } => {
                lines::pieces(self.blob.as_ref(), body, splits, keep)
            }
            Layout::Json | Layout::Otel => lines::pieces(self.blob.as_ref(), 0, true, keep),
            Layout::Parquet(footer) => self.groups(footer.groups()),
            Layout::Arrow { batches } => self.groups(batches),
        }
        .map_err(failed)
    }

    fn groups(&self, count: usize) -> std::io::Result<Vec<Piece>> {
        let whole = self.blob.identity()?;
        let piece = |n: usize| {
            let mut hasher = blake3::Hasher::new();
            hasher.update(&whole).update(&(n as u64).to_le_bytes());
            Piece {
                part: Part::Group(n),
                id: *hasher.finalize().as_bytes(),
            }
        };
        Ok((0..count).map(piece).collect())
    }

    /// Returns the rows of a piece with the columns of these indices, in this order.
    ///
    /// After [`QueryError::Mistyped`] the caller has to call [`learn`](Source::learn) and start
    /// again.
    pub fn scan(&self, piece: &Piece, columns: &[usize]) -> Result<Rows, QueryError> {
        let shape = self.shape.lock().clone();
        let (file, schema) = (self.file(), shape.schema);
        match shape.layout {
            Layout::Csv { body, splits, .. } => {
                let Format::Csv { separator } = self.format else {
                    return Err(QueryError::input(&self.name, "it is no CSV"));
                };
                csv::scan(
                    &file,
                    (separator, body, splits),
                    &piece.part,
                    schema,
                    columns,
                )
            }
            Layout::Json => json::scan(&file, &piece.part, schema, columns),
            Layout::Otel => otel::scan(&file, &piece.part, schema, columns),
            Layout::Parquet(footer) => parquet_file::scan(&file, &footer, &piece.part, columns),
            Layout::Arrow { .. } => arrow_file::scan(&file, &piece.part, columns),
        }
    }

    /// Reads all values, after a sample led to a wrong type. Returns false if that was done before.
    pub fn learn(&self, keep: &dyn Keep) -> Result<bool, QueryError> {
        let shape = self.shape.lock().clone();
        let (
            Layout::Csv {
                body,
                splits,
                certain,
            },
            Format::Csv { separator },
        ) = (shape.layout.clone(), self.format)
        else {
            return Ok(false);
        };
        let learned = csv::learn(
            &self.file(),
            separator,
            &shape.schema,
            (body, splits, certain),
            keep,
        )?;
        let changed = learned.is_some();
        if let Some(shape) = learned {
            *self.shape.lock() = shape;
        }
        Ok(changed)
    }
}

/// The view of a file for the modules of the formats.
struct File<'f> {
    name: &'f str,
    blob: &'f Arc<dyn Blob>,
    packing: Packing,
}

impl File<'_> {
    /// Returns a reader of the uncompressed bytes, from the start.
    fn unpacked(&self) -> Result<Box<dyn Read + Send>, QueryError> {
        let packed = BlobReader::new(self.blob.clone(), 0..u64::MAX);
        Ok(match self.packing {
            Packing::None => Box::new(packed),
            Packing::Gzip => Box::new(flate2::read::MultiGzDecoder::new(packed)),
            Packing::Zstd => {
                Box::new(zstd::Decoder::new(packed).map_err(QueryError::io(self.name))?)
            }
        })
    }

    /// Returns the bytes of a range of lines.
    fn bytes(&self, range: &Range<u64>) -> Result<bytes::Bytes, QueryError> {
        self.blob
            .read(range.clone())
            .map_err(QueryError::io(self.name))
    }

    fn wrong(&self, why: impl ToString) -> QueryError {
        QueryError::input(self.name, why)
    }
}
