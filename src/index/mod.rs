//! The local index: the four maps on an embedded key-value store, and the open version above them.
//!
//! Role: answer every look-up of the tree, at any version, and take every change. In: sets of
//! [`Changes`](crate::tinyfs::Changes). Out: [`Store`](crate::tinyfs::Store). Holds always: it can be
//! deleted and rebuilt from the oplog and the journal; what [`Index::journal`] was told to keep survives a
//! crash, and nothing of a later operation without all earlier ones.
//!
//! - [`disk`]: committed entries. The newest of each key stands in a keyspace of its own, so that the
//!   present costs one get however long its history is; entries that were superseded stand in
//!   another, by the version that ended them.
//! - [`parts`]: a version on its way to the disk. [`trail`]: when what changed, and under which names.
//!   [`stored`]: where which bytes stand.
//! - [`slot`]: their store, which may have to be opened anew.
//! - [`layers`]: the open version, in memory: the fresh layer that operations change, and frozen ones
//!   below it that are being flushed or committed.
//! - [`journal`]: what of the open version was flushed, in files of its own until it is committed.

mod bulk;
mod clean;
mod disk;
mod error;
mod journal;
mod layers;
mod parts;
mod rebuild;
mod slot;
mod store;
mod stored;
mod target;
mod trail;

pub use disk::VersionInfo;
pub use error::IndexError;
pub use journal::{Damage, Journal};
pub use layers::{Frozen, Run};
pub use rebuild::Rebuild;
pub use trail::Link;

use crate::tinyfs::ops::Unlinked;
use crate::tinyfs::{
    Changes, ContentId, Dentry, Entries, Extent, Extents, Map, Name, Names, NodeId, Stored,
    Version, describe,
};
use bulk::Bulk;
use journal::Loaded;
use layers::Layers;
use parking_lot::RwLock;
use slot::{Replay, Slot};
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use uuid::Uuid;

/// The index of one pond. All methods may be called from any thread; [`Index::freeze`] to
/// [`Index::committed`] by one thread at a time, which the pond sees to.
pub struct Index {
    disk: Slot,
    journal: Journal,
    layers: RwLock<Layers>,
    next_id: AtomicU64,
    /// How often anything was applied.
    changes: AtomicU64,
}

impl Index {
    /// Opens the index in `dir`, or makes an empty one there, over what `journal` holds.
    ///
    /// Errors: [`IndexError::Foreign`] where it belongs to another pond or was written in another
    /// format; then it has to be deleted and rebuilt.
    pub fn open(dir: &Path, pond: Uuid, journal: Journal) -> Result<Index, IndexError> {
        let disk = Slot::open(dir, pond)?;
        let next_id = disk.get()?.next_id()?;
        Ok(Index {
            journal,
            layers: RwLock::new(Layers::new(next_id)),
            next_id: AtomicU64::new(next_id),
            changes: AtomicU64::new(0),
            disk,
        })
    }

    /// The newest version whose changes are all here; `None` in an empty index.
    pub fn applied(&self) -> Result<Option<Version>, IndexError> {
        self.disk.get()?.applied()
    }

    /// The newest version that is known to have been committed.
    pub fn known(&self) -> Result<Version, IndexError> {
        let applied = self.applied()?.unwrap_or(Version(0));
        Ok(applied.max(self.journal.known()?))
    }

    /// Brings back what was flushed and not committed before the last close or crash. `committed` is
    /// the newest generation that the oplog holds. To be called once, when all commits are applied.
    ///
    /// Where the journal is damaged, what stands before the damage is brought back, and the damage is
    /// answered: what comes after it may have been promised.
    pub fn recover(&self, committed: u64) -> Result<Option<Damage>, IndexError> {
        let Loaded {
            generations,
            next_id,
            damage,
            ..
        } = self.journal.load(committed)?;
        let (mut newest, mut changes) = (committed + 1, Changes::default());
        for (generation, more) in generations {
            newest = generation;
            changes.absorb(more);
        }
        let next_id = disk::next_id_after(&changes)
            .max(next_id)
            .max(self.disk.get()?.next_id()?)
            .max(self.next_id.load(Ordering::Relaxed));
        self.next_id.store(next_id, Ordering::Relaxed);
        *self.layers.write() = Layers::recovered(next_id, newest, changes);
        Ok(damage)
    }

    /// Gives the damaged files of the journal other names, and keeps what was brought back of them.
    /// Answers those names.
    pub fn set_aside(&self, damage: &Damage, known: Version) -> Result<Vec<PathBuf>, IndexError> {
        let moved = self.journal.set_aside(damage)?;
        self.layers.write().unjournal();
        self.journal(known)?;
        Ok(moved)
    }

    /// An id that no node and no content has or had.
    pub fn new_id(&self) -> u64 {
        self.next_id.fetch_add(1, Ordering::Relaxed)
    }

    /// Applies one operation to the open version, as one. `orphan` is a node that lost its last name
    /// by it and that somebody has open: it lives on in memory until [`Index::drop_orphan`].
    pub fn apply(&self, changes: Changes, orphan: Option<Unlinked>) {
        self.layers.write().apply(changes, orphan);
        self.changes.fetch_add(1, Ordering::Release);
    }

    /// How often changes were applied since the index was opened.
    pub fn changes(&self) -> u64 {
        self.changes.load(Ordering::Acquire)
    }

    /// Applies a write of `data` at `offset` of `content` where that only grows or overwrites a run
    /// that stands in the fresh layer, and says whether it did. `size` is the file's: a run that
    /// reaches it can grow. What the write changes besides has to be applied before the next
    /// [`Index::freeze`] or [`Index::seal`], or the bytes become durable without their size.
    pub fn patch(&self, content: ContentId, offset: u64, data: &[u8], size: u64) -> bool {
        self.layers.write().patch(content, offset, data, size)
    }

    /// Forgets a removed node that nobody has open any more. Between that and this call it may have been
    /// found once more, opened, and only then removed: `is_open` is asked while nothing can be applied.
    pub fn drop_orphan(&self, id: NodeId, is_open: impl FnOnce() -> bool) {
        let mut layers = self.layers.write();
        if !is_open() {
            layers.drop_orphan(id);
        }
    }

    /// Entries and bytes of the open version that no commit holds yet.
    pub fn dirty(&self) -> Dirty {
        self.layers.read().dirty()
    }

    /// Freezes the fresh layer: what was changed until now is settled, journaled and committed as it
    /// is, and later changes go to a new layer.
    pub fn freeze(&self) {
        self.layers.write().freeze();
    }

    /// Ends a generation: like [`Index::freeze`], and what comes later belongs to the next one.
    /// Answers the generation that ended.
    pub fn seal(&self) -> u64 {
        // Asked under the lock: an id that was given out later may be in what is sealed all the same.
        let mut layers = self.layers.write();
        layers.seal(self.next_id.load(Ordering::Relaxed))
    }

    /// Frozen layers whose content still stands in memory.
    pub fn unsettled(&self) -> Vec<Frozen> {
        self.layers.read().unsettled()
    }

    /// The extent of the open version that ends where `start` is.
    pub fn open_extent_before(&self, content: ContentId, start: u64) -> Option<(u64, Extent)> {
        self.layers.read().extent_before(content, start)
    }

    /// Replaces a run of a frozen layer by the same bytes in other pieces, unless a later layer has changed
    /// something of it: it went by the pieces as they were. Answers the layer as it is then, and whether it did.
    pub fn recut(&self, frozen: Frozen, run: Run) -> (Frozen, bool) {
        self.layers.write().recut(frozen, run)
    }

    /// Where bytes of a hash are stored, by what is committed.
    pub fn stored(&self, hash: &[u8; 32]) -> Option<Stored> {
        let found = self.disk.get().and_then(|disk| disk.stored(hash));
        found.unwrap_or_else(|error| {
            tracing::warn!("nothing is shared: {}", describe(&error));
            None
        })
    }

    /// Replaces the extents of a frozen layer by those that say where its content now stands.
    pub fn settle(&self, frozen: Frozen, extents: Entries<Extents>) {
        self.layers.write().settle(frozen, extents);
    }

    /// The extents that removed nodes changed since, and how many of their bytes stand in memory.
    pub fn orphan_extents(&self) -> (Entries<Extents>, u64) {
        self.layers.read().orphan_extents()
    }

    /// Replaces them by those that say where the content now stands. No operation may run between the
    /// two.
    pub fn settle_orphans(&self, extents: Entries<Extents>) {
        self.layers.write().settle_orphans(extents);
    }

    /// Bytes of content in frozen layers that are neither settled nor journaled.
    pub fn unflushed(&self) -> u64 {
        self.layers.read().unflushed()
    }

    /// Bytes of the journal's newest file.
    pub fn journal_len(&self) -> u64 {
        self.journal.len()
    }

    /// Makes all frozen layers durable, in one synced write to the journal for each generation. `known` is the
    /// newest version. Nobody may settle layers meanwhile.
    pub fn journal(&self, known: Version) -> Result<(), IndexError> {
        let mut pending = self.layers.read().unjournaled();
        while let Some(first) = pending.first() {
            let generation = first.generation;
            let later = pending
                .iter()
                .position(|layer| layer.generation != generation);
            let rest = pending.split_off(later.unwrap_or(pending.len()));
            let next_id = self.next_id.load(Ordering::Relaxed);
            self.journal.write(generation, &pending, next_id, known)?;
            // At once: were it written again because of a later generation that fails, its number would
            // come between two of that one, and be missed when this generation is forgotten.
            self.layers.write().journaled(pending);
            pending = rest;
        }
        Ok(())
    }

    /// What the generations up to `generation` change, less what changes nothing: the records of a
    /// commit.
    pub fn sealed(&self, generation: u64) -> Result<Changes, IndexError> {
        let sealed = self.layers.read().sealed(generation);
        let mut changes = Changes::default();
        for layer in sealed.layers {
            changes.absorb((*layer).clone());
        }
        // Files that came and went since the last commit leave extents behind. Those of files that are
        // still open are read from the index once their layers are gone.
        let mut read = sealed.open_orphans;
        read.extend(
            changes
                .nodes
                .values()
                .flatten()
                .filter_map(|node| node.content),
        );
        let kept = |content: &ContentId| content.0 < sealed.born || read.contains(content);
        changes.extents.retain(|(content, _), _| kept(content));
        self.disk.get()?.drop_unchanged(&mut changes, sealed.born)?;
        Ok(changes)
    }

    /// Notes a commit: its changes become version `info.version`, and readers of earlier versions see
    /// what they saw before.
    pub fn commit(&self, info: &VersionInfo, changes: &Changes) -> Result<(), IndexError> {
        self.disk
            .get()?
            .commit(info, changes, self.next_id.load(Ordering::Relaxed))
    }

    /// Closes the key-value store and opens it anew, after [`IndexError::is_stuck`]. `catch_up` is told the
    /// newest version that it then has, and gives it what was committed later. Who reads waits meanwhile.
    pub fn reopen<E: From<IndexError>>(
        &self,
        catch_up: impl FnOnce(Option<Version>, &mut Replay<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        self.disk
            .reopen(self.next_id.load(Ordering::Relaxed), catch_up)
    }

    /// Lets go of the generations up to `generation`: they are in a commit, or changed nothing.
    pub fn committed(&self, generation: u64) {
        self.layers.write().committed(generation);
        self.journal.forget(generation);
    }

    /// Begins to take in commits read back from the oplog.
    pub fn catch_up(&self) -> CatchUp<'_> {
        CatchUp {
            index: self,
            bulk: Bulk::default(),
        }
    }

    /// The versions in `from..=to`, oldest first.
    pub fn versions(&self, from: Version, to: Version) -> Result<Vec<VersionInfo>, IndexError> {
        self.disk.get()?.versions(from, to)
    }

    /// The version `back` before the last one that is at or before `version`.
    pub fn nth_back(&self, version: Version, back: u64) -> Result<Option<VersionInfo>, IndexError> {
        self.disk.get()?.nth_back(version, back)
    }

    /// The newest version in the index.
    pub fn latest(&self) -> Result<Option<VersionInfo>, IndexError> {
        self.disk.get()?.latest()
    }

    /// The files that frozen layers change, with their contents and how many extents of it are new.
    pub fn changed_files(&self) -> Vec<(NodeId, ContentId, u64)> {
        // Nobody waits for the counting.
        let layers = self.open_changes();
        let mut added = HashMap::<ContentId, u64>::new();
        for layer in &layers {
            for ((content, _), extent) in &layer.extents {
                if extent.is_some() {
                    *added.entry(*content).or_default() += 1;
                }
            }
        }
        // Of each file, what the newest layer says.
        let mut files = BTreeMap::new();
        for layer in layers.iter().rev() {
            for (id, node) in &layer.nodes {
                let file = node.as_ref().filter(|node| node.is_file());
                files
                    .entry(*id)
                    .or_insert(file.and_then(|node| node.content));
            }
        }
        let new_extents = |(id, content): (_, Option<_>)| {
            let content = content?;
            Some((id, content, *added.get(&content)?))
        };
        files.into_iter().filter_map(new_extents).collect()
    }

    /// The versions in `from..=to` that changed the content of a file or the subtree of a directory. The
    /// making of a file is not among them, and the root has none.
    pub fn trail(
        &self,
        id: NodeId,
        from: Version,
        to: Version,
    ) -> Result<Vec<Version>, IndexError> {
        self.disk.get()?.trail(id, from, to)
    }

    /// The last of them.
    pub fn last_change(
        &self,
        id: NodeId,
        from: Version,
        to: Version,
    ) -> Result<Option<Version>, IndexError> {
        self.disk.get()?.last_change(id, from, to)
    }

    /// All names that a node has and had in what is committed.
    pub fn links(&self, child: NodeId) -> Result<Vec<Link>, IndexError> {
        self.disk.get()?.links(child)
    }

    /// A name that a node got since the newest version, and has.
    pub fn open_name_of(&self, child: NodeId) -> Option<(NodeId, Name)> {
        let layers = self.layers.read();
        let leads = |value: Option<&Dentry>| value.is_some_and(|dentry| dentry.child == child);
        layers
            .newest_first()
            .flat_map(|layer| &layer.names)
            .filter(|(key, value)| {
                leads(value.as_ref()) && layers.get::<Names>(key).is_some_and(leads)
            })
            .map(|(key, _)| key.clone())
            .next()
    }

    /// All nodes that a name leads and led to in what is committed, the oldest first.
    pub fn name_history(&self, dir: NodeId, name: &Name) -> Result<Vec<Link>, IndexError> {
        self.disk.get()?.name_history(dir, name)
    }

    /// Visits all committed entries of a map at version `at`.
    pub fn visit_all<M: Map>(
        &self,
        at: Version,
        visit: &mut dyn FnMut(M::Key, M::Value),
    ) -> Result<(), IndexError> {
        self.disk.get()?.visit_all::<M>(at, visit)
    }

    /// Visits all committed entries of a map that stand or ever stood.
    pub fn visit_history<M: Map>(
        &self,
        visit: &mut dyn FnMut(M::Key, M::Value),
    ) -> Result<(), IndexError> {
        self.disk.get()?.visit_history::<M>(visit)
    }

    /// Writes the memory of the key-value store to its tables, so that the next open is quick.
    pub fn compact_journal(&self) -> Result<(), IndexError> {
        self.disk.get()?.rotate()
    }

    /// Closes the index; with `in_order`, what is found when it is opened next has to be what was left. Later reads
    /// and writes fail with [`IndexError::Closed`].
    pub fn close(&self, in_order: bool) {
        self.disk.close(in_order);
    }

    /// The changes that are frozen and in no commit yet.
    pub fn open_changes(&self) -> Vec<std::sync::Arc<Changes>> {
        self.layers.read().frozen_changes()
    }
}

/// How much the open version holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dirty {
    /// Changed entries.
    pub entries: u64,
    /// Bytes in memory, content included.
    pub bytes: u64,
    /// Bytes of content in memory that stand in no segment yet.
    pub unsettled: u64,
}

/// An index that takes in commits read back from the oplog.
pub struct CatchUp<'i> {
    index: &'i Index,
    bulk: Bulk,
}

impl CatchUp<'_> {
    /// Takes in one, later than all before.
    pub fn take(&mut self, info: &VersionInfo, changes: &Changes) -> Result<(), IndexError> {
        let known = self.index.next_id.load(Ordering::Relaxed);
        let next_id = disk::next_id_after(changes).max(known);
        self.index.next_id.store(next_id, Ordering::Relaxed);
        let disk = self.index.disk.get()?;
        self.bulk.take(&disk, info, changes, next_id)
    }

    /// Has them in the index. Without this, it has none of them, or has to be made anew.
    pub fn finish(self) -> Result<(), IndexError> {
        self.bulk.finish(&*self.index.disk.get()?)?;
        let next_id = self.index.next_id.load(Ordering::Relaxed);
        self.index.layers.write().raise_born(next_id);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
