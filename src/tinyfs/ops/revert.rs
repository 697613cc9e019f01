//! Reverts a set of changes, and nothing else: the inverse of a version.
//!
//! A node that the changes removed is restored under its id, so that its history continues. If it
//! is still open, the open node stays as it is, and a copy is restored. Content is shared with the
//! past, never copied. The cost grows with the changes, not with the tree.

use super::remove::is_empty;
use super::{Unlinked, extents_in, xattrs};
use crate::tinyfs::ops::Restored;
use crate::tinyfs::{
    AttrName, Attrs, Changes, ContentId, Errno, Extents, FsResult, Links, Names, Node, NodeId,
    Nodes, Store, Time, Tx, Version, own_links,
};
use std::collections::{BTreeMap, BTreeSet};

/// The changes to revert.
#[derive(Clone, Copy, Debug)]
pub struct Reverted<'a> {
    /// The version before the changes.
    pub since: Version,
    /// The changes since then. The present is that version with these changes, except for times of
    /// access.
    pub changes: &'a Changes,
    /// Nodes that stay as they are, even if the changes concern them.
    pub kept: &'a BTreeSet<NodeId>,
}

impl Reverted<'_> {
    /// Returns whether any of the changes is visible: more than access times and attributes of the
    /// pond.
    pub fn is_visible<S: Store>(&self, store: &S) -> FsResult<bool> {
        let named = self.changes.names.iter().any(|((dir, _), dentry)| {
            let child = dentry.as_ref().map(|dentry| dentry.child);
            !self.kept.contains(dir) && !child.is_some_and(|child| self.kept.contains(&child))
        });
        if named {
            return Ok(true);
        }
        for (id, now) in self
            .changes
            .nodes
            .iter()
            .filter(|(id, _)| !self.kept.contains(id))
        {
            let then = store.get::<Nodes>(self.since, id)?;
            let same = match (&then, now) {
                (Some(then), Some(now)) => is_same(
                    then,
                    &Node {
                        nlink: then.nlink,
                        ..now.clone()
                    },
                ),
                (then, now) => then.is_none() && now.is_none(),
            };
            if !same {
                return Ok(true);
            }
        }
        let mut attrs = self.changes.attrs.keys().map(|(id, _)| *id);
        Ok(attrs.any(|id| id != NodeId::POND && !self.kept.contains(&id)))
    }
}

/// Reverts changes. `is_open` returns whether a node is open, `fresh` returns unused ids.
///
/// Errors: `EBUSY` if a directory to be removed holds a kept node, or a kept node has a name that a
/// restored node needs.
pub fn revert<S: Store>(
    tx: &mut Tx<'_, S>,
    now: Time,
    what: Reverted<'_>,
    is_open: impl Fn(NodeId) -> bool,
    fresh: impl FnMut() -> u64,
) -> FsResult<Restored> {
    let mut work = Work {
        tx,
        now,
        what,
        comes_as: BTreeMap::new(),
        gained: Links::default(),
        restored: Restored::default(),
    };
    work.choose_ids(is_open, fresh)?;
    work.names()?;
    work.nodes()?;
    Ok(work.restored)
}

struct Work<'t, 's, 'c, S> {
    tx: &'t mut Tx<'s, S>,
    now: Time,
    what: Reverted<'c>,
    /// The ids of the copies of removed nodes.
    comes_as: BTreeMap<NodeId, NodeId>,
    gained: Links,
    restored: Restored,
}

impl<'c, S: Store> Work<'_, '_, 'c, S> {
    /// Returns the nodes that were changed and are not kept.
    fn changed(&self) -> impl Iterator<Item = NodeId> + use<'c, S> {
        let Reverted { changes, kept, .. } = self.what;
        let ids = changes.nodes.keys().copied();
        ids.filter(move |id| !kept.contains(id))
    }

    fn then(&self, id: NodeId) -> FsResult<Option<Node>> {
        self.tx.store().get::<Nodes>(self.what.since, &id)
    }

    /// Returns a node if it has a name now.
    fn live(&self, id: NodeId) -> FsResult<Option<Node>> {
        let node = self.tx.get::<Nodes>(&id)?;
        Ok(node.filter(|node| node.nlink > 0))
    }

    fn came_as(&self, id: NodeId) -> NodeId {
        self.comes_as.get(&id).copied().unwrap_or(id)
    }

    fn choose_ids(
        &mut self,
        is_open: impl Fn(NodeId) -> bool,
        mut fresh: impl FnMut() -> u64,
    ) -> FsResult<()> {
        for id in self.changed() {
            if self.live(id)?.is_some() || self.then(id)?.is_none() {
                continue;
            }
            if is_open(id) || self.tx.get::<Nodes>(&id)?.is_some() {
                self.comes_as.insert(id, NodeId(fresh()));
            }
        }
        Ok(())
    }

    fn names(&mut self) -> FsResult<()> {
        let Reverted {
            since,
            changes,
            kept,
        } = self.what;
        for key in changes.names.keys().filter(|(dir, _)| !kept.contains(dir)) {
            let then = self.tx.store().get::<Names>(since, key)?;
            let now = self.tx.store().get::<Names>(Version::NOW, key)?;
            if let Some(now) = now.filter(|now| kept.contains(&now.child)) {
                match then.is_none_or(|then| then.child == now.child) {
                    true => continue,
                    false => return Err(Errno::EBUSY.into()),
                }
            }
            let mut then = then;
            if let Some(then) = &mut then {
                then.child = self.came_as(then.child);
            }
            // A directory that is restored as a copy is empty now.
            let key_then = (self.came_as(key.0), key.1.clone());
            if key_then == *key && then == now {
                continue;
            }
            if let Some(now) = &now {
                self.gained.remove(key.0, now);
                self.tx.remove::<Names>(key.clone());
                self.restored.names.push(key.clone());
            }
            if let Some(then) = then {
                self.gained.add(key_then.0, &then);
                if now.is_none() || key_then != *key {
                    self.restored.names.push(key_then.clone());
                }
                self.tx.put::<Names>(key_then, then);
            }
        }
        Ok(())
    }

    fn nodes(&mut self) -> FsResult<()> {
        let mut gone = Vec::new();
        for id in self.changed() {
            match (self.then(id)?, self.live(id)?) {
                (Some(then), live) => self.bring_back(id, then, live)?,
                (None, Some(live)) => gone.push((id, live)),
                (None, None) => {}
            }
        }
        // Nodes that did not change themselves, but whose names did.
        let named: Vec<NodeId> = self.gained.nodes().collect();
        for id in named {
            let is_new = self.comes_as.values().any(|copy| *copy == id);
            if is_new || self.what.changes.nodes.contains_key(&id) && !self.what.kept.contains(&id)
            {
                continue;
            }
            if let Some(mut node) = self.live(id)? {
                node.nlink = self.gained.apply(id, node.nlink);
                self.tx.put::<Nodes>(id, node);
                self.restored.nodes.push(id);
            }
        }
        for (id, node) in gone {
            self.take_away(id, node)?;
        }
        Ok(())
    }

    /// Restores a node to its earlier state.
    fn bring_back(&mut self, id: NodeId, then: Node, live: Option<Node>) -> FsResult<()> {
        let id_now = self.came_as(id);
        let own = own_links(id_now, then.kind);
        let links = live.as_ref().map_or(own, |live| live.nlink);
        let links = self.gained.apply(id_now, links);
        if links == 0 || links == own && id_now != NodeId::ROOT {
            return match live {
                // Its name belongs to another node, which is kept.
                Some(_) => Err(Errno::EBUSY.into()),
                None => Ok(()),
            };
        }
        let mut wanted = Node {
            nlink: links,
            parent: then.parent.map(|parent| self.came_as(parent)),
            ..then
        };
        let content = self.content(id, &mut wanted)?;
        let attrs = self.attrs(id)?;
        let same = live.is_some_and(|live| is_same(&wanted, &live));
        if !same || content || attrs {
            wanted.ctime = self.now;
            self.tx.put::<Nodes>(id_now, wanted);
            self.restored.nodes.push(id_now);
        }
        Ok(())
    }

    /// Removes a node that the changes created. Nodes behind names that stay also stay.
    fn take_away(&mut self, id: NodeId, mut node: Node) -> FsResult<()> {
        node.nlink = self.gained.apply(id, node.nlink);
        node.ctime = self.now;
        self.restored.nodes.push(id);
        if node.is_dir() && !is_empty(self.tx, id)? {
            return Err(Errno::EBUSY.into());
        }
        if node.nlink > own_links(id, node.kind) {
            self.tx.put::<Nodes>(id, node);
            return Ok(());
        }
        node.nlink = 0;
        let attrs = xattrs(self.tx, Version::NOW, id)?;
        for (name, _) in &attrs {
            self.tx.remove::<Attrs>((id, name.clone()));
        }
        self.tx.remove::<Nodes>(id);
        self.restored.unlinked.push(Unlinked { id, node, attrs });
        Ok(())
    }

    /// Restores the content of a node to `wanted`. Returns whether it differed.
    fn content(&mut self, id: NodeId, wanted: &mut Node) -> FsResult<bool> {
        let Some(content) = wanted.content else {
            return Ok(false);
        };
        let Reverted { since, changes, .. } = self.what;
        let mut changed = false;
        match self.came_as(id) {
            same if same == id => {
                let runs = (content, 0)..=(content, u64::MAX);
                for key in changes.extents.range(runs).map(|(key, _)| key) {
                    let then = self.tx.store().get::<Extents>(since, key)?;
                    if then == self.tx.get::<Extents>(key)? {
                        continue;
                    }
                    changed = true;
                    match then {
                        Some(extent) => self.tx.put::<Extents>(*key, extent),
                        None => self.tx.remove::<Extents>(*key),
                    }
                }
            }
            // A copy has its own content id, drawn from the same sequence as the node id.
            copy => {
                let own = ContentId(copy.0);
                for (start, extent) in extents_in(self.tx.store(), since, content, 0..u64::MAX)? {
                    self.tx.put::<Extents>((own, start), extent);
                }
                wanted.content = Some(own);
            }
        }
        Ok(changed)
    }

    /// Restores the attributes of a node. Returns whether any differed.
    fn attrs(&mut self, id: NodeId) -> FsResult<bool> {
        let Reverted { since, changes, .. } = self.what;
        let id_now = self.came_as(id);
        if id_now != id {
            for (name, value) in xattrs(self.tx.store(), since, id)? {
                self.tx.put::<Attrs>((id_now, name), value);
            }
            return Ok(false);
        }
        let mut changed = false;
        let of_node = (id, AttrName::lowest())..(NodeId(id.0 + 1), AttrName::lowest());
        for key in changes.attrs.range(of_node).map(|(key, _)| key) {
            let then = self.tx.store().get::<Attrs>(since, key)?;
            if then == self.tx.get::<Attrs>(key)? {
                continue;
            }
            changed = true;
            match then {
                Some(value) => self.tx.put::<Attrs>(key.clone(), value),
                None => self.tx.remove::<Attrs>(key.clone()),
            }
        }
        Ok(changed)
    }
}

/// Returns whether two states of a node differ in nothing but the times that an access changes.
fn is_same(wanted: &Node, there: &Node) -> bool {
    let compared = Node {
        atime: there.atime,
        ctime: there.ctime,
        ..wanted.clone()
    };
    compared == *there
}
