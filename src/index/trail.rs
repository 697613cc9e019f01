//! When what changed, and who had which name: what a history of one path is made of.
//!
//! Two keyspaces, filled with every version and made anew with the index:
//! - *links*: child, directory, name, a zero byte, begun → ended (all numbers but the last big-endian): each
//!   time that a name led to a node, until `ended`, or all ones where it still does.
//! - *trail*: node, version → nothing, or that the directory is gone: a version that changed a file's content, or anything below a directory.
//!   The making of a file is told by its name. The root has no trail: every version changes it.

use super::IndexError;
use super::disk::{CUT, Disk, past_prefix, split_past_key, u64_at_start};
use crate::tinyfs::{Map, MapId, Name, Names, NodeId, Version};

/// The end of a link that still stands.
pub(super) const STANDS: [u8; 8] = u64::MAX.to_le_bytes();

/// Stands at a version that removed a directory, which is no version of it.
pub(super) const GONE: &[u8] = &[1];

/// A name that leads or led to a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// The node.
    pub child: NodeId,
    /// The directory.
    pub dir: NodeId,
    /// Its name there.
    pub name: Name,
    /// The first version in which it did.
    pub begun: Version,
    /// The first version in which it did no more; [`Version::NOW`] where it still does.
    pub ended: Version,
}

impl Link {
    /// Whether it stood at a version.
    pub fn stands_at(&self, version: Version) -> bool {
        self.begun <= version && (version < self.ended || self.ended == Version::NOW)
    }
}

/// The key of a link without its end.
pub(super) struct Head {
    pub(super) child: NodeId,
    pub(super) dir: NodeId,
    name: Name,
    begun: u64,
}

pub(super) fn links_from(child: NodeId) -> [u8; 8] {
    child.0.to_be_bytes()
}

pub(super) fn link_key(child: NodeId, dir: NodeId, name: &Name, begun: u64) -> Vec<u8> {
    let mut key = links_from(child).to_vec();
    key.extend_from_slice(&dir.0.to_be_bytes());
    key.extend_from_slice(name.as_bytes());
    key.push(0);
    key.extend_from_slice(&begun.to_be_bytes());
    key
}

pub(super) fn split_link(key: &[u8]) -> Result<Head, IndexError> {
    let (child, rest) = key.split_first_chunk().ok_or(CUT)?;
    let (rest, begun) = rest.split_last_chunk().ok_or(CUT)?;
    let (_, name) = rest.split_last().ok_or(CUT)?;
    let (dir, name) = Names::decode_key(name)?;
    Ok(Head {
        child: NodeId(u64::from_be_bytes(*child)),
        dir,
        name,
        begun: u64::from_be_bytes(*begun),
    })
}

pub(super) fn trail_key(id: NodeId, version: Version) -> [u8; 16] {
    let mut key = [0; 16];
    let (first, second) = key.split_at_mut(8);
    first.copy_from_slice(&id.0.to_be_bytes());
    second.copy_from_slice(&version.0.to_be_bytes());
    key
}

impl Disk {
    /// The versions in `from..=to` that changed the content of a file or the subtree of a directory.
    pub(super) fn trail(
        &self,
        id: NodeId,
        from: Version,
        to: Version,
    ) -> Result<Vec<Version>, IndexError> {
        let mut found = Vec::new();
        for guard in self.trail.range(trail_key(id, from)..=trail_key(id, to)) {
            let (key, value) = guard.into_inner()?;
            let version = key.last_chunk().ok_or(CUT)?;
            if *value != *GONE {
                found.push(Version(u64::from_be_bytes(*version)));
            }
        }
        Ok(found)
    }

    /// The last such version, and whether there is one.
    pub(super) fn last_change(
        &self,
        id: NodeId,
        from: Version,
        to: Version,
    ) -> Result<Option<Version>, IndexError> {
        let range = trail_key(id, from)..=trail_key(id, to);
        for guard in self.trail.range(range).rev() {
            let (key, value) = guard.into_inner()?;
            let version = key.last_chunk().ok_or(CUT)?;
            if *value != *GONE {
                return Ok(Some(Version(u64::from_be_bytes(*version))));
            }
        }
        Ok(None)
    }

    /// All names that a node has and had in what is committed, by directory and name, and then by time.
    pub(super) fn links(&self, child: NodeId) -> Result<Vec<Link>, IndexError> {
        let mut found = Vec::new();
        for guard in self
            .links
            .range(links_from(child)..links_from(NodeId(child.0 + 1)))
        {
            let (key, ended) = guard.into_inner()?;
            let head = split_link(&key)?;
            found.push(Link {
                child: head.child,
                dir: head.dir,
                name: head.name,
                begun: Version(head.begun),
                ended: Version(u64_at_start(&ended)?.0),
            });
        }
        Ok(found)
    }

    /// All nodes that a name in a directory leads and led to in what is committed, the oldest first.
    pub(super) fn name_history(&self, dir: NodeId, name: &Name) -> Result<Vec<Link>, IndexError> {
        let link = |begun: u64, ended: u64, value: &[u8]| -> Result<Link, IndexError> {
            Ok(Link {
                child: Names::decode_value(value)?.child,
                dir,
                name: name.clone(),
                begun: Version(begun),
                ended: Version(ended),
            })
        };
        let mut bytes = Vec::with_capacity(64);
        Names::encode_key(&(dir, name.clone()), &mut bytes);
        let snapshot = self.snapshot();
        let (mut from, mut to) = (
            past_prefix(MapId::Names, &bytes),
            past_prefix(MapId::Names, &bytes),
        );
        from.push(0);
        to.push(1);
        let mut found = Vec::new();
        for guard in fjall::Readable::range(&snapshot, &self.past, from..to) {
            let (key, entry) = guard.into_inner()?;
            let (_, ended) = split_past_key(&key)?;
            let (begun, value) = u64_at_start(&entry)?;
            found.push(link(begun, ended, value)?);
        }
        if let Some(entry) = fjall::Readable::get(&snapshot, self.present(MapId::Names), &bytes)? {
            let (begun, value) = u64_at_start(&entry)?;
            found.push(link(begun, u64::MAX, value)?);
        }
        Ok(found)
    }
}
