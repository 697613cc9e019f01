//! Finds all nodes that a path ever led to.

use super::slots::Scope;
use crate::index::Link;
use crate::pond::{Pond, PondError};
use crate::tinyfs::{Name, Names, NodeId, Nodes, Version};
use std::collections::{HashMap, HashSet};

/// All that a path led to.
pub(super) struct Found {
    pub(super) scope: Scope,
    /// Present paths of nodes that were at the path once. They are not in the scope.
    pub(super) left: Vec<String>,
    /// The links by which the path led to nodes of the scope.
    pub(super) shown: Vec<Link>,
}

/// All present and past names of each directory, with their nodes.
type Children = HashMap<NodeId, HashSet<(Name, NodeId)>>;

impl Pond {
    /// Returns the nodes that `path` leads and led to, with all that were ever below them.
    pub(super) fn scope_of(&self, path: &[u8]) -> Result<Found, PondError> {
        let mut children: Children = HashMap::new();
        (self.index).visit_history::<Names>(&mut |(dir, name), dentry| {
            children
                .entry(dir)
                .or_default()
                .insert((name, dentry.child));
        })?;
        let mut ends = HashSet::new();
        let mut found = HashSet::from([NodeId::ROOT]);
        for part in path
            .split(|byte| *byte == b'/')
            .filter(|part| !part.is_empty())
        {
            ends.clear();
            let mut next = HashSet::new();
            for dir in found {
                for (name, child) in children.get(&dir).into_iter().flatten() {
                    if name.as_bytes() == part {
                        next.insert(*child);
                        ends.insert((dir, name.clone()));
                    }
                }
            }
            found = next;
        }
        if found.is_empty() || found.contains(&NodeId::ROOT) {
            let path = String::from_utf8_lossy(path);
            return Err(PondError::NoPath(format!("/{path}, now or in any version")));
        }
        let mut waiting: Vec<NodeId> = found.iter().copied().collect();
        while let Some(dir) = waiting.pop() {
            for (_, child) in children.get(&dir).into_iter().flatten() {
                if found.insert(*child) {
                    waiting.push(*child);
                }
            }
        }
        // A node with a name outside the scope leaves the scope, and so do the nodes below it.
        let mut left = Vec::new();
        let mut waiting: Vec<(NodeId, bool)> = found.iter().map(|id| (*id, true)).collect();
        while let Some((id, is_first)) = waiting.pop() {
            let stands = |link: &Link| {
                link.ended == Version::NOW
                    && !found.contains(&link.dir)
                    && !ends.contains(&(link.dir, link.name.clone()))
            };
            if !found.contains(&id) || !self.index.links(id)?.iter().any(stands) {
                continue;
            }
            found.remove(&id);
            if is_first {
                let at = self.path_of(Version::NOW, id).map_err(PondError::Tree)?;
                left.extend(at.map(|at| String::from_utf8_lossy(&at).into_owned()));
            }
            let below = children.get(&id).into_iter().flatten();
            waiting.extend(below.map(|(_, child)| (*child, false)));
        }
        let mut shown = Vec::new();
        for (dir, name) in &ends {
            shown.extend(self.index.name_history(*dir, name)?);
        }
        shown.retain(|link| found.contains(&link.child));
        let newest = self.latest().version;
        let root = self.find(newest, path).map_err(PondError::Tree)?;
        let mut scope = Scope {
            root: root.filter(|root| found.contains(root)),
            nodes: found,
            ..Scope::default()
        };
        self.index.visit_history::<Nodes>(&mut |id, node| {
            if scope.nodes.contains(&id) {
                scope.contents.extend(node.content);
            }
        })?;
        Ok(Found { scope, left, shown })
    }
}
