//! Maps the numbers of a sequence to nodes, directories and entries that exist at the moment.

use super::Harness;
use super::drive::Run;
use super::names;
use crate::tinyfs::{AttrName, Kind, Name, NodeId};

impl<H: Harness> Run<H> {
    pub(super) fn node(&self, n: u8) -> u64 {
        *self
            .now
            .nodes
            .keys()
            .nth(usize::from(n) % self.now.nodes.len())
            .unwrap()
    }

    /// Returns a directory; for 11 any node, so that errors are tested as well.
    pub(super) fn dir(&self, n: u8) -> u64 {
        if n == 11 {
            return self.node(n);
        }
        let dirs = self
            .now
            .nodes
            .iter()
            .filter(|(_, node)| node.kind == Kind::Directory);
        let dirs: Vec<u64> = dirs.map(|(id, _)| *id).collect();
        dirs[usize::from(n) % dirs.len()]
    }

    /// Returns a file; for 11 any node, so that errors are tested as well.
    pub(super) fn file(&self, n: u8) -> u64 {
        let files = self
            .now
            .nodes
            .iter()
            .filter(|(_, node)| node.kind == Kind::File);
        let files: Vec<u64> = files.map(|(id, _)| *id).collect();
        match files.len() {
            0 => self.node(n),
            _ if n == 11 => self.node(n),
            len => files[usize::from(n) % len],
        }
    }

    pub(super) fn entry(&self, n: u8) -> (u64, Name) {
        let mut all = Vec::new();
        for (id, node) in &self.now.nodes {
            all.extend(node.entries.keys().map(|name| (*id, name.clone())));
        }
        match all.len() {
            0 => (NodeId::ROOT.0, name(n)),
            len => all.swap_remove(usize::from(n) % len),
        }
    }
}

/// Returns one of the attribute names. These may contain bytes that names of entries may not.
pub(super) fn attr_name(n: u8) -> AttrName {
    let names = [&b"user.a"[..], b"user.a/b", b"/", b"\xff"];
    AttrName::new(names[usize::from(n) % 4]).unwrap()
}

pub(super) fn name(n: u8) -> Name {
    names().swap_remove(usize::from(n) % 4)
}
