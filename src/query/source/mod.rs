//! A file as rows: its columns, and the pieces that its rows are read in.
//!
//! A piece is what is read, computed and remembered at a time: some megabytes of lines, or a row group of Parquet.
//! Its identity is that of its content, so what was computed from it holds wherever and whenever it is met again,
//! and an append costs the last piece.

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

/// Rows, some thousands at a time, all of one schema.
pub type Rows = Box<dyn Iterator<Item = Result<RecordBatch, QueryError>> + Send>;

/// How many rows come at a time.
pub(super) const BATCH: usize = 16_384;

/// A piece of a source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Where it is.
    pub(super) part: Part,
    /// The identity of its content.
    pub(super) id: Hash,
}

/// Where in a file a piece is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// All of it.
    Whole,
    /// These bytes, which are whole lines.
    Bytes(Range<u64>),
    /// The row group or record batch of this number.
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

/// What is known of a file's rows.
#[derive(Clone)]
struct Shape {
    schema: SchemaRef,
    layout: Layout,
}

/// How a file is read.
#[derive(Clone)]
enum Layout {
    Csv {
        /// Where the rows begin.
        body: u64,
        /// Whether lines can be told apart without reading from the start.
        splits: bool,
        /// Whether the types are those of all values, not of a sample.
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
    /// Opens a file of a format, which errors call `name`. What it takes to know its columns is remembered in `keep`.
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

    /// What errors call it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The names of its columns.
    pub fn columns(&self) -> Vec<String> {
        let schema = self.schema();
        schema
            .fields()
            .iter()
            .map(|field| field.name().clone())
            .collect()
    }

    /// Its columns.
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

    /// Its pieces, in the order of its rows. Where it was cut is remembered in `keep`.
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

    /// The rows of a piece: all columns, or those of these numbers, in this order.
    ///
    /// [`QueryError::Mistyped`] asks to [`learn`](Source::learn) and to begin anew.
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

    /// Looks at all values, after a sample has told a wrong type. Answers whether that changed anything.
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

/// What the formats get to see of a file.
struct File<'f> {
    name: &'f str,
    blob: &'f Arc<dyn Blob>,
    packing: Packing,
}

impl File<'_> {
    /// Unpacked bytes, from the beginning.
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

    /// The bytes of a part that is made of lines.
    fn bytes(&self, range: &Range<u64>) -> Result<bytes::Bytes, QueryError> {
        self.blob
            .read(range.clone())
            .map_err(QueryError::io(self.name))
    }

    fn wrong(&self, why: impl ToString) -> QueryError {
        QueryError::input(self.name, why)
    }
}
