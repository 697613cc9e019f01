//! What a resource shows: directories, and files that are made when they are read.

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
    /// Where it is.
    pub path: Vec<u8>,
    /// What it lists.
    pub entries: BTreeMap<Name, Node>,
    /// Who owns it, and when what is in it was last changed.
    pub owner: Owner,
}

/// A file that is made when it is read.
pub struct DerivedFile {
    /// Where it is: the directory of the resource, and the path in it.
    pub path: Vec<u8>,
    /// The version that it is made at.
    pub(super) at: Version,
    pub(super) recipe: Arc<dyn Recipe>,
    /// The format of rows; of what has none, nothing.
    pub(super) format: Option<Format>,
    pub(super) owner: Owner,
    /// Its key, once it is known.
    pub(super) key: Mutex<Option<Result<Hash, DeriveError>>>,
    /// What is read for it, where its inputs changed before it was made: the same file of a version.
    pub(super) instead: OnceLock<Hash>,
}

impl DerivedFile {
    /// What is told of it besides its content.
    pub fn owner(&self) -> Owner {
        self.owner
    }

    /// The same rows in another format.
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

/// What a file is made of.
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
