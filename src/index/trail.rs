//! The history of a path: which versions changed it, and which names a node had.
//!
//! Two keyspaces, written with every version and rebuilt with the index ([decision
//! 8](../../docs/decisions/0008-path-history-in-the-index.md)):
//! - *links*: child, directory, name, a zero byte, begun → ended, or all ones while the name still
//!   leads to the node. Numbers in keys are big-endian, in values little-endian.
//! - *trail*: node, version → empty, or [`GONE`]. The version changed a file's content, or anything
//!   below a directory. The creation of a file is in *links* only. The root has no entries, since
//!   every version changes it.

use super::IndexError;
use super::disk::{CUT, Disk, past_key, past_prefix, split_past_key, u64_at_start};
use super::reads;
use crate::tinyfs::{Map, MapId, Name, Names, NodeId, Version};

/// Value of a link that has not ended.
pub(super) const STANDS: [u8; 8] = u64::MAX.to_le_bytes();

/// Value of a version that removed the directory. Such a version is not part of its history.
pub(super) const GONE: &[u8] = &[1];

/// An interval of versions in which a name led to a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// The node.
    pub child: NodeId,
    /// The directory.
    pub dir: NodeId,
    /// Its name in the directory.
    pub name: Name,
    /// First version of the interval.
    pub begun: Version,
    /// First version after the interval; [`Version::NOW`] if the name still leads to the node.
    pub ended: Version,
}

impl Link {
    /// Returns whether `version` is in the interval.
    pub fn stands_at(&self, version: Version) -> bool {
        self.begun <= version && (version < self.ended || self.ended == Version::NOW)
    }
}

/// A decoded key of *links*.
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
    /// Returns the versions in `from..=to` that changed the content of a file or the subtree of a
    /// directory.
    pub(super) fn trail(
        &self,
        id: NodeId,
        from: Version,
        to: Version,
    ) -> Result<Vec<Version>, IndexError> {
        let mut found = Vec::new();
        for guard in self.trail.range(trail_key(id, from)..=trail_key(id, to)) {
            reads::note();
            let (key, value) = guard.into_inner()?;
            let version = key.last_chunk().ok_or(CUT)?;
            if *value != *GONE {
                found.push(Version(u64::from_be_bytes(*version)));
            }
        }
        Ok(found)
    }

    /// Returns the last version of [`Disk::trail`], if there is one.
    pub(super) fn last_change(
        &self,
        id: NodeId,
        from: Version,
        to: Version,
    ) -> Result<Option<Version>, IndexError> {
        let range = trail_key(id, from)..=trail_key(id, to);
        for guard in self.trail.range(range).rev() {
            reads::note();
            let (key, value) = guard.into_inner()?;
            let version = key.last_chunk().ok_or(CUT)?;
            if *value != *GONE {
                return Ok(Some(Version(u64::from_be_bytes(*version))));
            }
        }
        Ok(None)
    }

    /// Returns all committed names of a node, present and past, by directory, name and time.
    pub(super) fn links(&self, child: NodeId) -> Result<Vec<Link>, IndexError> {
        let mut found = Vec::new();
        for guard in self
            .links
            .range(links_from(child)..links_from(NodeId(child.0.saturating_add(1))))
        {
            reads::note();
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

    /// Returns all nodes that a name leads or led to in committed versions, oldest first.
    pub(super) fn name_history(&self, dir: NodeId, name: &Name) -> Result<Vec<Link>, IndexError> {
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
            found.push(past_link(guard, dir, name)?);
        }
        if let Some(entry) = fjall::Readable::get(&snapshot, self.present(MapId::Names), &bytes)? {
            found.push(link(dir, name, &entry, u64::MAX)?);
        }
        Ok(found)
    }

    /// Returns the newest link of a name that had begun by `version`. Reads at most three entries,
    /// however many links there are.
    pub(super) fn name_link(
        &self,
        dir: NodeId,
        name: &Name,
        version: Version,
    ) -> Result<Option<Link>, IndexError> {
        let mut bytes = Vec::with_capacity(64);
        Names::encode_key(&(dir, name.clone()), &mut bytes);
        let snapshot = self.snapshot();
        reads::note();
        if let Some(entry) = fjall::Readable::get(&snapshot, self.present(MapId::Names), &bytes)? {
            let present = link(dir, name, &entry, u64::MAX)?;
            if present.begun <= version {
                return Ok(Some(present));
            }
        }
        let past = |ended| past_key(MapId::Names, &bytes, ended);
        // The intervals are disjoint, so only the first that ends after `version` can hold it.
        let later = past(version.0.saturating_add(1))..=past(u64::MAX);
        if let Some(guard) = fjall::Readable::range(&snapshot, &self.past, later).next() {
            let found = past_link(guard, dir, name)?;
            if found.begun <= version {
                return Ok(Some(found));
            }
        }
        let earlier = past(0)..=past(version.0);
        let mut earlier = fjall::Readable::range(&snapshot, &self.past, earlier).rev();
        let last = earlier.next();
        last.map(|guard| past_link(guard, dir, name)).transpose()
    }
}

fn past_link(guard: fjall::Guard, dir: NodeId, name: &Name) -> Result<Link, IndexError> {
    reads::note();
    let (key, entry) = guard.into_inner()?;
    let (_, ended) = split_past_key(&key)?;
    link(dir, name, &entry, ended)
}

/// Decodes an entry of *names*, present or past, as a link.
fn link(dir: NodeId, name: &Name, entry: &[u8], ended: u64) -> Result<Link, IndexError> {
    let (begun, value) = u64_at_start(entry)?;
    Ok(Link {
        child: Names::decode_value(value)?.child,
        dir,
        name: name.clone(),
        begun: Version(begun),
        ended: Version(ended),
    })
}
