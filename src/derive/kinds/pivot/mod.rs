//! The kind Pivot: the same columns of several series, side by side.

mod plan;
mod spec;

pub use spec::Pivot;
