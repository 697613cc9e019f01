//! The [`Directory`] trait: a stored or computed directory that can be listed and searched.

use super::{Dentry, FsResult, Kind, Name};
use std::fmt;
use std::sync::Arc;

/// A directory. A computed one is *dynamic*: [`Wd::mount`](super::Wd::mount) shows it in a working
/// directory, where it is walked, listed and globbed like a stored one.
///
/// Both methods return the same results as long as the directory stands for the same version.
pub trait Directory<'s>: Send + Sync {
    /// Returns what `name` leads to, if it exists.
    fn get(&self, name: &Name) -> FsResult<Option<Item<'s>>>;
    /// Returns all entries, sorted by name.
    fn entries(&self) -> FsResult<Vec<(Name, Item<'s>)>>;
}

/// The target of a directory entry.
#[derive(Clone)]
pub enum Item<'s> {
    /// A node of the store.
    Node(Dentry),
    /// A dynamic directory.
    Dynamic(Arc<dyn Directory<'s> + 's>),
}

impl Item<'_> {
    /// Returns the kind that a listing shows.
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
