//! The kind Rename: series whose columns get other names.

mod make;
mod plan;
mod spec;

pub use spec::Rename;
