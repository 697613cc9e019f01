//! Tests of files of every format as rows, and of series, reductions and queries over them.

mod files;
mod reduced;
mod sql;
mod sql_page;

use super::source::Rows;
use super::*;
use std::sync::Arc;

/// Opens a file in memory.
fn file(name: &str, bytes: impl Into<Vec<u8>>) -> Result<Arc<Source>, QueryError> {
    file_kept(name, bytes, &Nothing)
}

fn file_kept(
    name: &str,
    bytes: impl Into<Vec<u8>>,
    keep: &dyn Keep,
) -> Result<Arc<Source>, QueryError> {
    let blob: Arc<dyn Blob> = Arc::new(Memory(bytes.into().into()));
    let format = Format::of_file(name, blob.as_ref()).map_err(QueryError::io(name))?;
    Source::open(name, format, blob, keep).map(Arc::new)
}

fn member(source: Arc<Source>) -> Member {
    Member {
        source,
        prefix: String::new(),
    }
}

/// Returns rows as CSV.
fn csv((schema, rows): (SchemaRef, Rows)) -> Result<String, QueryError> {
    let mut out = Vec::new();
    write(&schema, rows, Format::Csv { separator: b',' }, &mut out)?;
    Ok(String::from_utf8(out).unwrap())
}

/// Returns the rows of a file in their order, as CSV.
fn all(source: &Arc<Source>) -> Result<String, QueryError> {
    let same = |name: &str| Renamed {
        name: name.to_owned(),
        as_time: false,
    };
    csv(renamed(source.clone(), &same)?)
}

/// Returns the rows of files as one series, as CSV.
fn series(sources: &[Arc<Source>]) -> Result<String, QueryError> {
    let series = Series::new(sources.iter().cloned().map(member).collect())?;
    csv((series.schema()?, series.rows(&Nothing)?))
}
