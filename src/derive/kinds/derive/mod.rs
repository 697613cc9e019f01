//! The kind Derive: a query on each file that a pattern matches.

mod plan;
mod spec;

pub use spec::Derive;
