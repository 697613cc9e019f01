//! Derived directories: rendered when they are read.
//!
//! Role: renders the resources `/KIND/NAME.yaml` of a pond as directories `/KIND/NAME`, at any
//! version. In: a pond, and a path in such a directory. Out: bytes, from the cache or rendered.
//! Invariants: listing renders nothing; the key of a result is a hash of its recipe and its inputs'
//! content, never a time; a file of a version is rendered from that version's recipe and inputs;
//! the owner of a resource reads through it only what they may read themselves.
//!
//! - [`kinds`]: one folder for each kind: its spec, its plan and its recipe.
//! - [`view`], [`plan`]: which files a resource shows. [`node`]: the directories and files.
//! - [`recipes`], [`stored`], [`render`]: rendering. [`cache`], [`memory`], [`lease`]: earlier
//!   results. [`mark`]: placeholders for the paths of inputs meanwhile.

mod cache;
mod error;
mod kinds;
mod lease;
mod mark;
mod memory;
mod node;
mod plan;
mod recipes;
mod render;
mod stored;
mod view;

pub use cache::Cached;
pub use error::DeriveError;
pub use kinds::KINDS;
#[cfg(test)]
pub(crate) use kinds::{Derive as DeriveSpec, DynamicDir, Reduce};
pub use node::{DerivedFile, Dir, Node};
pub use render::{Derive, Lineage};
pub use view::{View, child, find_dir, owner_of, recipe_file};

#[cfg(test)]
mod tests;
