//! The kind Resample: series at regular times.

mod make;
mod plan;
mod spec;

pub use spec::Resample;
