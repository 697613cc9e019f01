//! Derives the entries that one version writes to the index.
//!
//! A commit may be split into many batches, and a crash may come between two. So the batch that has
//! an entry also has all that is derived from it: the superseded entry, links, path history, and
//! the location of stored content.
//!
//! Invariant: writing is idempotent. A repeated commit skips the entries that are written.

use super::disk::{META_APPLIED, META_CLOCK, META_NEXT_ID, past_key, step_key, u64_at_start};
use super::stored::stored_value;
use super::target::{KeyspaceId, Target};
use super::trail::{GONE, STANDS, link_key, links_from, split_link, trail_key};
use super::{IndexError, VersionInfo};
use crate::tinyfs::{
    Attrs, Changes, ContentId, Extent, Extents, Kind, Map, Names, Node, NodeId, Nodes, Time,
    Version,
};
use rustc_hash::FxHashSet;

/// Writes the entries of one commit to a [`Target`].
pub(super) struct Parts<'a, T> {
    target: T,
    version: Version,
    changes: &'a Changes,
    /// No earlier version has an entry with this id or a greater one.
    born: u64,
    /// Directories whose path history has this version already.
    touched: FxHashSet<NodeId>,
}

/// The superseded entry, with the version in which it began.
type Old<M> = (u64, <M as Map>::Value);

/// Called with a key, its superseded entry and its new value, to write derived entries.
type Note<P, M> = fn(
    &mut P,
    &<M as Map>::Key,
    Option<Old<M>>,
    Option<&<M as Map>::Value>,
) -> Result<(), IndexError>;

impl<'a, T: Target> Parts<'a, T> {
    pub(super) fn new(
        target: T,
        version: Version,
        changes: &'a Changes,
    ) -> Result<Parts<'a, T>, IndexError> {
        Ok(Parts {
            version,
            changes,
            born: target.born()?,
            touched: FxHashSet::default(),
            target,
        })
    }

    /// Writes all entries. The last batch marks the version as applied.
    pub(super) fn write_all(mut self, info: &VersionInfo, next_id: u64) -> Result<(), IndexError> {
        self.supersede::<Names>(Self::note_link)?;
        // `note_node` reads the links.
        self.target.settle()?;
        self.supersede::<Nodes>(Self::note_node)?;
        self.supersede::<Extents>(|parts, _, _, new| parts.note_stored(new))?;
        self.supersede::<Attrs>(|_, _, _, _| Ok(()))?;
        let mut noted = info.committed.micros().to_le_bytes().to_vec();
        noted.extend_from_slice(&info.changes.to_le_bytes());
        let clock = info.clock.micros().to_le_bytes();
        noted.extend_from_slice(&clock);
        self.put(KeyspaceId::Versions, &self.version.0.to_be_bytes(), &noted)?;
        if let Some(before) = self.target.get(KeyspaceId::Meta, META_CLOCK)?
            && u64_at_start(&before)?.0.cast_signed() > info.clock.micros()
        {
            self.put(KeyspaceId::Meta, &step_key(self.version), &[])?;
        }
        self.put(KeyspaceId::Meta, META_CLOCK, &clock)?;
        self.put(
            KeyspaceId::Meta,
            META_APPLIED,
            &self.version.0.to_le_bytes(),
        )?;
        self.put(KeyspaceId::Meta, META_NEXT_ID, &next_id.to_le_bytes())?;
        self.target.settle()
    }

    fn put(&mut self, id: KeyspaceId, key: &[u8], value: &[u8]) -> Result<(), IndexError> {
        self.target.put(id, key.into(), Some(value.into()))
    }

    /// Writes the changed entries of one map to *present*, and those that they supersede to *past*.
    /// Calls `note` for each key.
    fn supersede<M: Map>(&mut self, note: Note<Self, M>) -> Result<(), IndexError> {
        let (changes, version) = (self.changes, self.version.0);
        let present = KeyspaceId::present(M::ID);
        for (key, value) in M::of(changes) {
            let mut bytes = Vec::with_capacity(64);
            M::encode_key(key, &mut bytes);
            let mut old = None;
            // A new id supersedes nothing. A repeated commit writes the same entry again.
            let before = match M::owner(key) >= self.born {
                true => None,
                false => self.target.get(present, &bytes)?,
            };
            if let Some(entry) = before {
                let (begun, value) = u64_at_start(&entry)?;
                if begun == version {
                    continue;
                }
                if matches!(
                    M::ID,
                    crate::tinyfs::MapId::Nodes | crate::tinyfs::MapId::Names
                ) {
                    old = Some((begun, M::decode_value(value)?));
                }
                let past = past_key(M::ID, &bytes, version);
                self.target
                    .put(KeyspaceId::Past, past.into(), Some(entry))?;
            }
            note(self, key, old, value.as_ref())?;
            let entry = value.as_ref().map(|value| {
                let mut entry = version.to_le_bytes().to_vec();
                M::encode_value(value, &mut entry);
                entry.into()
            });
            self.target.put(present, bytes.into(), entry)?;
            self.target.step()?;
        }
        Ok(())
    }

    /// Ends the link of the node that had the name, and begins that of the node that gets it.
    fn note_link(
        &mut self,
        (dir, name): &<Names as Map>::Key,
        old: Option<Old<Names>>,
        new: Option<&<Names as Map>::Value>,
    ) -> Result<(), IndexError> {
        let version = self.version.0;
        if let Some((begun, old)) = old {
            let key = link_key(old.child, *dir, name, begun);
            self.put(KeyspaceId::Links, &key, &version.to_le_bytes())?;
        }
        if let Some(new) = new {
            let key = link_key(new.child, *dir, name, version);
            self.put(KeyspaceId::Links, &key, &STANDS)?;
        }
        self.touch(*dir)
    }

    /// Adds the version to the history of a changed file and of the directories above it.
    fn note_node(
        &mut self,
        id: &NodeId,
        old: Option<Old<Nodes>>,
        new: Option<&Node>,
    ) -> Result<(), IndexError> {
        let (old, new) = match (old, new) {
            // The name of a new node was handled by `note_link`. A new directory begins its
            // history.
            (None, Some(new)) if new.kind == Kind::Directory => return self.touch(*id),
            (None, _) => return Ok(()),
            // The removal of the name was handled by `note_link`.
            (Some(_), None) => return Ok(()),
            (Some((_, old)), Some(new)) => (old, new),
        };
        if is_only_read(&old, new) {
            return Ok(());
        }
        if new.kind == Kind::Directory {
            return self.touch(*id);
        }
        if self.has_new_content(&old, new) {
            self.put(KeyspaceId::Trail, &trail_key(*id, self.version), &[])?;
        }
        let (from, to) = (links_from(*id), links_from(NodeId(id.0 + 1)));
        for (key, ended) in self.target.range(KeyspaceId::Links, &from..=&to)? {
            if u64_at_start(&ended)?.0 >= self.version.0 {
                self.touch(split_link(&key)?.dir)?;
            }
        }
        Ok(())
    }

    /// Records where the bytes of a stored extent are, unless a location is known.
    fn note_stored(&mut self, new: Option<&Extent>) -> Result<(), IndexError> {
        if let Some(Extent::Stored(stored)) = new
            && self.target.get(KeyspaceId::Stored, &stored.hash)?.is_none()
        {
            self.put(KeyspaceId::Stored, &stored.hash, &stored_value(stored))?;
        }
        Ok(())
    }

    fn has_new_content(&self, old: &Node, new: &Node) -> bool {
        let changed = |content: ContentId| {
            let mut runs = self
                .changes
                .extents
                .range((content, 0)..=(content, u64::MAX));
            runs.next().is_some()
        };
        old.content != new.content || old.size != new.size || new.content.is_some_and(changed)
    }

    /// Adds the version to the history of a directory and of its ancestors, except the root.
    fn touch(&mut self, dir: NodeId) -> Result<(), IndexError> {
        let mut dir = dir;
        while dir != NodeId::ROOT && self.touched.insert(dir) {
            let key = trail_key(dir, self.version);
            let value: &[u8] = match self.changes.get::<Nodes>(&dir) {
                Some(None) => GONE,
                _ => &[],
            };
            self.put(KeyspaceId::Trail, &key, value)?;
            let parent = match self.changes.get::<Nodes>(&dir) {
                Some(Some(node)) => node.parent,
                // A removed directory was in its parent of the version before.
                _ => self.node_before(dir)?.and_then(|node| node.parent),
            };
            let Some(parent) = parent else { break };
            dir = parent;
        }
        Ok(())
    }

    /// Returns a node as it was in the version before.
    fn node_before(&self, id: NodeId) -> Result<Option<Node>, IndexError> {
        let (mut key, version) = (Vec::with_capacity(8), self.version.0);
        Nodes::encode_key(&id, &mut key);
        if let Some(entry) = self.target.get(KeyspaceId::Nodes, &key)? {
            let (begun, value) = u64_at_start(&entry)?;
            if begun < version {
                return Ok(Some(Nodes::decode_value(value)?));
            }
        }
        // Superseded by this version already, if the commit is repeated.
        let past = past_key(Nodes::ID, &key, version);
        let Some(entry) = self.target.get(KeyspaceId::Past, &past)? else {
            return Ok(None);
        };
        Ok(Some(Nodes::decode_value(u64_at_start(&entry)?.1)?))
    }
}

/// Returns whether the access time is the only difference.
fn is_only_read(old: &Node, new: &Node) -> bool {
    let at = |node: &Node| Node {
        atime: Time::default(),
        ..node.clone()
    };
    at(old) == at(new)
}
