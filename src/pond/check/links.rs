//! Checks the link counts of every version against its names.
//!
//! [`tree`](super::tree) checks the newest version as a whole. Here each version is checked as the
//! oplog is replayed, at the nodes that it changes or whose names it changes.

use super::{Findings, MOST};
use crate::tinyfs::{Changes, Links, Names, NodeId, Nodes, Version, own_links};
use std::collections::{BTreeSet, HashMap};

/// The number of links of each node, counted from the names of the previous version.
#[derive(Debug, Default)]
pub(super) struct Counts(HashMap<NodeId, u32>);

impl Counts {
    /// Checks the nodes that `version` changes. `before` is the tree of the version before it. With
    /// `tell`, a wrong count is a finding.
    pub(super) fn check(
        &mut self,
        version: Version,
        before: &Changes,
        changes: &Changes,
        tell: bool,
        found: &mut Findings,
    ) {
        let mut gained = Links::default();
        for (key, new) in &changes.names {
            if let Some(Some(old)) = before.get::<Names>(key) {
                gained.remove(key.0, old);
            }
            if let Some(new) = new {
                gained.add(key.0, new);
            }
        }
        let ids: BTreeSet<NodeId> = gained
            .nodes()
            .chain(changes.nodes.keys().copied())
            .collect();
        for id in ids {
            let named = self.0.get(&id).copied().unwrap_or_default();
            let named = gained.apply(id, named);
            match named {
                0 => self.0.remove(&id),
                named => self.0.insert(id, named),
            };
            let node = match changes.get::<Nodes>(&id) {
                Some(changed) => changed,
                None => before.get::<Nodes>(&id).flatten(),
            };
            let Some(node) = node else { continue };
            let links = own_links(id, node.kind).saturating_add(named);
            if links == node.nlink || !tell {
                continue;
            }
            found.links += 1;
            if found.links <= MOST {
                let (path, says) = (found.paths.of(id.0), node.nlink);
                found.add(format!(
                    "{path}: it has {links} links in version {version} and says {says}"
                ));
            }
        }
    }
}
