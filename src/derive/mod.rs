//! Derived directories: resources that render when they are read.
//!
//! Role: what the files `/KIND/NAME.yaml` of a pond show as directories `/KIND/NAME`, at any version. In: a pond, and
//! which file of such a directory is wanted. Out: its bytes, from the cache or made now. Holds always: listing makes
//! nothing; a result is known by the hashes of its recipe and of its inputs' content, never by a time; what is read
//! under a version is made of that version's recipe and inputs; whoever owns a resource reads through it only what
//! they may read themselves.
//!
//! - [`document`], [`spec`]: what files of resources say. [`registry`]: which there are.
//! - [`patterns`], [`view`], [`build`]: which files a resource shows, and of what each is made.
//! - [`stored`], [`make`], [`render`]: making one. [`cache`], [`memory`], [`lease`]: what was made before. [`mark`]: what stands
//!   for the paths of inputs meanwhile.
//! - [`apply`]: putting resources into a pond.
//! - [`template`], [`picture`], [`chart`], [`wave`]: what is not a question about rows alone.

mod apply;
mod build;
mod cache;
pub mod chart;
mod document;
mod duration;
mod error;
mod inline;
mod lease;
mod make;
mod mark;
mod memory;
mod node;
mod patterns;
mod picture;
mod registry;
mod render;
pub mod spec;
mod stored;
mod template;
mod view;
mod wave;

pub use apply::{Applied, apply, delete, missing};
pub use cache::Cached;
pub use document::{Document, DocumentError};
pub use error::DeriveError;
pub use inline::inline_templates;
pub use node::{DerivedFile, Dir, Node, Owner};
pub use registry::{ENDING, Overlay, Registry, Resource};
pub use render::{Derive, Lineage};
pub use view::{View, child, find_dir, owner_of, recipe_file};

#[cfg(test)]
mod tests;
