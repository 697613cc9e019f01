//! The kind Scribble: random content, for tests.

mod spec;

pub use spec::Scribble;
