//! Derived directories: what resources show, rendered when it is read.
//!
//! Role: what the files `/KIND/NAME.yaml` of a pond show as directories `/KIND/NAME`, at any version. In: a pond, and
//! which file of such a directory is wanted. Out: its bytes, from the cache or made now. Holds always: listing makes
//! nothing; a result is known by the hashes of its recipe and of its inputs' content, never by a time; what is read
//! under a version is made of that version's recipe and inputs; whoever owns a resource reads through it only what
//! they may read themselves.
//!
//! - [`kinds`]: one folder for each kind: its spec, its plan and its recipe.
//! - [`view`], [`plan`]: which files a resource shows. [`node`]: the directories and files.
//! - [`recipes`], [`stored`], [`render`]: making one. [`cache`], [`memory`], [`lease`]: what was made before. [`mark`]:
//!   what stands for the paths of inputs meanwhile.

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
