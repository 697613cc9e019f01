//! Reads files of known formats as Arrow rows, and computes over them: series, buckets and SQL.
//!
//! `derive` renders with it. Apart from `oplog` it is the only module that names Arrow, Parquet and
//! DataFusion. Equal inputs produce equal bytes, because results are cached by the hash of their
//! inputs. A row that cannot be read is an error.
//!
//! - [`blob`], [`format`], [`source`]: a file as pieces of rows, each identified by its content.
//! - [`schema`], [`time`]: a common schema of several files, and one form of time.
//! - [`series`], [`merge`]: many files as one series with one row per time.
//! - [`reduce`]: a series in buckets of time, from cached partial results. [`resample`]: a series
//!   at regular times.
//! - [`session`], [`dialect`]: SQL, with the grammar and functions of DuckDB that recipes use.
//! - [`output`], [`splice`]: rows as a file, with unchanged parts copied from the file before.

mod blob;
mod columns;
mod dialect;
mod error;
mod format;
mod in_order;
mod keep;
mod merge;
mod output;
mod reduce;
mod resample;
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
pub use resample::{Grid, resampled};
pub use schema::column_matches;
pub use series::{Member, Series, span};
pub use session::Engine;
pub use source::{Rows, Source};
pub use splice::{Before, Spliced, write_sections};
pub use width::Width;

#[cfg(test)]
mod tests;
