//! POSIX semantics as pure functions over four versioned maps.
//!
//! `pond` calls one function of [`ops`] for each file system operation. The function reads the maps
//! through a [`Store`], at a [`Version`], where [`Version::NOW`] is the present. It returns a set
//! of [`Changes`] to apply atomically, or an [`Errno`].
//!
//! The maps are [`Nodes`], [`Names`], [`Extents`] and [`Attrs`].
//!
//! There is no I/O, no clock, no async code and no global state, so that tests can compare the
//! semantics with a reference. Names are bytes. A failed operation changes nothing.

mod changes;
mod codec;
mod cycle;
mod directory;
mod error;
mod extent;
mod glob;
#[cfg(test)]
mod glob_tests;
mod id;
mod links;
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
pub use codec::{ID_LIMIT, Malformed};
pub use cycle::Cycle;
pub use directory::{Directory, Item};
pub use error::{Errno, FsError, FsResult, describe};
pub use extent::{Dentry, Extent, INLINE_MAX, MAX_EXTENT, Stored};
pub use glob::{Pattern, PatternError, substitute};
pub use id::{ContentId, NodeId, SegmentId, Version};
pub use links::{Links, own_links};
pub use map::{Attrs, Entry, Extents, Map, MapId, Names, Nodes};
pub use memory::MemoryStore;
pub use name::{AttrName, MAX_NAME, Name, NameError};
pub use node::{Kind, Node};
pub use path::{Last, split, walk};
pub use store::{Page, Store, Tx, page_by_scan};
pub use tiers::first_to_join;
pub use time::Time;
pub use visit::Match;
pub use wd::{Place, Wd, create_path};
