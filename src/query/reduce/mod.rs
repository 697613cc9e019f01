//! Downsampling: a series reduced to aggregates in buckets of time.
//!
//! `derive` renders Reduce resources with a [`Reduction`]. The partial result of a piece (sums,
//! minima, maxima, … in buckets of the finest width) is cached by the identity of the piece.
//! Coarser buckets are computed from finer ones. So an append computes only the last piece, and
//! late rows the pieces whose times they overlap: only there can a row replace another.
//!
//! The result comes in [`Sections`] of time, so that sections that an append does not change can be
//! copied. NaN counts as no value. Files without common columns cannot replace each other's rows
//! and are reduced separately.

mod aggregate;
mod compute;
mod partial;
mod plan;
mod section;

pub use aggregate::Aggregate;
pub use plan::{Reduction, Scope};
pub use section::Sections;
