//! Tables: files of any known format as rows, series of them, and SQL over them.
//!
//! Role: turn the bytes of files into Arrow rows and back. In: [`Blob`]s with names, recipes, and SQL. Out: rows
//! written as Parquet, CSV, JSON or Arrow, or facts about them. Holds always: besides `oplog` the only room that
//! names Arrow, Parquet and DataFusion; no row is left out in silence; equal inputs give equal bytes.
//!
//! - [`blob`], [`format`], [`source`]: a file as pieces of rows, each with an identity of its content.
//! - [`schema`], [`time`]: what several files have in common: columns by name, types widened, time in one form.
//! - [`series`], [`merge`]: many files as one series, a row a time.
//! - [`reduce`]: a series in buckets of time, from partial results that are kept.
//! - [`session`], [`functions`]: SQL, with the functions that old recipes use.
//! - [`output`], [`splice`]: rows as a file, of which parts may have been written before.

mod blob;
mod columns;
mod error;
mod format;
mod functions;
mod keep;
mod merge;
mod names;
mod output;
mod reduce;
mod schema;
mod series;
mod session;
mod source;
mod splice;
mod table;
mod time;
mod width;

pub use blob::{Blob, Hash, Memory, WINDOW, windows_identity};
pub use columns::{Numbers, Renamed, computed, numbers, renamed};
pub use datafusion::arrow::datatypes::SchemaRef;
pub use error::QueryError;
pub use format::{Format, Packing};
pub use keep::{Everything, Keep, Nothing, key};
pub use output::write;
pub use reduce::{Aggregate, Reduction, Scope, Sections};
pub use schema::column_matches;
pub use series::{Member, Series, span};
pub use session::Engine;
pub use source::{Rows, Source};
pub use splice::{Before, Spliced, write_sections};
pub use width::Width;

#[cfg(test)]
mod tests;
