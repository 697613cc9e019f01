//! The kind Concat: files, concatenated.

mod make;
mod plan;
mod spec;

pub use spec::Concat;
