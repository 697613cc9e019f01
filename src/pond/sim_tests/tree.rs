//! The tree of a version as a value.

use crate::pond::Pond;
use crate::tinyfs::{AttrName, FsResult, Kind, NodeId, Version};
use std::collections::BTreeMap;

/// The node at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    kind: Kind,
    mode: u16,
    links: u32,
    pub(super) bytes: Vec<u8>,
    xattrs: Vec<(AttrName, Vec<u8>)>,
    /// Distinguishes links from copies.
    id: NodeId,
}

pub(super) type Tree = BTreeMap<Vec<u8>, Seen>;

/// Reads a whole tree.
pub(super) fn read(pond: &Pond, at: Version) -> FsResult<Tree> {
    let mut tree = Tree::new();
    let mut todo = vec![(Vec::new(), NodeId::ROOT)];
    while let Some((path, id)) = todo.pop() {
        let node = pond.node(at, id)?;
        if node.is_dir() {
            for (name, dentry) in pond.list(at, id)? {
                let below = [&path[..], b"/", name.as_bytes()].concat();
                todo.push((below, dentry.child));
            }
        }
        let bytes = match node.is_file() {
            true => pond.read(at, id, 0, node.size)?,
            false => Vec::new(),
        };
        let mut xattrs = Vec::new();
        for name in pond.list_xattrs(at, id)? {
            let value = pond.xattr(at, id, &name)?;
            xattrs.push((name, value.map_or_else(Vec::new, |value| value.to_vec())));
        }
        let seen = Seen {
            kind: node.kind,
            mode: node.mode,
            links: node.nlink,
            bytes,
            xattrs,
            id,
        };
        tree.insert(path, seen);
    }
    Ok(tree)
}

/// Returns whether two trees are equal except for node ids: a restored file that is still open
/// becomes a copy.
pub(super) fn alike(a: &Tree, b: &Tree) -> bool {
    let shapes = |tree: &Tree| -> Vec<(Vec<u8>, Seen)> {
        let shape = |(path, seen): (&Vec<u8>, &Seen)| {
            let id = NodeId::ROOT;
            (path.clone(), Seen { id, ..seen.clone() })
        };
        tree.iter().map(shape).collect()
    };
    shapes(a) == shapes(b)
}
