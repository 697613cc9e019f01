//! The tree: POSIX semantics as pure functions over four versioned maps.
//!
//! Role: decide what a file system operation changes. In: a [`Store`] to look things up in, at a
//! version, and the arguments of the operation. Out: a set of [`Changes`] to apply as one, or an
//! [`Errno`]. Holds always: no I/O, no clock, no async, no global state; names are bytes; a failed
//! operation changes nothing.
//!
//! The maps are [`Nodes`], [`Names`], [`Extents`] and [`Attrs`]; a read names the version it is
//! asked at, and [`Version::NOW`] is the present.

mod changes;
mod codec;
mod directory;
mod error;
mod extent;
mod glob;
#[cfg(test)]
mod glob_tests;
mod id;
mod map;
mod matching;
mod memory;
#[cfg(test)]
pub(crate) mod model_tests;
mod name;
mod node;
pub mod ops;
mod path;
mod store;
mod tiers;
mod time;
mod visit;
mod wd;
#[cfg(test)]
mod wd_tests;

pub use changes::{Changes, Entries};
pub use codec::Malformed;
pub use directory::{Directory, Item};
pub use error::{Errno, FsError, FsResult, describe};
pub use extent::{Dentry, Extent, MAX_EXTENT, Stored};
pub use glob::{Pattern, PatternError, substitute};
pub use id::{ContentId, NodeId, SegmentId, Version};
pub use map::{Attrs, Entry, Extents, Map, MapId, Names, Nodes};
pub use memory::MemoryStore;
pub use name::{AttrName, MAX_NAME, Name, NameError};
pub use node::{Kind, Node};
pub use path::{Last, split, walk};
pub use store::{Store, Tx};
pub use tiers::first_to_join;
pub use time::Time;
pub use visit::Match;
pub use wd::{Place, Wd, create_path};
