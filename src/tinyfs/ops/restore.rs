//! The past brought back: what a name led to at a version, with all below it, in the place of what it leads
//! to now.
//!
//! Nodes come back as themselves, so that their past goes on, wherever they are not in use elsewhere: those
//! that were removed, moved or changed within the subtree. What stands outside of it now, or is removed and
//! still open, stays as it is, and a copy comes back. Content is shared with the past, never copied.

use super::{Unlinked, directory, extents_in, xattrs};
use crate::tinyfs::{
    Attrs, ContentId, Dentry, Errno, Extents, FsResult, Kind, Name, Names, Node, NodeId, Nodes,
    Store, Time, Tx, Version,
};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

/// What a restoration changed, for whoever keeps copies.
#[derive(Debug, Default)]
pub struct Restored {
    /// Names that lead elsewhere now, or nowhere.
    pub names: Vec<(NodeId, Name)>,
    /// Nodes that are not what they were.
    pub nodes: Vec<NodeId>,
    /// Nodes that lost their last name.
    pub unlinked: Vec<Unlinked>,
}

impl Restored {
    /// Whether all was as it was.
    pub fn is_nothing(&self) -> bool {
        self.names.is_empty() && self.nodes.is_empty()
    }
}

/// A subtree as it is at a version: its names, and what they lead to.
#[derive(Default)]
struct Subtree {
    names: BTreeMap<(NodeId, Name), NodeId>,
    nodes: BTreeMap<NodeId, Node>,
}

impl Subtree {
    /// What `name` in `dir` leads to at `at`, and everything below.
    fn of<S: Store>(store: &S, at: Version, dir: NodeId, name: &Name) -> FsResult<Subtree> {
        let mut subtree = Subtree::default();
        if let Some(dentry) = store.get::<Names>(at, &(dir, name.clone()))? {
            subtree.names.insert((dir, name.clone()), dentry.child);
            subtree.add(store, at, dentry.child)?;
        }
        Ok(subtree)
    }

    /// A node and everything below.
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

    /// How many of the names lead to each node.
    fn links(&self) -> BTreeMap<NodeId, u32> {
        let mut links = BTreeMap::new();
        for child in self.names.values() {
            *links.entry(*child).or_default() += 1;
        }
        links
    }
}

/// The place of what is brought back.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// The directory that it is in now.
    pub dir: NodeId,
    /// The directory that it was in then, which may be another of that path.
    pub dir_then: NodeId,
    /// Its name.
    pub name: &'a Name,
}

/// Makes what is at `place` as it was at version `at`; the root itself without one.
/// `is_open` tells whether somebody holds on to a node, `fresh` gives ids that nothing has.
///
/// Errors: `ENOENT` where there was nothing then and is nothing now, `ENOTDIR`.
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
            directory(tx, dir)?;
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
    /// The id by which each node of the past comes back.
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
            // The directory around the subtree is no part of it, and stays itself.
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
                    // The root of the subtree comes back where it is asked for.
                    false => place.map_or(parent, |place| place.dir),
                });
            if !node.is_dir() {
                let inside = links.get(id).copied().unwrap_or(0);
                let outside = before.map_or(0, |before| {
                    before.nlink
                        - links_now
                            .get(&id_now)
                            .copied()
                            .unwrap_or(0)
                            .min(before.nlink)
                });
                wanted.nlink = inside + outside;
            }
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
            self.drop(*id, node, links_now.get(id).copied().unwrap_or(0))?;
        }
        self.around(past, live, place)
    }

    /// A node of the live subtree that was not there then loses the names that it has in it.
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

    /// The directory around the subtree, if a name in it changed.
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

    /// Brings the content of a node back. Answers which it is then, and whether it was not so.
    fn content(
        &mut self,
        id: NodeId,
        id_now: NodeId,
        then: Option<ContentId>,
    ) -> FsResult<(Option<ContentId>, bool)> {
        let Some(then) = then else {
            return Ok((None, false));
        };
        // A copy has a content of its own, drawn from the same numbers as the node.
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

    /// Brings the attributes of a node back, and tells whether any was not so.
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
