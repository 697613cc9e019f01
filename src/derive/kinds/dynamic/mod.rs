//! The kind DynamicDir: several derived directories in one.

mod plan;
mod spec;

pub use spec::DynamicDir;
