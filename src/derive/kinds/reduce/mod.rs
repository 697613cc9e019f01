//! The kind Reduce: series aggregated at several resolutions.

mod aggregate;
mod make;
mod plan;
mod resolution;
mod spec;

pub use spec::Reduce;
