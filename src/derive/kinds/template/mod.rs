//! The kind Template: a text rendered for each file that a pattern matches.

mod make;
mod plan;
mod render;
mod spec;

pub use spec::Template;
