//! Finds a path for a finding, where any version has one.

use crate::tinyfs::{Changes, ContentId, Name, NodeId};
use std::collections::HashMap;

/// The depth to which a path is followed: the tree may be damaged.
const DEEP: usize = 512;

/// The newest name of each node, and the node of each content, of all versions.
#[derive(Debug, Default)]
pub(super) struct Paths {
    names: HashMap<NodeId, (NodeId, Name)>,
    contents: HashMap<ContentId, NodeId>,
}

impl Paths {
    /// Adds the names and contents that a version changed.
    pub(super) fn note(&mut self, changes: &Changes) {
        for ((dir, name), dentry) in &changes.names {
            if let Some(dentry) = dentry {
                self.names.insert(dentry.child, (*dir, name.clone()));
            }
        }
        for (id, node) in &changes.nodes {
            if let Some(content) = node.as_ref().and_then(|node| node.content) {
                self.contents.insert(content, *id);
            }
        }
    }

    /// Returns the path of a node, or of the file whose content has this id: node ids and content
    /// ids never coincide.
    pub(super) fn of(&self, id: u64) -> String {
        let node = self.contents.get(&ContentId(id)).copied();
        let mut at = node.unwrap_or(NodeId(id));
        let mut parts = Vec::new();
        while at != NodeId::ROOT && parts.len() < DEEP {
            let Some((dir, name)) = self.names.get(&at) else {
                parts.push(format!("(node {at})"));
                break;
            };
            parts.push(name.to_string());
            at = *dir;
        }
        parts.reverse();
        format!("/{}", parts.join("/"))
    }
}
