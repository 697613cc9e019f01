//! The `Directory` trait: what can be listed and looked up in, be it stored or computed.

use super::{Dentry, FsResult, Kind, Name};
use std::fmt;
use std::sync::Arc;

/// A directory. One that is computed is *dynamic*: it can be mounted in a working directory
/// ([`Wd::mount`](super::Wd::mount)) and is walked, listed and globbed as any other.
///
/// Both methods answer the same for as long as the directory stands for one version.
pub trait Directory<'s>: Send + Sync {
    /// What `name` leads to, if it is there.
    fn get(&self, name: &Name) -> FsResult<Option<Item<'s>>>;
    /// All entries, in the order of their names.
    fn entries(&self) -> FsResult<Vec<(Name, Item<'s>)>>;
}

/// What an entry of a directory leads to.
#[derive(Clone)]
pub enum Item<'s> {
    /// A node of the store.
    Node(Dentry),
    /// A dynamic directory.
    Dynamic(Arc<dyn Directory<'s> + 's>),
}

impl Item<'_> {
    /// The kind that a listing shows.
    pub fn kind(&self) -> Kind {
        match self {
            Item::Node(dentry) => dentry.kind,
            Item::Dynamic(_) => Kind::Directory,
        }
    }
}

impl fmt::Debug for Item<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Item::Node(dentry) => dentry.fmt(f),
            Item::Dynamic(_) => f.write_str("a dynamic directory"),
        }
    }
}
