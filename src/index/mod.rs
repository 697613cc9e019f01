//! The local index: the four maps on an embedded key-value store, with the open version above it.
//!
//! `pond` applies the [`Changes`] of each operation, freezes and journals them on `fsync`, and
//! commits a sealed generation as a version. Readers use it as a [`Store`](crate::tinyfs::Store).
//!
//! Invariants: the index can be rebuilt from the oplog and the journal. What [`Index::journal`]
//! made durable survives a crash, and no operation does without all earlier ones.
//!
//! - [`disk`], [`slot`], [`target`], [`parts`], [`bulk`]: committed entries, the store that holds
//!   them, and writing versions one by one or many at once. Why two keyspaces a map:
//!   [decision 1](../../docs/decisions/0001-present-and-past-keyspaces.md).
//! - [`memtables`], [`journal`]: the memtables of the open version, and their flushed part.
//! - [`trail`], [`stored`]: the history of paths, and stored extents by hash.
//! - [`reads`]: counts entries that are read, in tests.
//! - [`rebuild`], [`clean`]: a second index that replaces this one; damage while it was closed.

mod bulk;
mod clean;
mod cost;
mod disk;
mod error;
mod journal;
mod memtables;
mod parts;
mod reads;
mod rebuild;
mod slot;
mod store;
mod stored;
mod target;
mod trail;

pub use cost::RECORD_WRITES;
pub use disk::VersionInfo;
pub use error::IndexError;
pub use journal::{Damage, Journal};
pub use memtables::{ImmutableMemtable, Run};
#[cfg(test)]
pub(crate) use reads::during as reads_during;
pub use rebuild::Rebuild;
pub use trail::Link;

use crate::limits::Limits;
use crate::tinyfs::ops::Unlinked;
use crate::tinyfs::{
    Changes, ContentId, Dentry, Entries, Extent, Extents, Map, Name, Names, NodeId, Stored,
    Version, describe,
};
use bulk::Bulk;
use journal::Loaded;
use memtables::Memtables;
use parking_lot::RwLock;
use slot::{Replay, Slot};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use uuid::Uuid;

/// The greatest id that an opened pond may have: as many are left to allocate, and can be read.
const MAX_USED_ID: u64 = crate::tinyfs::ID_LIMIT / 2;

/// The index of one pond. All methods may be called from any thread. Those of a flush or a commit,
/// [`Index::freeze`] to [`Index::committed`], must be called by one thread at a time; `pond`
/// serialises them.
pub struct Index {
    disk: Slot,
    journal: Journal,
    memtables: RwLock<Memtables>,
    next_id: AtomicU64,
    /// Number of calls of [`Index::apply`].
    changes: AtomicU64,
}

impl Index {
    /// Opens the index in `dir`, or creates an empty one there, above `journal`.
    ///
    /// Fails with [`IndexError::Foreign`] if the index belongs to another pond or has another
    /// format; then it has to be deleted and rebuilt.
    pub fn open(
        dir: &Path,
        pond: Uuid,
        journal: Journal,
        limits: &Limits,
    ) -> Result<Index, IndexError> {
        let disk = Slot::open(dir, pond, limits)?;
        let next_id = disk.get()?.next_id()?;
        Ok(Index {
            journal,
            memtables: RwLock::new(Memtables::new(next_id)),
            next_id: AtomicU64::new(next_id),
            changes: AtomicU64::new(0),
            disk,
        })
    }

    /// Returns the newest version that is applied in full; `None` for an empty index.
    pub fn applied(&self) -> Result<Option<Version>, IndexError> {
        self.disk.get()?.applied()
    }

    /// Returns the newest version that the index or the journal knows to be committed.
    pub fn known(&self) -> Result<Version, IndexError> {
        let applied = self.applied()?.unwrap_or(Version(0));
        Ok(applied.max(self.journal.known()?))
    }

    /// Restores the open version from the journal. `committed` is the newest generation that the
    /// oplog holds. Must be called once, when all commits are applied.
    ///
    /// If the journal is damaged, everything before the damage is restored, and the damage is
    /// returned: records after it may have been acknowledged by `fsync`.
    pub fn recover(&self, committed: u64) -> Result<Option<Damage>, IndexError> {
        let Loaded {
            generations,
            next_id,
            damage,
            ..
        } = self.journal.load(committed)?;
        let newest = generations.last().map_or(committed + 1, |last| last.0);
        let ids = generations.iter();
        let next_id = ids
            .map(|(_, changes)| disk::next_id_after(changes))
            .fold(next_id, u64::max)
            .max(self.disk.get()?.next_id()?)
            .max(self.next_id.load(Ordering::Relaxed));
        if next_id > MAX_USED_ID + 1 {
            return Err(IndexError::OutOfIds(next_id - 1));
        }
        self.next_id.store(next_id, Ordering::Relaxed);
        *self.memtables.write() = Memtables::recovered(next_id, newest, generations);
        Ok(damage)
    }

    /// Renames the damaged journal files and journals again what was restored of them. Returns the
    /// new names.
    pub fn set_aside(&self, damage: &Damage, known: Version) -> Result<Vec<PathBuf>, IndexError> {
        let moved = self.journal.set_aside(damage)?;
        self.memtables.write().unjournal();
        self.journal(known)?;
        Ok(moved)
    }

    /// Allocates an id that no node and no content has or had.
    pub fn new_id(&self) -> u64 {
        self.next_id.fetch_add(1, Ordering::Relaxed)
    }

    /// Applies the changes of one operation to the open version, atomically. `orphan` is a node
    /// that lost its last name by it and is still open: it stays in memory until
    /// [`Index::drop_orphan`].
    pub fn apply(&self, changes: Changes, orphan: Option<Unlinked>) {
        self.memtables.write().apply(changes, orphan);
        self.changes.fetch_add(1, Ordering::Release);
    }

    /// Begins to watch a file, in place of the one before: until [`Index::apply_watched`] it is
    /// noted whether the node or an extent of `content` changes.
    pub fn watch(&self, id: NodeId, content: ContentId) {
        self.memtables.write().watch(id, content);
    }

    /// Ends the watch, and applies `changes` if neither the node nor an extent has changed since it
    /// began. Returns whether it did. Changes may be prepared so from reads that were made
    /// meanwhile, while other operations went on.
    pub fn apply_watched(&self, changes: Changes) -> bool {
        let applied = self.memtables.write().apply_watched(changes);
        if applied {
            self.changes.fetch_add(1, Ordering::Release);
        }
        applied
    }

    /// Returns the number of operations that were applied since the index was opened.
    pub fn changes(&self) -> u64 {
        self.changes.load(Ordering::Acquire)
    }

    /// Applies a write of `data` at `offset` of `content` in place, if an inline extent of the
    /// memtable holds the range or can grow by it, and returns whether it did. `size` is the size
    /// of the file: an extent that reaches it can grow. The caller must apply the node's new size
    /// and times before the next [`Index::freeze`] or [`Index::seal`]; else the bytes become
    /// durable without them.
    pub fn patch(&self, content: ContentId, offset: u64, data: &[u8], size: u64) -> bool {
        self.memtables.write().patch(content, offset, data, size)
    }

    /// Drops an orphan whose last handle was closed. Calls `is_open` under the write lock: the node
    /// may have been opened again after that close and before its last name was removed.
    pub fn drop_orphan(&self, id: NodeId, is_open: impl FnOnce() -> bool) {
        let mut memtables = self.memtables.write();
        if !is_open() {
            memtables.drop_orphan(id);
        }
    }

    /// Returns the size of the open version.
    pub fn dirty(&self) -> Dirty {
        self.memtables.read().dirty()
    }

    /// Sets the length in bytes up to which an extent stays inline when content is spilled.
    pub fn set_inline_max(&self, bytes: usize) {
        self.memtables.write().inline_max = bytes;
    }

    /// Returns an upper bound of the bytes of the disk that a commit of the open version takes.
    pub fn disk_bytes(&self) -> u64 {
        self.memtables.read().disk_bytes()
    }

    /// Returns the bytes of the disk that the key-value store may take temporarily, to write its
    /// memtables and to compact its largest keyspace.
    pub fn working_space(&self) -> Result<u64, IndexError> {
        Ok(self.disk.get()?.working_space())
    }

    /// Makes the memtable immutable and begins a new one.
    pub fn freeze(&self) {
        self.memtables.write().freeze();
    }

    /// Freezes the memtable and ends the generation: later changes belong to the next one. Returns
    /// the generation that ended.
    pub fn seal(&self) -> u64 {
        // Read under the lock. Otherwise an operation could allocate an id after the read and apply
        // it before the lock is taken, so that the sealed generation had ids above `next_id`.
        let mut memtables = self.memtables.write();
        memtables.seal(self.next_id.load(Ordering::Relaxed))
    }

    /// Returns the immutable memtables whose content is not spilled.
    pub fn unsettled(&self) -> Vec<ImmutableMemtable> {
        self.memtables.read().unsettled()
    }

    /// Returns the extent of the open version that ends at `start`, with its offset.
    pub fn open_extent_before(&self, content: ContentId, start: u64) -> Option<(u64, Extent)> {
        self.memtables.read().extent_before(content, start)
    }

    /// Replaces a run of an immutable memtable by the same bytes in other chunks, unless a newer
    /// memtable has changed an extent in its range: that change refers to the old extents. Returns
    /// the memtable as it then is, and whether the run was replaced.
    pub fn rechunk(&self, frozen: ImmutableMemtable, run: Run) -> (ImmutableMemtable, bool) {
        self.memtables.write().rechunk(frozen, run)
    }

    /// Returns a committed extent whose bytes have `hash`. Logs an error of the store and returns
    /// `None`: the content is then stored again.
    pub fn stored(&self, hash: &[u8; 32]) -> Option<Stored> {
        let found = self.disk.get().and_then(|disk| disk.stored(hash));
        found.unwrap_or_else(|error| {
            tracing::warn!("no content is shared: {}", describe(&error));
            None
        })
    }

    /// Replaces the extents of an immutable memtable by those that were spilled.
    pub fn settle(&self, frozen: ImmutableMemtable, extents: Entries<Extents>) {
        self.memtables.write().settle(frozen, extents);
    }

    /// Returns the contents of removed files that are still open.
    pub fn orphan_contents(&self) -> HashSet<ContentId> {
        self.memtables.read().orphan_contents()
    }

    /// Returns the extents of orphans that changed since their removal, and how many bytes of them
    /// are in memory.
    pub fn orphan_extents(&self) -> (Entries<Extents>, u64) {
        self.memtables.read().orphan_extents()
    }

    /// Replaces the extents of orphans by those that were spilled. No operation may run between
    /// [`Index::orphan_extents`] and this call.
    pub fn settle_orphans(&self, extents: Entries<Extents>) {
        self.memtables.write().settle_orphans(extents);
    }

    /// Returns the bytes of content in immutable memtables that are neither spilled nor journaled.
    pub fn unflushed(&self) -> u64 {
        self.memtables.read().unflushed()
    }

    /// Returns the length of the journal's newest file in bytes.
    pub fn journal_len(&self) -> u64 {
        self.journal.len()
    }

    /// Makes all immutable memtables durable, with one synced write to the journal for each
    /// generation. `known` is the newest version. No spill may run meanwhile.
    pub fn journal(&self, known: Version) -> Result<(), IndexError> {
        let mut pending = self.memtables.read().unjournaled();
        while let Some(first) = pending.first() {
            let generation = first.generation;
            let later = pending
                .iter()
                .position(|memtable| memtable.generation != generation);
            let rest = pending.split_off(later.unwrap_or(pending.len()));
            let next_id = self.next_id.load(Ordering::Relaxed);
            self.journal.write(generation, &pending, next_id, known)?;
            // Marked at once. If a later generation failed and this record were written again, its
            // sequence number would fall between two records of the later one, and leave a gap in
            // its numbers when this generation is forgotten.
            self.memtables.write().journaled(pending);
            pending = rest;
        }
        Ok(())
    }

    /// Returns the oldest generation that is sealed, not empty and not committed.
    pub fn oldest_sealed(&self) -> Option<u64> {
        self.memtables.read().oldest_sealed()
    }

    /// Returns the changes of the generations up to `generation`, without entries that are equal to
    /// the committed ones: the records of a commit.
    pub fn sealed(&self, generation: u64) -> Result<Changes, IndexError> {
        let sealed = self.memtables.read().sealed(generation);
        let mut changes = Changes::default();
        for memtable in sealed.memtables {
            changes.absorb((*memtable).clone());
        }
        // Extents of files that were created and removed since the last commit are left out. Those
        // of orphans are kept: once their memtables are dropped, they are read from the store.
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

    /// Writes a commit to the store: its changes become version `info.version`. Views of earlier
    /// versions do not change.
    pub fn commit(&self, info: &VersionInfo, changes: &Changes) -> Result<(), IndexError> {
        self.disk
            .get()?
            .commit(info, changes, self.next_id.load(Ordering::Relaxed))
    }

    /// Closes the key-value store and opens it again, after [`IndexError::is_stuck`]. `catch_up` is
    /// called with the newest version that the store then has, and must pass it all later ones.
    /// Readers block meanwhile.
    pub fn reopen<E: From<IndexError>>(
        &self,
        catch_up: impl FnOnce(Option<Version>, &mut Replay<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        self.disk
            .reopen(self.next_id.load(Ordering::Relaxed), catch_up)
    }

    /// Drops the generations up to `generation`, which are in a commit or changed nothing.
    pub fn committed(&self, generation: u64) {
        self.memtables.write().committed(generation);
        self.journal.forget(generation);
    }

    /// Begins to apply commits that are read back from the oplog.
    pub fn catch_up(&self) -> CatchUp<'_> {
        CatchUp {
            index: self,
            bulk: Bulk::default(),
        }
    }

    /// Returns the versions in `from..=to`, oldest first.
    pub fn versions(&self, from: Version, to: Version) -> Result<Vec<VersionInfo>, IndexError> {
        self.disk.get()?.versions(from, to)
    }

    /// Returns up to `limit` versions before `end`, newest first.
    pub fn versions_before(
        &self,
        end: Version,
        limit: usize,
    ) -> Result<Vec<VersionInfo>, IndexError> {
        self.disk.get()?.versions_before(end, limit)
    }

    /// Returns the version `back` places before the last one at or before `version`.
    pub fn nth_back(&self, version: Version, back: u64) -> Result<Option<VersionInfo>, IndexError> {
        self.disk.get()?.nth_back(version, back)
    }

    /// Returns the versions after `after` at which the clock read less than at the version before
    /// them, in order.
    pub fn clock_steps(&self, after: Option<Version>) -> Result<Vec<Version>, IndexError> {
        self.disk.get()?.clock_steps(after)
    }

    /// Returns the newest version in the index.
    pub fn latest(&self) -> Result<Option<VersionInfo>, IndexError> {
        self.disk.get()?.latest()
    }

    /// Returns the files that immutable memtables change: node, content, and number of changed
    /// extents.
    pub fn changed_files(&self) -> Vec<(NodeId, ContentId, u64)> {
        // Counts on shared copies, so that the lock is not held meanwhile.
        let memtables = self.open_changes();
        let mut added = HashMap::<ContentId, u64>::new();
        for memtable in &memtables {
            for ((content, _), extent) in &memtable.extents {
                if extent.is_some() {
                    *added.entry(*content).or_default() += 1;
                }
            }
        }
        // The newest memtable decides on each file.
        let mut files = BTreeMap::new();
        for memtable in memtables.iter().rev() {
            for (id, node) in &memtable.nodes {
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

    /// Returns the versions in `from..=to` that changed the content of a file or the subtree of a
    /// directory. The creation of a file is not among them. The root has none.
    pub fn trail(
        &self,
        id: NodeId,
        from: Version,
        to: Version,
    ) -> Result<Vec<Version>, IndexError> {
        self.disk.get()?.trail(id, from, to)
    }

    /// Returns the last version of [`Index::trail`].
    pub fn last_change(
        &self,
        id: NodeId,
        from: Version,
        to: Version,
    ) -> Result<Option<Version>, IndexError> {
        self.disk.get()?.last_change(id, from, to)
    }

    /// Returns all names that a node has or had in committed versions.
    pub fn links(&self, child: NodeId) -> Result<Vec<Link>, IndexError> {
        self.disk.get()?.links(child)
    }

    /// Returns a name that was added to a node in the open version and is still present.
    pub fn open_name_of(&self, child: NodeId) -> Option<(NodeId, Name)> {
        let memtables = self.memtables.read();
        let leads = |value: Option<&Dentry>| value.is_some_and(|dentry| dentry.child == child);
        memtables
            .newest_first()
            .flat_map(|memtable| &memtable.names)
            .filter(|(key, value)| {
                leads(value.as_ref()) && memtables.get::<Names>(key).is_some_and(leads)
            })
            .map(|(key, _)| key.clone())
            .next()
    }

    /// Returns all nodes that a name leads or led to in committed versions, oldest first.
    pub fn name_history(&self, dir: NodeId, name: &Name) -> Result<Vec<Link>, IndexError> {
        self.disk.get()?.name_history(dir, name)
    }

    /// Returns the newest link of a name that had begun by `version`, in committed versions.
    pub fn name_link(
        &self,
        dir: NodeId,
        name: &Name,
        version: Version,
    ) -> Result<Option<Link>, IndexError> {
        self.disk.get()?.name_link(dir, name, version)
    }

    /// Visits all committed entries of a map at version `at`.
    pub fn visit_all<M: Map>(
        &self,
        at: Version,
        visit: &mut dyn FnMut(M::Key, M::Value),
    ) -> Result<(), IndexError> {
        self.disk.get()?.visit_all::<M>(at, visit)
    }

    /// Visits all committed entries of a map, present and past.
    pub fn visit_history<M: Map>(
        &self,
        visit: &mut dyn FnMut(M::Key, M::Value),
    ) -> Result<(), IndexError> {
        self.disk.get()?.visit_history::<M>(visit)
    }

    /// Writes the store's memtables to its tables, so that the next open replays no journal.
    pub fn compact_journal(&self) -> Result<(), IndexError> {
        self.disk.get()?.rotate()
    }

    /// Closes the index. With `in_order`, the next open refuses it if its files have changed
    /// meanwhile. Later reads and writes fail with [`IndexError::Closed`].
    pub fn close(&self, in_order: bool) {
        self.disk.close(in_order);
    }

    /// Returns the changes of all immutable memtables, oldest first.
    pub fn open_changes(&self) -> Vec<std::sync::Arc<Changes>> {
        self.memtables.read().frozen_changes()
    }
}

/// The size of the open version.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dirty {
    /// Changed entries.
    pub entries: u64,
    /// Bytes in memory, content included.
    pub bytes: u64,
    /// Bytes of content in memory that are not spilled.
    pub unsettled: u64,
}

/// Applies commits that are read back from the oplog, in bulk.
pub struct CatchUp<'i> {
    index: &'i Index,
    bulk: Bulk,
}

impl CatchUp<'_> {
    /// Applies one commit, which must be later than all before it.
    pub fn take(&mut self, info: &VersionInfo, changes: &Changes) -> Result<(), IndexError> {
        let known = self.index.next_id.load(Ordering::Relaxed);
        let next_id = disk::next_id_after(changes).max(known);
        self.index.next_id.store(next_id, Ordering::Relaxed);
        let disk = self.index.disk.get()?;
        self.bulk.take(&disk, info, changes, next_id)
    }

    /// Writes all of them. Without this call the index has none of them, or must be rebuilt.
    pub fn finish(self) -> Result<(), IndexError> {
        self.bulk.finish(&*self.index.disk.get()?)?;
        let next_id = self.index.next_id.load(Ordering::Relaxed);
        self.index.memtables.write().raise_born(next_id);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
