//! The kind Chart: series, drawn.

mod drawing;
mod make;
mod picture;
mod plan;
mod spec;

pub use spec::Chart;
