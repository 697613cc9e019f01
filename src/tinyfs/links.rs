//! Link counts, derived from names: the correct `st_nlink`.
//!
//! Operations that change names in bulk (a restoration, an undo, a rewrite of history) derive the
//! link counts of the nodes from them here, and `check` compares.

use super::{Dentry, Kind, NodeId};
use std::collections::BTreeMap;

/// Returns the links that a node has without any name: a directory has `.`, and the root `..` too.
pub fn own_links(id: NodeId, kind: Kind) -> u32 {
    match (id, kind) {
        (NodeId::ROOT, _) => 2,
        (_, Kind::Directory) => 1,
        _ => 0,
    }
}

/// The links that each node gains or loses by a change of names.
#[derive(Debug, Default)]
pub struct Links(BTreeMap<NodeId, i64>);

impl Links {
    /// Counts a name in directory `dir` that is added.
    pub fn add(&mut self, dir: NodeId, dentry: &Dentry) {
        self.count(dir, dentry, 1);
    }

    /// Counts a name in directory `dir` that is removed.
    pub fn remove(&mut self, dir: NodeId, dentry: &Dentry) {
        self.count(dir, dentry, -1);
    }

    fn count(&mut self, dir: NodeId, dentry: &Dentry, links: i64) {
        *self.0.entry(dentry.child).or_default() += links;
        if dentry.kind == Kind::Directory {
            *self.0.entry(dir).or_default() += links;
        }
    }

    /// Returns the link count of a node after the change, from `links` before it.
    pub fn apply(&self, id: NodeId, links: u32) -> u32 {
        let gained = self.0.get(&id).copied().unwrap_or_default();
        let links = i64::from(links).saturating_add(gained);
        u32::try_from(links.max(0)).unwrap_or(u32::MAX)
    }

    /// Returns the nodes whose names changed.
    pub fn nodes(&self) -> impl Iterator<Item = NodeId> {
        self.0.keys().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_has_its_name_itself_and_its_subdirectories() {
        let (dir, sub, file) = (NodeId(5), NodeId(6), NodeId(7));
        let entry = |child, kind| Dentry { child, kind };
        let mut links = Links::default();
        links.add(NodeId::ROOT, &entry(dir, Kind::Directory));
        links.add(dir, &entry(sub, Kind::Directory));
        links.add(dir, &entry(file, Kind::File));
        links.add(sub, &entry(file, Kind::File));
        let count = |links: &Links, id, kind| links.apply(id, own_links(id, kind));
        assert_eq!(count(&links, NodeId::ROOT, Kind::Directory), 3);
        assert_eq!(count(&links, dir, Kind::Directory), 3);
        assert_eq!(count(&links, sub, Kind::Directory), 2);
        assert_eq!(count(&links, file, Kind::File), 2);
        links.remove(dir, &entry(file, Kind::File));
        links.remove(dir, &entry(sub, Kind::Directory));
        assert_eq!(count(&links, dir, Kind::Directory), 2);
        assert_eq!(count(&links, file, Kind::File), 1);
    }
}
