//! The tree of a resource: directories, and files that are rendered on read.

use super::DeriveError;
use super::recipes::Recipe;
use crate::query::{Format, Hash};
use crate::resource::Owner;
use crate::tinyfs::{Name, NodeId, Version};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

/// An entry of a derived directory.
#[derive(Clone)]
pub enum Node {
    /// A directory.
    Dir(Arc<Dir>),
    /// A file.
    File(Arc<DerivedFile>),
}

/// A derived directory.
pub struct Dir {
    /// Its path.
    pub path: Vec<u8>,
    /// Its entries.
    pub entries: BTreeMap<Name, Node>,
    /// Its owner, and when its content last changed.
    pub owner: Owner,
}

/// A file that is rendered on read.
pub struct DerivedFile {
    /// Its path: the directory of the resource, and the path in it.
    pub path: Vec<u8>,
    /// The version that it is rendered at.
    pub(super) at: Version,
    pub(super) recipe: Arc<dyn Recipe>,
    /// The format of its rows; `None` if it has no rows.
    pub(super) format: Option<Format>,
    pub(super) owner: Owner,
    /// Its key, once it is known.
    pub(super) key: Mutex<Option<Result<Hash, DeriveError>>>,
    /// The key of the result to read if its inputs changed before it was rendered: that of the same
    /// file at a version.
    pub(super) instead: OnceLock<Hash>,
}

impl DerivedFile {
    /// Returns its owner, mode and time.
    pub fn owner(&self) -> Owner {
        self.owner
    }

    /// Returns the same rows in another format.
    pub(super) fn in_format(&self, format: Format, path: Vec<u8>) -> DerivedFile {
        DerivedFile {
            path,
            at: self.at,
            recipe: self.recipe.clone(),
            format: Some(format),
            owner: self.owner,
            key: Mutex::new(None),
            instead: OnceLock::new(),
        }
    }
}

/// An input of a file.
#[derive(Clone)]
pub(super) enum Input {
    /// A file of the pond.
    Stored { path: String, id: NodeId },
    /// A derived file.
    Derived(Arc<DerivedFile>),
}

impl Input {
    pub(super) fn path(&self) -> String {
        match self {
            Input::Stored { path, .. } => path.clone(),
            Input::Derived(file) => String::from_utf8_lossy(&file.path).into_owned(),
        }
    }
}
