//! The kind Synthetic: series of computed waves.

mod make;
mod plan;
mod spec;
mod wave;

pub use spec::Synthetic;
