//! Working directories: paths relative to a directory, at a version or within an operation.

use super::ops::{self, Caller, NewNode};
use super::path::{self, Last, Tree};
use super::{
    Dentry, Directory, Errno, FsResult, Item, Kind, Name, Node, NodeId, Store, Tx, Version,
};
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;

/// A directory from which paths are resolved. Cheap to clone. It caches no entries, so it always
/// sees what the store sees.
///
/// On a [`Tx`] at [`Version::NOW`] it sees the operation's own changes.
pub struct Wd<'s, S> {
    store: &'s S,
    at: Version,
    here: Place<'s>,
    mounts: Arc<BTreeMap<(NodeId, Name), Arc<dyn Directory<'s> + 's>>>,
}

/// The target of a path.
#[derive(Clone)]
pub enum Place<'s> {
    /// A node of the store.
    Node(NodeId, Node),
    /// A dynamic directory, and the place from which it was entered.
    Dynamic(Arc<dyn Directory<'s> + 's>, Arc<Place<'s>>),
}

impl Place<'_> {
    /// Returns the kind of the node.
    pub fn kind(&self) -> Kind {
        match self {
            Place::Node(_, node) => node.kind,
            Place::Dynamic(..) => Kind::Directory,
        }
    }
}

impl<'s, S: Store> Wd<'s, S> {
    /// Returns the root of the tree at version `at`.
    pub fn root(store: &'s S, at: Version) -> FsResult<Self> {
        Wd::at(store, at, NodeId::ROOT)
    }

    /// Returns the directory `dir` at version `at`. Errors: `ENOENT`, `ENOTDIR`.
    pub fn at(store: &'s S, at: Version, dir: NodeId) -> FsResult<Self> {
        let node = ops::node(store, at, dir)?;
        let wd = Wd {
            store,
            at,
            here: Place::Node(dir, node.clone()),
            mounts: Arc::default(),
        };
        wd.entered(Place::Node(dir, node))
    }

    /// Shows a dynamic directory under `name` in this directory, for this working directory and
    /// those opened from it. It hides a stored entry of that name. Errors: `EROFS` in a dynamic
    /// directory.
    pub fn mount(mut self, name: Name, dir: Arc<dyn Directory<'s> + 's>) -> FsResult<Self> {
        let Place::Node(here, _) = &self.here else {
            return Err(Errno::EROFS.into());
        };
        let mut mounts = (*self.mounts).clone();
        mounts.insert((*here, name), dir);
        self.mounts = Arc::new(mounts);
        Ok(self)
    }

    /// Returns the place of this directory.
    pub fn place(&self) -> &Place<'s> {
        &self.here
    }

    /// Resolves `path` from here. Errors: those of [`walk`](super::walk).
    pub fn open_path(&self, path: &[u8], last: Last) -> FsResult<Place<'s>> {
        path::walk_tree(self, self.here.clone(), path, last)
    }

    /// Returns the directory that `path` leads to.
    pub fn open_dir(&self, path: &[u8]) -> FsResult<Self> {
        self.entered(self.open_path(path, Last::Follow)?)
    }

    /// Returns a place as a working directory. Errors: `ENOTDIR`.
    pub fn entered(&self, place: Place<'s>) -> FsResult<Self> {
        match place.kind() {
            Kind::Directory => Ok(Wd {
                store: self.store,
                at: self.at,
                here: place,
                mounts: self.mounts.clone(),
            }),
            _ => Err(Errno::ENOTDIR.into()),
        }
    }

    /// Returns the place that an entry of this directory leads to.
    pub(super) fn place_of(&self, item: Item<'s>) -> FsResult<Place<'s>> {
        Ok(match item {
            Item::Node(Dentry { child, .. }) => {
                Place::Node(child, ops::node(self.store, self.at, child)?)
            }
            Item::Dynamic(dir) => Place::Dynamic(dir, Arc::new(self.here.clone())),
        })
    }

    fn item(&self, dir: &Place<'s>, name: &Name) -> FsResult<Option<Item<'s>>> {
        match dir {
            Place::Dynamic(dir, _) => dir.get(name),
            Place::Node(id, _) => {
                let key = (*id, name.clone());
                if let Some(mounted) = self.mounts.get(&key) {
                    return Ok(Some(Item::Dynamic(mounted.clone())));
                }
                let dentry = self.store.get::<super::Names>(self.at, &key)?;
                Ok(dentry.map(Item::Node))
            }
        }
    }
}

impl<S> Clone for Wd<'_, S> {
    fn clone(&self) -> Self {
        Wd {
            store: self.store,
            at: self.at,
            here: self.here.clone(),
            mounts: self.mounts.clone(),
        }
    }
}

impl<'s, S: Store + Sync> Directory<'s> for Wd<'s, S> {
    fn get(&self, name: &Name) -> FsResult<Option<Item<'s>>> {
        self.item(&self.here, name)
    }

    fn entries(&self) -> FsResult<Vec<(Name, Item<'s>)>> {
        self.list()
    }
}

impl<'s, S: Store> Wd<'s, S> {
    /// Returns all entries, sorted by name.
    pub fn list(&self) -> FsResult<Vec<(Name, Item<'s>)>> {
        let id = match &self.here {
            Place::Dynamic(dir, _) => return dir.entries(),
            Place::Node(id, _) => *id,
        };
        let mut entries = BTreeMap::new();
        ops::list(self.store, self.at, id, None, &mut |name, dentry| {
            entries.insert(name, Item::Node(dentry));
            ControlFlow::Continue(())
        })?;
        let mounted = self.mounts.range((id, Name::lowest())..);
        for ((_, name), dir) in mounted.take_while(|((dir, _), _)| *dir == id) {
            entries.insert(name.clone(), Item::Dynamic(dir.clone()));
        }
        Ok(entries.into_iter().collect())
    }

    /// Returns what `name` in this directory leads to.
    pub fn entry(&self, name: &Name) -> FsResult<Option<Item<'s>>> {
        self.item(&self.here, name)
    }
}

impl<'s, S: Store> Tree for Wd<'s, S> {
    type Place = Place<'s>;

    fn root(&self) -> FsResult<Place<'s>> {
        let node = ops::node(self.store, self.at, NodeId::ROOT)?;
        Ok(Place::Node(NodeId::ROOT, node))
    }

    fn kind(&self, place: &Place<'s>) -> Kind {
        place.kind()
    }

    fn up(&self, place: &Place<'s>) -> FsResult<Place<'s>> {
        match place {
            Place::Dynamic(_, above) => Ok((**above).clone()),
            Place::Node(_, node) => {
                let parent = node.parent.ok_or(Errno::ENOTDIR)?;
                Ok(Place::Node(parent, ops::node(self.store, self.at, parent)?))
            }
        }
    }

    fn child(&self, place: &Place<'s>, name: &Name) -> FsResult<Option<Place<'s>>> {
        match self.item(place, name)? {
            Some(item) => self.entered(place.clone())?.place_of(item).map(Some),
            None => Ok(None),
        }
    }

    fn target(&self, place: &Place<'s>) -> FsResult<Vec<u8>> {
        match place {
            Place::Node(_, node) => Ok(node.target.to_vec()),
            Place::Dynamic(..) => Err(Errno::EINVAL.into()),
        }
    }
}

/// Creates a node at `path`, relative to directory `dir`, as part of an operation.
///
/// Errors: those of [`walk`](super::walk) and [`ops::create`]; `EEXIST` if the path does not end in
/// a name; `ENOENT` if a slash follows the name of a node that is not to be a directory.
pub fn create_path<S: Store>(
    tx: &mut Tx<'_, S>,
    caller: &Caller,
    dir: NodeId,
    path: &[u8],
    id: NodeId,
    new: &NewNode<'_>,
) -> FsResult<Node> {
    let (parent, name, slash) = path::split(path)?;
    let (parent, _) = path::walk(tx, Version::NOW, dir, parent, Last::Follow)?;
    if slash && new.kind != Kind::Directory {
        return Err(Errno::ENOENT.into());
    }
    ops::create(tx, caller, parent, &name, id, new)
}
