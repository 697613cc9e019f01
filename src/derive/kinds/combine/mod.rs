//! The kind Combine: series of several sources, joined on their time.

mod plan;
mod spec;

pub use spec::Combine;
