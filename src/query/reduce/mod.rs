//! A series in buckets of time: downsampling.
//!
//! What is computed of a piece (sums, least and greatest values, …, in buckets of the finest width) is kept by the
//! piece's identity. Coarser buckets are made of finer ones. So an append computes the last piece, and late rows
//! those pieces whose times they overlap: only there can a row stand in for another. What is told of them comes in
//! sections of time, so that what an append does not touch need not be written anew. NaN counts as no value.
//!
//! Files whose columns differ altogether have no rows to replace in each other, and are reduced apart.

mod aggregate;
mod compute;
mod partial;
mod plan;
mod section;

pub use aggregate::Aggregate;
pub use plan::{Reduction, Scope};
pub use section::Sections;
