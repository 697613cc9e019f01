//! Restores what a name led to at a version, with everything below it, in place of the present
//! entry.
//!
//! Nodes keep their ids, so that their history continues. This holds for nodes that were removed,
//! moved within the subtree or changed. A node that is now outside the subtree, or removed and
//! still open, stays as it is; a copy with a new id is restored instead.
//!
//! Content is shared with the past, never copied.

use super::{Unlinked, directory, extents_in, holder, xattrs};
use crate::tinyfs::{
    Attrs, ContentId, Dentry, Errno, Extents, FsResult, Kind, Links, Name, Names, Node, NodeId,
    Nodes, Store, Time, Tx, Version, own_links,
};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

/// What a restoration changed, so that the caller can invalidate caches.
#[derive(Debug, Default)]
pub struct Restored {
    /// Names that lead to another node now, or to none.
    pub names: Vec<(NodeId, Name)>,
    /// Nodes that changed.
    pub nodes: Vec<NodeId>,
    /// Nodes that lost their last name.
    pub unlinked: Vec<Unlinked>,
    /// Whether versions or paths of the past were forgotten.
    pub past: bool,
}

impl Restored {
    /// Returns whether nothing changed.
    pub fn is_nothing(&self) -> bool {
        self.names.is_empty() && self.nodes.is_empty()
    }
}

/// A subtree at a version: its names, and the nodes that they lead to.
#[derive(Default)]
struct Subtree {
    names: BTreeMap<(NodeId, Name), NodeId>,
    nodes: BTreeMap<NodeId, Node>,
}

impl Subtree {
    /// Collects what `name` in `dir` leads to at version `at`, and everything below it.
    fn of<S: Store>(store: &S, at: Version, dir: NodeId, name: &Name) -> FsResult<Subtree> {
        let mut subtree = Subtree::default();
        if let Some(dentry) = store.get::<Names>(at, &(dir, name.clone()))? {
            subtree.names.insert((dir, name.clone()), dentry.child);
            subtree.add(store, at, dentry.child)?;
        }
        Ok(subtree)
    }

    /// Adds a node and everything below it.
    fn add<S: Store>(&mut self, store: &S, at: Version, id: NodeId) -> FsResult<()> {
        let mut waiting = vec![id];
        while let Some(id) = waiting.pop() {
            if self.nodes.contains_key(&id) {
                continue;
            }
            let node = super::node(store, at, id)?;
            if node.is_dir() {
                super::list(store, at, id, None, &mut |name, dentry| {
                    self.names.insert((id, name), dentry.child);
                    waiting.push(dentry.child);
                    ControlFlow::Continue(())
                })?;
            }
            self.nodes.insert(id, node);
        }
        Ok(())
    }

    /// Counts the names, as links of their nodes. The link counts of past nodes may be wrong, in
    /// ponds whose history was rewritten by earlier versions of this program.
    fn links(&self) -> Links {
        let mut links = Links::default();
        for ((dir, _), child) in &self.names {
            if let Some(node) = self.nodes.get(child) {
                let (child, kind) = (*child, node.kind);
                links.add(*dir, &Dentry { child, kind });
            }
        }
        links
    }
}

/// Where a subtree is restored.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// The directory that contains it now.
    pub dir: NodeId,
    /// The directory that contained it at the version: another node, if the path was reused.
    pub dir_then: NodeId,
    /// The name in that directory.
    pub name: &'a Name,
}

/// Restores what is at `place` to its state at version `at`; without a place, the whole tree.
/// `is_open` returns whether a node is open, `fresh` returns unused ids.
///
/// Errors: `ENOENT` if nothing is there now and nothing was there at the version; `ENOTDIR`.
pub fn restore<S: Store>(
    tx: &mut Tx<'_, S>,
    now: Time,
    place: Option<Place<'_>>,
    at: Version,
    is_open: impl Fn(NodeId) -> bool,
    fresh: impl FnMut() -> u64,
) -> FsResult<Restored> {
    let store = tx.store();
    let (past, live) = match place {
        Some(Place {
            dir,
            dir_then,
            name,
        }) => {
            holder(tx, dir)?;
            let past = Subtree::of(store, at, dir_then, name)?;
            (past, Subtree::of(store, Version::NOW, dir, name)?)
        }
        None => {
            let mut both = [Subtree::default(), Subtree::default()];
            let [past, live] = &mut both;
            past.add(store, at, NodeId::ROOT)?;
            live.add(store, Version::NOW, NodeId::ROOT)?;
            let [past, live] = both;
            (past, live)
        }
    };
    if past.names.is_empty() && live.names.is_empty() && place.is_some() {
        return Err(Errno::ENOENT.into());
    }
    let mut work = Work {
        tx,
        now,
        at,
        comes_as: BTreeMap::new(),
        restored: Restored::default(),
    };
    work.choose_ids(&past, &live, is_open, fresh)?;
    work.names(&past, &live, place)?;
    work.nodes(&past, &live, place)?;
    Ok(work.restored)
}

struct Work<'t, 's, S> {
    tx: &'t mut Tx<'s, S>,
    now: Time,
    at: Version,
    /// The id under which each node of the past is restored.
    comes_as: BTreeMap<NodeId, NodeId>,
    restored: Restored,
}

impl<S: Store> Work<'_, '_, S> {
    fn choose_ids(
        &mut self,
        past: &Subtree,
        live: &Subtree,
        is_open: impl Fn(NodeId) -> bool,
        mut fresh: impl FnMut() -> u64,
    ) -> FsResult<()> {
        for id in past.nodes.keys() {
            let free = match live.nodes.contains_key(id) {
                true => true,
                false => self.tx.get::<Nodes>(id)?.is_none() && !is_open(*id),
            };
            let id_now = if free { *id } else { NodeId(fresh()) };
            self.comes_as.insert(*id, id_now);
        }
        Ok(())
    }

    fn came_as(&self, id: NodeId) -> NodeId {
        self.comes_as.get(&id).copied().unwrap_or(id)
    }

    fn names(&mut self, past: &Subtree, live: &Subtree, place: Option<Place<'_>>) -> FsResult<()> {
        let mut wanted = BTreeMap::new();
        for ((dir, name), child) in &past.names {
            // The directory around the subtree is not part of it and keeps its id.
            let dir = match place {
                Some(place) if place.dir_then == *dir && place.name == name => place.dir,
                _ => self.came_as(*dir),
            };
            let Some(kind) = past.nodes.get(child).map(|node| node.kind) else {
                continue;
            };
            let child = self.came_as(*child);
            wanted.insert((dir, name.clone()), Dentry { child, kind });
        }
        for key in live.names.keys().filter(|key| !wanted.contains_key(key)) {
            self.tx.remove::<Names>(key.clone());
            self.restored.names.push(key.clone());
        }
        for (key, dentry) in wanted {
            if live.names.get(&key) != Some(&dentry.child) {
                self.tx.put::<Names>(key.clone(), dentry);
                self.restored.names.push(key);
            }
        }
        Ok(())
    }

    fn nodes(&mut self, past: &Subtree, live: &Subtree, place: Option<Place<'_>>) -> FsResult<()> {
        let (links, links_now) = (past.links(), live.links());
        for (id, node) in &past.nodes {
            let id_now = self.came_as(*id);
            let before = live.nodes.get(&id_now);
            let mut wanted = node.clone();
            wanted.parent = node
                .parent
                .map(|parent| match past.nodes.contains_key(&parent) {
                    true => self.came_as(parent),
                    // The root of the subtree gets the directory at which it is restored.
                    false => place.map_or(parent, |place| place.dir),
                });
            let inside = links.apply(*id, own_links(*id, node.kind));
            let outside = match before.filter(|_| !node.is_dir()) {
                Some(before) => before.nlink.saturating_sub(links_now.apply(id_now, 0)),
                None => 0,
            };
            wanted.nlink = inside.saturating_add(outside);
            let content = self.content(*id, id_now, node.content)?;
            wanted.content = content.0;
            let attrs = self.attrs(*id, id_now)?;
            let same = before.is_some_and(|before| {
                let compared = Node {
                    atime: before.atime,
                    ctime: before.ctime,
                    ..wanted.clone()
                };
                compared == *before
            });
            if !same || content.1 || attrs {
                wanted.ctime = self.now;
                self.tx.put::<Nodes>(id_now, wanted);
                self.restored.nodes.push(id_now);
            }
        }
        let back: BTreeSet<NodeId> = self.comes_as.values().copied().collect();
        for (id, node) in live.nodes.iter().filter(|(id, _)| !back.contains(id)) {
            self.drop(*id, node, links_now.apply(*id, 0))?;
        }
        self.around(past, live, place)
    }

    /// Removes the names that a live node has in the subtree, if the node is not restored. The node
    /// goes with its last name.
    fn drop(&mut self, id: NodeId, node: &Node, names: u32) -> FsResult<()> {
        let mut node = node.clone();
        node.ctime = self.now;
        node.nlink = match node.is_dir() {
            true => 0,
            false => node.nlink.saturating_sub(names),
        };
        self.restored.nodes.push(id);
        if node.nlink > 0 {
            self.tx.put::<Nodes>(id, node);
            return Ok(());
        }
        let attrs = xattrs(self.tx, Version::NOW, id)?;
        for (name, _) in &attrs {
            self.tx.remove::<Attrs>((id, name.clone()));
        }
        self.tx.remove::<Nodes>(id);
        self.restored.unlinked.push(Unlinked { id, node, attrs });
        Ok(())
    }

    /// Updates the directory around the subtree if a name in it changed.
    fn around(&mut self, past: &Subtree, live: &Subtree, place: Option<Place<'_>>) -> FsResult<()> {
        let Some(Place { dir, dir_then, .. }) = place else {
            return Ok(());
        };
        if !self.restored.names.iter().any(|(of, _)| *of == dir) {
            return Ok(());
        }
        let mut node = directory(self.tx, dir)?;
        let is_dir = |subtree: &Subtree, dir: NodeId| {
            let child = subtree.names.iter().find(|((of, _), _)| *of == dir);
            let child = child.and_then(|(_, child)| subtree.nodes.get(child));
            u32::from(child.is_some_and(|node| node.kind == Kind::Directory))
        };
        node.nlink = (node.nlink + is_dir(past, dir_then)).saturating_sub(is_dir(live, dir));
        (node.mtime, node.ctime) = (self.now, self.now);
        self.tx.put::<Nodes>(dir, node);
        self.restored.nodes.push(dir);
        Ok(())
    }

    /// Restores the content of a node. Returns its content id, and whether anything changed.
    fn content(
        &mut self,
        id: NodeId,
        id_now: NodeId,
        then: Option<ContentId>,
    ) -> FsResult<(Option<ContentId>, bool)> {
        let Some(then) = then else {
            return Ok((None, false));
        };
        // A copy has its own content id, drawn from the same sequence as the node id.
        let now = match id == id_now {
            true => then,
            false => ContentId(id_now.0),
        };
        let wanted: BTreeMap<_, _> = extents_in(self.tx.store(), self.at, then, 0..u64::MAX)?
            .into_iter()
            .collect();
        let there: BTreeMap<_, _> = match id == id_now {
            true => extents_in(self.tx.store(), Version::NOW, now, 0..u64::MAX)?
                .into_iter()
                .collect(),
            false => BTreeMap::new(),
        };
        let mut changed = false;
        for start in there.keys().filter(|start| !wanted.contains_key(start)) {
            self.tx.remove::<Extents>((now, *start));
            changed = true;
        }
        for (start, extent) in wanted {
            if there.get(&start) != Some(&extent) {
                self.tx.put::<Extents>((now, start), extent);
                changed = true;
            }
        }
        Ok((Some(now), changed))
    }

    /// Restores the attributes of a node. Returns whether any changed.
    fn attrs(&mut self, id: NodeId, id_now: NodeId) -> FsResult<bool> {
        let wanted: BTreeMap<_, _> = xattrs(self.tx.store(), self.at, id)?.into_iter().collect();
        let there: BTreeMap<_, _> = xattrs(self.tx.store(), Version::NOW, id_now)?
            .into_iter()
            .collect();
        let mut changed = false;
        for name in there.keys().filter(|name| !wanted.contains_key(*name)) {
            self.tx.remove::<Attrs>((id_now, name.clone()));
            changed = true;
        }
        for (name, value) in wanted {
            if there.get(&name) != Some(&value) {
                self.tx.put::<Attrs>((id_now, name), value);
                changed = true;
            }
        }
        Ok(changed)
    }
}
