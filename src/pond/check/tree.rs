//! Checks that the maps of one tree agree with each other.

use super::Findings;
use crate::tinyfs::{Changes, ContentId, Links, Node, NodeId, own_links};
use std::collections::{HashMap, HashSet};

/// Returns the live nodes of a tree.
fn nodes(tree: &Changes) -> impl Iterator<Item = (NodeId, &Node)> {
    tree.nodes
        .iter()
        .filter_map(|(id, node)| Some((*id, node.as_ref()?)))
}

pub(super) fn check(tree: &Changes, found: &mut Findings) {
    names(tree, found);
    reachable(tree, found);
    extents(tree, found);
}

/// Checks that names lead to nodes, and that every node has as many names as its link count.
fn names(tree: &Changes, found: &mut Findings) {
    let mut links = Links::default();
    for ((dir, name), dentry) in &tree.names {
        let Some(dentry) = dentry else { continue };
        let node = tree.nodes.get(&dentry.child).and_then(Option::as_ref);
        let parent = found.paths.of(dir.0);
        let path = format!("{}/{name}", parent.trim_end_matches('/'));
        let Some(node) = node else {
            found.add(format!("{path}: there is no node {}", dentry.child));
            continue;
        };
        if node.kind != dentry.kind {
            found.add(format!(
                "{path}: its directory calls it a {:?}, and it is a {:?}",
                dentry.kind, node.kind
            ));
        }
        links.add(*dir, dentry);
        if node.is_dir() && node.parent != Some(*dir) {
            found.add(format!("{path}: it says that it stands elsewhere"));
        }
        if !matches!(tree.nodes.get(dir), Some(Some(parent)) if parent.is_dir()) {
            found.add(format!("{path}: there is no directory {dir}"));
        }
    }
    for (id, node) in nodes(tree) {
        let there = links.apply(id, own_links(id, node.kind));
        if there != node.nlink {
            found.links += 1;
            let path = found.paths.of(id.0);
            let says = node.nlink;
            found.add(format!("{path}: it has {there} links and says {says}"));
        }
    }
    for ((id, name), value) in &tree.attrs {
        let stands = value.is_some() && *id != NodeId::POND;
        if stands && !matches!(tree.nodes.get(id), Some(Some(_))) {
            let path = found.paths.of(id.0);
            found.add(format!(
                "{path}: it has the attribute {name} and is not there"
            ));
        }
    }
}

/// Checks that every directory leads up to the root.
fn reachable(tree: &Changes, found: &mut Findings) {
    let mut known: HashSet<NodeId> = [NodeId::ROOT].into();
    for (id, node) in nodes(tree).filter(|(_, node)| node.is_dir()) {
        let (mut way, mut at, mut up) = (HashSet::from([id]), id, node.parent);
        while !known.contains(&at) {
            let next = up.and_then(|up| Some((up, tree.nodes.get(&up)?.as_ref()?)));
            match next {
                Some((parent, node)) if parent == NodeId::ROOT || way.insert(parent) => {
                    (at, up) = (parent, node.parent);
                }
                _ => {
                    let path = found.paths.of(id.0);
                    found.add(format!("{path}: no way leads from it to the root"));
                    break;
                }
            }
        }
        known.extend(way);
    }
}

/// Checks that extents are disjoint and within their file, and cover the bytes that it counts.
fn extents(tree: &Changes, found: &mut Findings) {
    let mut covered: HashMap<ContentId, (u64, u64)> = HashMap::new();
    let mut last = (ContentId(0), 0);
    for ((content, start), extent) in &tree.extents {
        let Some(extent) = extent else { continue };
        let end = start.saturating_add(extent.len());
        if last.0 == *content && *start < last.1 {
            let path = found.paths.of(content.0);
            found.add(format!("{path}: two extents overlap at offset {start}"));
        }
        last = (*content, end);
        let (bytes, upto) = covered.entry(*content).or_default();
        (*bytes, *upto) = (*bytes + extent.len(), end);
    }
    // Content without a file is garbage, not a problem.
    for (id, node) in nodes(tree).filter(|(_, node)| node.is_file()) {
        let content = node.content.unwrap_or(ContentId(0));
        let (bytes, upto) = covered.get(&content).copied().unwrap_or_default();
        if bytes != node.allocated {
            let (path, says) = (found.paths.of(id.0), node.allocated);
            found.add(format!(
                "{path}: its extents cover {bytes} bytes, and it says {says}"
            ));
        }
        if upto > node.size {
            let (path, size) = (found.paths.of(id.0), node.size);
            found.add(format!(
                "{path}: its content reaches beyond its {size} bytes"
            ));
        }
    }
}
