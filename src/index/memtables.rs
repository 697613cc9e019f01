//! The open version in memory: a memtable, and immutable memtables below it.
//!
//! Operations change the memtable. A flush, a spill or a commit freezes it. An immutable memtable
//! is *settled* when its content is spilled to segments, *journaled* when it is durable, and
//! dropped when the commit of its generation is on disk. `Index` holds the lock around all of this.
//!
//! Invariant: the entries of an immutable memtable never change. Its extents may be replaced by
//! others that hold the same bytes.
//!
//! Orphans, which are removed nodes that are still open, have a memtable of their own. It is
//! neither journaled nor committed.

use super::Dirty;
use super::cost::{Cost, ENTRY, of_attr, of_name, of_node, payload};
use crate::tinyfs::{
    AttrName, Attrs, Changes, ContentId, Entries, Extent, Extents, INLINE_MAX, Map, NodeId, Nodes,
    ops::{CHUNK, Unlinked},
};
use bytes::{Bytes, BytesMut};
use std::collections::HashSet;
use std::sync::Arc;

/// An immutable memtable, shared with the flush, spill or commit that works on it.
#[derive(Clone, Debug)]
pub struct ImmutableMemtable {
    id: u64,
    /// The generation that it belongs to.
    pub generation: u64,
    /// Its changes.
    pub changes: Arc<Changes>,
    inline: u64,
    payload: u64,
    cost: Cost,
    settled: bool,
    journaled: bool,
}

impl ImmutableMemtable {
    /// Returns whether it is in the journal.
    pub fn is_journaled(&self) -> bool {
        self.journaled
    }
}

/// Consecutive bytes of one content, in chunks.
#[derive(Clone, Debug)]
pub struct Run {
    /// The content.
    pub content: ContentId,
    /// Offset of the first byte in the content.
    pub start: u64,
    /// The chunks, in order.
    pub pieces: Vec<Bytes>,
}

impl Run {
    /// Returns the offset after the last byte.
    pub fn end(&self) -> u64 {
        let len: usize = self.pieces.iter().map(Bytes::len).sum();
        self.start + len as u64
    }
}

#[derive(Default)]
struct ActiveMemtable {
    changes: Changes,
    /// Bytes of inline content in `changes`.
    inline: u64,
    /// Bytes of names, of values of attributes and of targets in `changes`.
    payload: u64,
}

#[derive(Default)]
struct Orphans {
    /// The nodes, and the changes of their content since they lost their last name.
    memtable: ActiveMemtable,
    /// Their content ids.
    contents: HashSet<ContentId>,
}

/// Sealed generations.
pub(super) struct Sealed {
    /// Changes of their memtables, oldest first.
    pub(super) memtables: Vec<Arc<Changes>>,
    /// Content ids of orphans.
    pub(super) open_orphans: HashSet<ContentId>,
    /// No committed entry has this id or a greater one.
    pub(super) born: u64,
}

/// A file of which a change is prepared while operations go on.
struct Watch {
    id: NodeId,
    content: ContentId,
    /// Whether its node or one of its extents was changed or replaced.
    changed: bool,
}

impl Watch {
    fn note(&mut self, changes: &Changes) {
        self.changed |= changes.nodes.contains_key(&self.id);
        self.note_extents(&changes.extents);
    }

    fn note_extents(&mut self, extents: &Entries<Extents>) {
        let mut own = extents.range((self.content, 0)..=(self.content, u64::MAX));
        self.changed |= own.next().is_some();
    }

    fn note_content(&mut self, content: ContentId) {
        self.changed |= content == self.content;
    }
}

pub(super) struct Memtables {
    watch: Option<Watch>,
    orphans: Orphans,
    active: ActiveMemtable,
    /// Oldest first.
    frozen: Vec<ImmutableMemtable>,
    /// The generation of the memtable.
    generation: u64,
    next_frozen: u64,
    /// No committed entry has this id or a greater one.
    born: u64,
    /// A sealed generation, and the value of `born` once it is committed.
    born_at_seal: Vec<(u64, u64)>,
    /// Length in bytes up to which an extent stays inline.
    pub(super) inline_max: usize,
}

impl Memtables {
    pub(super) fn new(next_id: u64) -> Memtables {
        Memtables {
            watch: None,
            orphans: Orphans::default(),
            active: ActiveMemtable::default(),
            frozen: Vec::new(),
            generation: 1,
            next_frozen: 0,
            born: next_id,
            born_at_seal: Vec::new(),
            inline_max: INLINE_MAX,
        }
    }

    /// Builds the open version from the generations that the journal holds, oldest first. The last
    /// one is open again. Those before it stay sealed: each becomes a version of its own.
    pub(super) fn recovered(
        next_id: u64,
        generation: u64,
        generations: Vec<(u64, Changes)>,
    ) -> Memtables {
        let mut memtables = Memtables::new(next_id);
        memtables.generation = generation;
        for (generation, changes) in generations {
            if changes.is_empty() {
                continue;
            }
            let inline = inline_bytes(&changes);
            memtables.frozen.push(ImmutableMemtable {
                id: memtables.next_frozen,
                generation,
                cost: Cost::of(&changes, inline == 0, INLINE_MAX),
                payload: payload(&changes),
                changes: Arc::new(changes),
                inline,
                settled: inline == 0,
                journaled: true,
            });
            memtables.next_frozen += 1;
        }
        memtables
    }

    /// Returns the oldest generation that is sealed, not empty and not committed.
    pub(super) fn oldest_sealed(&self) -> Option<u64> {
        let oldest = self.frozen.first()?.generation;
        (oldest < self.generation).then_some(oldest)
    }

    /// Returns the least id that no committed entry has.
    pub(super) fn born(&self) -> u64 {
        self.born
    }

    /// Records that committed entries have ids below `next_id`.
    pub(super) fn raise_born(&mut self, next_id: u64) {
        self.born = self.born.max(next_id);
    }

    /// Returns the changes of all memtables, newest first.
    pub(super) fn newest_first(&self) -> impl Iterator<Item = &Changes> {
        [&self.orphans.memtable.changes, &self.active.changes]
            .into_iter()
            .chain(self.frozen.iter().rev().map(|frozen| &*frozen.changes))
    }

    /// Returns the open version's entry of a key: nothing, removed, or its value.
    pub(super) fn get<M: Map>(&self, key: &M::Key) -> Option<Option<&M::Value>> {
        self.newest_first()
            .find_map(|memtable| memtable.get::<M>(key))
    }

    /// Watches a file instead of the one before.
    pub(super) fn watch(&mut self, id: NodeId, content: ContentId) {
        self.watch = Some(Watch {
            id,
            content,
            changed: false,
        });
    }

    /// Ends the watch. Applies `changes` and returns true if the file did not change meanwhile.
    pub(super) fn apply_watched(&mut self, changes: Changes) -> bool {
        let is_same = self.watch.take().is_some_and(|watch| !watch.changed);
        if is_same {
            self.apply(changes, None);
        }
        is_same
    }

    pub(super) fn apply(&mut self, mut changes: Changes, orphan: Option<Unlinked>) {
        if let Some(watch) = &mut self.watch {
            watch.note(&changes);
        }
        if !self.orphans.memtable.changes.is_empty() {
            self.orphans.take_from(&mut changes);
        }
        self.active.absorb(changes);
        if let Some(Unlinked { id, node, attrs }) = orphan {
            self.orphans.contents.extend(node.content);
            let mut kept = Changes::default();
            kept.set::<Nodes>(id, Some(node));
            for (name, value) in attrs {
                kept.set::<Attrs>((id, name), Some(value));
            }
            self.orphans.memtable.absorb(kept);
        }
    }

    pub(super) fn patch(
        &mut self,
        content: ContentId,
        offset: u64,
        data: &[u8],
        size: u64,
    ) -> bool {
        if let Some(watch) = &mut self.watch {
            watch.note_content(content);
        }
        match self.orphans.contents.contains(&content) {
            true => self.orphans.memtable.patch(content, offset, data, size),
            false => self.active.patch(content, offset, data, size),
        }
    }

    pub(super) fn drop_orphan(&mut self, id: NodeId) {
        let orphans = &mut self.orphans;
        let Some(Some(node)) = orphans.memtable.changes.nodes.remove(&id) else {
            return;
        };
        orphans.memtable.payload -= node.target.len() as u64;
        if let Some(content) = node.content {
            if let Some(watch) = &mut self.watch {
                watch.note_content(content);
            }
            orphans.contents.remove(&content);
            // No handle can read these any more, so they need not be flushed.
            orphans.memtable.forget(content);
            self.active.forget(content);
        }
        let own = (id, AttrName::lowest())..(NodeId(id.0 + 1), AttrName::lowest());
        let attrs = &mut orphans.memtable.changes.attrs;
        let dropped = attrs.extract_if(own, |_, _| true);
        orphans.memtable.payload -= dropped
            .map(|(key, value)| of_attr((&key, &value)))
            .sum::<u64>();
        if orphans.memtable.changes.nodes.is_empty() {
            self.orphans = Orphans::default();
        }
    }

    /// Returns the contents of removed files that are still open.
    pub(super) fn orphan_contents(&self) -> HashSet<ContentId> {
        self.orphans.contents.clone()
    }

    /// Returns the extents of orphans, and how many bytes of them are in memory.
    pub(super) fn orphan_extents(&self) -> (Entries<Extents>, u64) {
        let memtable = &self.orphans.memtable;
        (memtable.changes.extents.clone(), memtable.inline)
    }

    pub(super) fn settle_orphans(&mut self, extents: Entries<Extents>) {
        if let Some(watch) = &mut self.watch {
            watch.note_extents(&extents);
        }
        let memtable = &mut self.orphans.memtable;
        memtable.changes.extents = extents;
        memtable.inline = inline_bytes(&memtable.changes);
    }

    pub(super) fn dirty(&self) -> Dirty {
        let mut dirty = Dirty::default();
        let active = [&self.active, &self.orphans.memtable];
        let memtables = active
            .into_iter()
            .map(|memtable| (&memtable.changes, memtable.inline, memtable.payload, false));
        let frozen = self
            .frozen
            .iter()
            .map(|f| (&*f.changes, f.inline, f.payload, f.settled));
        for (changes, inline, payload, settled) in memtables.chain(frozen) {
            dirty.entries += changes.len() as u64;
            dirty.bytes += inline + payload + ENTRY * changes.len() as u64;
            dirty.unsettled += if settled { 0 } else { inline };
        }
        dirty.entries -= self.orphans.memtable.changes.len() as u64;
        dirty
    }

    pub(super) fn freeze(&mut self) {
        if self.active.changes.is_empty() {
            return;
        }
        let mut active = std::mem::take(&mut self.active);
        if let Some(watch) = &mut self.watch {
            watch.note_extents(&active.changes.extents);
        }
        // Only the orphans' memtable is above this one, so all other extents may be joined. In an
        // immutable memtable, newer changes refer to the extents as they are.
        active.join(&self.orphans.contents);
        self.frozen.push(ImmutableMemtable {
            id: self.next_frozen,
            generation: self.generation,
            cost: Cost::of(&active.changes, active.inline == 0, self.inline_max),
            changes: Arc::new(active.changes),
            inline: active.inline,
            payload: active.payload,
            settled: active.inline == 0,
            journaled: false,
        });
        self.next_frozen += 1;
    }

    pub(super) fn seal(&mut self, next_id: u64) -> u64 {
        self.freeze();
        let sealed = self.generation;
        self.generation += 1;
        self.born_at_seal.push((sealed, next_id));
        sealed
    }

    pub(super) fn unsettled(&self) -> Vec<ImmutableMemtable> {
        self.select(|frozen| !frozen.settled)
    }

    pub(super) fn unjournaled(&self) -> Vec<ImmutableMemtable> {
        self.select(|frozen| !frozen.journaled)
    }

    /// Returns the bytes of content in immutable memtables that are neither spilled nor journaled.
    pub(super) fn unflushed(&self) -> u64 {
        let unflushed = |frozen: &&ImmutableMemtable| !frozen.settled && !frozen.journaled;
        self.frozen.iter().filter(unflushed).map(|f| f.inline).sum()
    }

    fn select(&self, wanted: impl Fn(&ImmutableMemtable) -> bool) -> Vec<ImmutableMemtable> {
        self.frozen.iter().filter(|f| wanted(f)).cloned().collect()
    }

    pub(super) fn extent_before(&self, content: ContentId, start: u64) -> Option<(u64, Extent)> {
        let before = (content, 0)..(content, start);
        let last = |memtable: &Changes| {
            let mut entries = memtable.extents.range(before.clone());
            entries.rfind(|(_, extent)| extent.is_some()).map(|e| *e.0)
        };
        let key = self.newest_first().filter_map(last).max()?;
        let extent = self.get::<Extents>(&key)??;
        (key.1 + extent.len() == start).then(|| (key.1, extent.clone()))
    }

    pub(super) fn rechunk(
        &mut self,
        mut frozen: ImmutableMemtable,
        run: Run,
    ) -> (ImmutableMemtable, bool) {
        let (content, end) = (run.content, run.end());
        let range = (content, run.start)..(content, end);
        let later = self
            .frozen
            .iter()
            .filter(|memtable| memtable.id > frozen.id);
        let changed_later = [&self.orphans.memtable.changes, &self.active.changes]
            .into_iter()
            .chain(later.map(|memtable| &*memtable.changes))
            .any(|memtable| memtable.extents.range(range.clone()).next().is_some());
        let memtable = self
            .frozen
            .iter_mut()
            .find(|memtable| memtable.id == frozen.id);
        let Some(memtable) = memtable.filter(|_| !changed_later) else {
            return (frozen, false);
        };
        if let Some(watch) = &mut self.watch {
            watch.note_content(content);
        }
        drop(std::mem::take(&mut frozen.changes));
        let extents = &mut Arc::make_mut(&mut memtable.changes).extents;
        // Removal marks, since an older memtable may have entries under these keys.
        for (_, old) in extents.range_mut(range) {
            *old = None;
        }
        let mut at = run.start;
        for piece in run.pieces {
            let len = piece.len() as u64;
            extents.insert((content, at), Some(Extent::Inline(piece)));
            at += len;
        }
        memtable.inline = inline_bytes(&memtable.changes);
        memtable.cost = Cost::of(&memtable.changes, memtable.settled, self.inline_max);
        (memtable.clone(), true)
    }

    pub(super) fn settle(&mut self, frozen: ImmutableMemtable, extents: Entries<Extents>) {
        let id = frozen.id;
        if let Some(watch) = &mut self.watch {
            watch.note_extents(&frozen.changes.extents);
            watch.note_extents(&extents);
        }
        drop(frozen);
        if let Some(memtable) = self.frozen.iter_mut().find(|memtable| memtable.id == id) {
            Arc::make_mut(&mut memtable.changes).extents = extents;
            memtable.inline = inline_bytes(&memtable.changes);
            memtable.settled = true;
            memtable.cost = Cost::of(&memtable.changes, true, self.inline_max);
        }
        self.merge(false);
    }

    /// Returns an upper bound of the bytes of the disk that a commit of the open version takes.
    pub(super) fn disk_bytes(&self) -> u64 {
        let frozen = self.frozen.iter();
        let frozen: u64 = frozen.map(|f| f.cost.disk_bytes(f.journaled)).sum();
        let active = [&self.orphans.memtable, &self.active];
        let active = active.map(|memtable| Cost::of(&memtable.changes, false, self.inline_max));
        frozen
            + active
                .iter()
                .map(|cost| cost.disk_bytes(false))
                .sum::<u64>()
    }

    pub(super) fn frozen_changes(&self) -> Vec<Arc<Changes>> {
        self.frozen.iter().map(|f| f.changes.clone()).collect()
    }

    /// Marks all immutable memtables to be journaled again.
    pub(super) fn unjournal(&mut self) {
        for memtable in &mut self.frozen {
            memtable.journaled = false;
        }
    }

    pub(super) fn journaled(&mut self, memtables: Vec<ImmutableMemtable>) {
        let ids: Vec<u64> = memtables.into_iter().map(|memtable| memtable.id).collect();
        for memtable in &mut self.frozen {
            memtable.journaled |= ids.contains(&memtable.id);
        }
        self.merge(true);
    }

    /// Merges adjacent immutable memtables of one generation and state, so that a look-up visits
    /// few. Those that are not spilled are merged only with `unsettled`: then no spill may be
    /// working on one of them.
    fn merge(&mut self, unsettled: bool) {
        let mut merged: Vec<ImmutableMemtable> = Vec::with_capacity(self.frozen.len());
        for memtable in std::mem::take(&mut self.frozen) {
            match merged.last_mut() {
                Some(below)
                    if below.generation == memtable.generation
                        && below.journaled == memtable.journaled
                        && below.settled == memtable.settled
                        && (below.settled || unsettled) =>
                {
                    let newer = Arc::unwrap_or_clone(memtable.changes);
                    Arc::make_mut(&mut below.changes).absorb(newer);
                    // Overwritten bytes count until the memtable is dropped. That only makes the
                    // next commit come sooner.
                    below.inline += memtable.inline;
                    below.payload += memtable.payload;
                    below.cost.content += memtable.cost.content;
                    below.cost.records += memtable.cost.records;
                }
                _ => merged.push(memtable),
            }
        }
        self.frozen = merged;
    }

    /// Returns the changes of the generations up to `generation`.
    pub(super) fn sealed(&self, generation: u64) -> Sealed {
        let memtables = self.frozen.iter().filter(|f| f.generation <= generation);
        Sealed {
            memtables: memtables.map(|f| f.changes.clone()).collect(),
            open_orphans: self.orphans.contents.clone(),
            born: self.born,
        }
    }

    pub(super) fn committed(&mut self, generation: u64) {
        self.frozen.retain(|f| f.generation > generation);
        for (_, born) in self
            .born_at_seal
            .extract_if(.., |(sealed, _)| *sealed <= generation)
        {
            self.born = self.born.max(born);
        }
    }
}

impl ActiveMemtable {
    fn absorb(&mut self, changes: Changes) {
        let (old, new) = (&self.changes.extents, &changes.extents);
        // The changes of one operation may be many more than those before it.
        let replaced: u64 = match new.len() > old.len() {
            true => (old.iter())
                .filter(|(key, _)| new.contains_key(key))
                .map(|(_, extent)| inline_len(extent))
                .sum(),
            false => new
                .keys()
                .filter_map(|key| old.get(key))
                .map(inline_len)
                .sum(),
        };
        self.inline = self.inline + inline_bytes(&changes) - replaced;
        self.payload += payload(&changes);
        self.payload -= self.payload_replaced_by(&changes);
        self.changes.absorb(changes);
    }

    /// Returns the payload of the entries that `newer` replaces.
    fn payload_replaced_by(&self, newer: &Changes) -> u64 {
        let own = &self.changes;
        let nodes = newer.nodes.keys().filter_map(|id| own.nodes.get(id));
        let names = newer.names.keys().filter(|key| own.names.contains_key(key));
        let attrs = newer.attrs.keys();
        let attrs = attrs.filter_map(|key| own.attrs.get_key_value(key));
        nodes.map(of_node).sum::<u64>()
            + names.map(of_name).sum::<u64>()
            + attrs.map(of_attr).sum::<u64>()
    }

    fn patch(&mut self, content: ContentId, offset: u64, data: &[u8], size: u64) -> bool {
        let mut before = self
            .changes
            .extents
            .range_mut((content, 0)..=(content, offset));
        let Some(((_, start), Some(Extent::Inline(bytes)))) = before.next_back() else {
            return false;
        };
        let skip = offset - start;
        let end = skip + data.len() as u64;
        let len = bytes.len() as u64;
        // Bytes after the run may belong to another extent, unless the file ends with the run.
        let grows = end > len;
        if skip > len || grows && (start + len < size || end > CHUNK - start % CHUNK) {
            return false;
        }
        // In place, unless a reader or a copy shares the buffer.
        let mut buffer = match std::mem::take(bytes).try_into_mut() {
            Ok(buffer) => buffer,
            Err(shared) => BytesMut::from(&shared[..]),
        };
        let (over, more) = data.split_at(data.len().min((len - skip) as usize));
        buffer[skip as usize..skip as usize + over.len()].copy_from_slice(over);
        buffer.extend_from_slice(more);
        *bytes = buffer.freeze();
        self.inline += more.len() as u64;
        true
    }

    /// Joins adjacent inline runs within one [`CHUNK`], except those of the contents in `apart`.
    fn join(&mut self, apart: &HashSet<ContentId>) {
        let mut runs: Vec<((ContentId, u64), Vec<u64>)> = Vec::new();
        let mut last: Option<((ContentId, u64), (ContentId, u64))> = None;
        for (&(content, start), extent) in &self.changes.extents {
            let bytes = match extent {
                // A removal mark says nothing about the bytes around it.
                None => continue,
                Some(_) if apart.contains(&content) => continue,
                Some(Extent::Stored(_)) => {
                    last = None;
                    continue;
                }
                Some(Extent::Inline(bytes)) => bytes,
            };
            let end = start + bytes.len() as u64;
            match last {
                // Copied runs can begin anywhere, so both ends have to be in the same chunk.
                Some((first, upto))
                    if upto == (content, start) && first.1 / CHUNK == (end - 1) / CHUNK =>
                {
                    match runs.last_mut() {
                        Some((key, more)) if *key == first => more.push(start),
                        _ => runs.push((first, vec![start])),
                    }
                    last = Some((first, (content, end)));
                }
                _ => last = Some(((content, start), (content, end))),
            }
        }
        for ((content, first), more) in runs {
            let mut joined = BytesMut::new();
            for start in std::iter::once(first).chain(more) {
                // A removal mark, since an older memtable may have an entry under this key.
                if let Some(Some(Extent::Inline(bytes))) =
                    self.changes.extents.insert((content, start), None)
                {
                    joined.extend_from_slice(&bytes);
                }
            }
            let run = Extent::Inline(joined.freeze());
            self.changes.extents.insert((content, first), Some(run));
        }
    }

    fn forget(&mut self, content: ContentId) {
        let range = (content, 0)..=(content, u64::MAX);
        for (_, extent) in self.changes.extents.extract_if(range, |_, _| true) {
            if let Some(Extent::Inline(bytes)) = extent {
                self.inline -= bytes.len() as u64;
            }
        }
    }
}

impl Orphans {
    /// Moves the changes of orphans from `changes` to their memtable.
    fn take_from(&mut self, changes: &mut Changes) {
        let mut own = Changes::default();
        let nodes = &self.memtable.changes.nodes;
        own.nodes
            .extend(changes.nodes.extract_if(.., |id, _| nodes.contains_key(id)));
        let contents = own.nodes.values().flatten().filter_map(|node| node.content);
        self.contents.extend(contents);
        own.extents.extend(
            changes
                .extents
                .extract_if(.., |key, _| self.contents.contains(&key.0)),
        );
        own.attrs.extend(
            changes
                .attrs
                .extract_if(.., |key, _| nodes.contains_key(&key.0)),
        );
        self.memtable.absorb(own);
    }
}

fn inline_bytes(changes: &Changes) -> u64 {
    changes.extents.values().map(inline_len).sum()
}

fn inline_len(extent: &Option<Extent>) -> u64 {
    match extent {
        Some(Extent::Inline(bytes)) => bytes.len() as u64,
        _ => 0,
    }
}
