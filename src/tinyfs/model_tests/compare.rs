//! Compares the tree in a store with the reference at a version: every name, attribute and byte.

use super::Harness;
use super::reference::{Plain, Reference};
use crate::tinyfs::ops::{self, Seek};
use crate::tinyfs::{
    AttrName, ContentId, Extents, MAX_EXTENT, Node, NodeId, Nodes, Store, Version,
};
use std::collections::BTreeSet;
use std::ops::ControlFlow;

/// The files whose bytes are compared. The rest of the tree is always compared.
#[derive(Clone, Copy, Debug)]
pub enum Bytes {
    All,
    Of(u64),
    None,
}

/// Panics if the store differs from the reference at version `at`.
pub fn compare<H: Harness>(harness: &H, at: Version, reference: &Reference, bytes: Bytes) {
    let store = harness.store();
    let mut ids = BTreeSet::new();
    let (first, end) = (NodeId(0), NodeId(u64::MAX));
    let scanned = store.scan::<Nodes>(at, &first, &end, &mut |id, _| {
        ids.insert(id.0);
        ControlFlow::Continue(())
    });
    scanned.unwrap();
    let wanted: BTreeSet<u64> = reference.nodes.keys().copied().collect();
    assert_eq!(ids, wanted, "nodes at {at:?}");
    let mut contents = BTreeSet::new();
    for (id, plain) in &reference.nodes {
        let node = ops::node(store, at, NodeId(*id)).unwrap();
        same_attributes(reference, *id, plain, &node);
        same_entries(store, at, reference, *id, plain);
        same_xattrs(store, at, *id, plain);
        if let Some(content) = node.content {
            assert!(contents.insert(content), "{content:?} is of two files");
        }
        match bytes {
            Bytes::None => {}
            Bytes::Of(one) if one != *id => {}
            _ => same_bytes(harness, at, &node, &plain.data),
        }
    }
}

fn same_attributes(reference: &Reference, id: u64, plain: &Plain, node: &Node) {
    assert_eq!(node.kind, plain.kind, "kind of {id}");
    assert_eq!(node.mode, plain.mode, "mode of {id}");
    assert_eq!((node.uid, node.gid), plain.owner, "owner of {id}");
    assert_eq!(node.rdev, plain.rdev, "device of {id}");
    assert_eq!(node.nlink, reference.nlink(id), "links of {id}");
    let times = [node.atime, node.mtime, node.ctime, node.btime];
    let wanted = [plain.atime, plain.mtime, plain.ctime, plain.btime];
    assert_eq!(times, wanted, "times of {id}");
    assert_eq!(*node.target, *plain.target, "target of {id}");
    assert_eq!(
        node.size as usize,
        plain.data.len() + plain.target.len(),
        "size of {id}"
    );
}

fn same_entries<S: Store>(store: &S, at: Version, reference: &Reference, id: u64, plain: &Plain) {
    let mut listed = Vec::new();
    let list = ops::list(store, at, NodeId(id), None, &mut |name, dentry| {
        assert_eq!(dentry.kind, reference.nodes[&dentry.child.0].kind);
        listed.push((name, dentry.child.0));
        ControlFlow::Continue(())
    });
    list.unwrap();
    let wanted: Vec<_> = plain.entries.clone().into_iter().collect();
    assert_eq!(listed, wanted, "entries of {id} at {at:?}");
    for name in super::names() {
        let found = ops::lookup(store, at, NodeId(id), &name).unwrap();
        let found = found.map(|(child, _)| child.0);
        assert_eq!(
            found,
            plain.entries.get(&name).copied(),
            "{name} in {id} at {at:?}"
        );
    }
    for child in plain.entries.values() {
        if reference.nodes[child].kind == crate::tinyfs::Kind::Directory {
            let node = ops::node(store, at, NodeId(*child)).unwrap();
            assert_eq!(node.parent, Some(NodeId(id)), "parent of {child}");
        }
    }
}

fn same_xattrs<S: Store>(store: &S, at: Version, id: u64, plain: &Plain) {
    let names = ops::list_xattrs(store, at, NodeId(id)).unwrap();
    let wanted: Vec<AttrName> = plain.xattrs.keys().cloned().collect();
    assert_eq!(names, wanted, "attributes of {id} at {at:?}");
    for (name, value) in &plain.xattrs {
        let found = ops::xattr(store, at, NodeId(id), name).unwrap();
        assert_eq!(
            found.as_deref(),
            Some(&value[..]),
            "attribute {name} of {id}"
        );
    }
}

/// Compares the bytes of a file, and checks the invariants of its extents.
fn same_bytes<H: Harness>(harness: &H, at: Version, node: &Node, wanted: &[u8]) {
    let store = harness.store();
    let mut found = vec![0; wanted.len()];
    let mut extents = Vec::new();
    let mut covered = 0;
    if let Some(content) = node.content {
        let (first, end) = ((content, 0), (ContentId(content.0 + 1), 0));
        let scanned = store.scan::<Extents>(at, &first, &end, &mut |(_, start), extent| {
            extents.push((start, extent));
            ControlFlow::Continue(())
        });
        scanned.unwrap();
        let mut free = 0;
        for (start, extent) in &extents {
            assert!(*start >= free, "extents overlap at {start}: {extents:?}");
            assert!(!extent.is_empty() && extent.len() <= u64::from(MAX_EXTENT));
            free = start + extent.len();
            covered += extent.len();
            assert!(
                free <= node.size,
                "an extent ends at {free}, the file at {}",
                node.size
            );
            found[*start as usize..free as usize].copy_from_slice(&harness.bytes(extent));
        }
        assert_eq!(covered, node.allocated, "bytes allocated");
        for (start, end) in [(1, 7), (5, 6), (0, 1), (node.size / 2, node.size)] {
            let part = ops::extents_in(store, at, content, start..end).unwrap();
            let touching = extents
                .iter()
                .filter(|(s, e)| *s < end && s + e.len() > start);
            let touching: Vec<_> = touching.filter(|_| start < end).cloned().collect();
            assert_eq!(part, touching, "extents in {start}..{end} at {at:?}");
        }
    }
    if found != wanted {
        let differs = (0..wanted.len()).find(|i| found[*i] != wanted[*i]).unwrap();
        panic!(
            "byte {differs} is {}, not {}",
            found[differs], wanted[differs]
        );
    }
    for offset in [0, 1, node.size / 2, node.size.saturating_sub(1), node.size] {
        let seek = |what| ops::seek(store, at, node, offset, what).ok();
        let inside = |o: u64| (extents.iter()).any(|(s, e)| (*s..s + e.len()).contains(&o));
        let edges = || extents.iter().flat_map(|(s, e)| [*s, s + e.len()]);
        let candidates = || edges().chain([offset, node.size]).filter(|o| *o >= offset);
        let data = candidates().filter(|o| inside(*o)).min();
        let hole = candidates().filter(|o| !inside(*o)).min();
        let beyond = offset >= node.size;
        assert_eq!(
            seek(Seek::Data),
            data.filter(|_| !beyond),
            "data at {offset}: {extents:?}"
        );
        assert_eq!(
            seek(Seek::Hole),
            hole.filter(|_| !beyond),
            "hole at {offset}: {extents:?}"
        );
    }
}
