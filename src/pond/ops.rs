//! The operations of a mounted tree, at the present or at a version.
//!
//! Reads name a version and take no lock but the index's own. Changes run one at a time: look up,
//! decide (in [`tinyfs::ops`](crate::tinyfs::ops)), apply as one. A cut of a large range is looked
//! up and decided concurrently with other operations, and applied if the file did not change
//! meanwhile.

use super::Pond;
use super::free_space::{Kept, Promised};
use super::open::{INDEX, REBUILD};
use crate::index::{Index, IndexError, RECORD_WRITES};
use crate::tinyfs::ops::{self, Caller, NewNode, RenameMode, Seek, SetAttr, SetXattr};
use crate::tinyfs::{
    AttrName, ContentId, Cycle, Dentry, Errno, Extent, FsError, FsResult, Last, Name, Names, Node,
    NodeId, Store, Tx, Version,
};
use bytes::Bytes;
use std::ops::{Bound, ControlFlow, Range};
use std::sync::atomic::Ordering;
use std::sync::mpsc::sync_channel;

/// Bytes of the disk that the records of an operation take until they are committed, without
/// names, values of attributes and link targets.
const RECORDS: u64 = 2_048;

/// Length in bytes from which a range that is cut off or punched may have very many extents.
const LARGE_CUT: u64 = 16 << 20;

/// How often a large cut is prepared concurrently with other operations before it excludes them.
const PREPARATIONS: usize = 3;

/// Returns the bytes of the disk that the records of an operation take until they are committed,
/// with `payload` bytes of names, values and targets.
fn records(payload: usize) -> u64 {
    RECORDS + RECORD_WRITES * payload as u64
}

impl Pond {
    /// Returns the node `id` at version `at`, or `ENOENT`.
    pub fn node(&self, at: Version, id: NodeId) -> FsResult<Node> {
        ops::node(&self.index, at, id)
    }

    /// Returns the node that `name` leads to in `dir` at version `at`.
    pub fn lookup(
        &self,
        at: Version,
        dir: NodeId,
        name: &Name,
    ) -> FsResult<Option<(NodeId, Node)>> {
        ops::lookup(&self.index, at, dir, name)
    }

    /// Returns the node at a path from the root at version `at`. A link in the last component is
    /// not followed.
    pub fn walk(&self, at: Version, path: &[u8]) -> FsResult<(NodeId, Node)> {
        let path = [b"/", path].concat();
        crate::tinyfs::walk(&self.index, at, NodeId::ROOT, &path, Last::Stay)
    }

    /// Like [`Pond::walk`]; `None` where the path leads nowhere.
    pub fn find(&self, at: Version, path: &[u8]) -> FsResult<Option<NodeId>> {
        match self.walk(at, path) {
            Ok((id, _)) => Ok(Some(id)),
            Err(error) if matches!(error.errno(), Errno::ENOENT | Errno::ENOTDIR) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Returns the entries of `dir` at version `at`, sorted by name.
    pub fn list(&self, at: Version, dir: NodeId) -> FsResult<Vec<(Name, Dentry)>> {
        let mut entries = Vec::new();
        ops::list(&self.index, at, dir, None, &mut |name, dentry| {
            entries.push((name, dentry));
            ControlFlow::Continue(())
        })?;
        Ok(entries)
    }

    /// Returns up to `limit` entries of `dir` at version `at`, sorted by name from `from` on, and
    /// whether more follow. The cost does not depend on the size of the directory.
    pub fn list_from(
        &self,
        at: Version,
        dir: NodeId,
        from: Bound<&Name>,
        limit: usize,
    ) -> FsResult<(Vec<(Name, Dentry)>, bool)> {
        ops::list_from(&self.index, at, dir, from, limit)
    }

    /// Returns an extended attribute at version `at`.
    pub fn xattr(&self, at: Version, id: NodeId, name: &AttrName) -> FsResult<Option<Bytes>> {
        ops::xattr(&self.index, at, id, name)
    }

    /// Returns the names of a node's extended attributes at version `at`.
    pub fn list_xattrs(&self, at: Version, id: NodeId) -> FsResult<Vec<AttrName>> {
        ops::list_xattrs(&self.index, at, id)
    }

    /// Returns up to `len` bytes of a file from `offset` on at version `at`: fewer only at its end.
    pub fn read(&self, at: Version, id: NodeId, offset: u64, len: u64) -> FsResult<Vec<u8>> {
        loop {
            let rewrites = self.rewrites.load(Ordering::Acquire);
            let read = self.read_once(at, id, offset, len);
            if read.is_ok() || rewrites == self.rewrites.load(Ordering::Acquire) {
                return read;
            }
            // The bytes were moved meanwhile.
        }
    }

    fn read_once(&self, at: Version, id: NodeId, offset: u64, len: u64) -> FsResult<Vec<u8>> {
        let node = self.node(at, id)?;
        let end = offset.saturating_add(len).min(node.size);
        let mut bytes = vec![0; end.saturating_sub(offset) as usize];
        let Some(content) = node.content else {
            return Ok(bytes);
        };
        for (start, extent) in ops::extents_in(&self.index, at, content, offset..end)? {
            let skip = offset.saturating_sub(start);
            let data = match extent.slice(skip, end.saturating_sub(start + skip)) {
                Extent::Inline(data) => data,
                Extent::Stored(stored) => self.content.read(&stored)?,
            };
            let into = (start + skip - offset) as usize;
            if let Some(target) = bytes.get_mut(into..into + data.len()) {
                target.copy_from_slice(&data);
            }
        }
        Ok(bytes)
    }

    /// Returns a path that leads to node `id` at version `at`, or `None` if there is none. In a
    /// damaged or forged pond directories may contain each other: they have no path.
    pub fn path_of(&self, at: Version, id: NodeId) -> FsResult<Option<Vec<u8>>> {
        let (mut parts, mut child) = (Vec::new(), id);
        let mut cycle = Cycle::default();
        while child != NodeId::ROOT {
            if cycle.is_closed_by(child) {
                return Ok(None);
            }
            let Some((dir, name)) = self.a_name_of(at, child)? else {
                return Ok(None);
            };
            parts.push([b"/", name.as_bytes()].concat());
            child = dir;
        }
        parts.reverse();
        match parts.is_empty() {
            true => Ok(Some(b"/".to_vec())),
            false => Ok(Some(parts.concat())),
        }
    }

    /// Returns one of the names of a node at version `at`, as directory and name.
    pub(super) fn a_name_of(&self, at: Version, id: NodeId) -> FsResult<Option<(NodeId, Name)>> {
        let first = self.first_name_of(at, id)?;
        if first.is_some() || at != Version::NOW {
            return Ok(first);
        }
        // The name is newer than the last version.
        Ok(self.index.open_name_of(id))
    }

    /// Returns the first name of a node at version `at`, in the order of the index. Names of the
    /// open version are not considered.
    pub(super) fn first_name_of(
        &self,
        at: Version,
        id: NodeId,
    ) -> FsResult<Option<(NodeId, Name)>> {
        let newest = at.min(self.latest().version);
        for link in self.index.links(id)? {
            if link.stands_at(newest) && self.leads_to(at, link.dir, &link.name, id)? {
                return Ok(Some((link.dir, link.name)));
            }
        }
        Ok(None)
    }

    fn leads_to(&self, at: Version, dir: NodeId, name: &Name, id: NodeId) -> FsResult<bool> {
        let entry = self.index.get::<Names>(at, &(dir, name.clone()))?;
        Ok(entry.is_some_and(|dentry| dentry.child == id))
    }

    /// Marks a damaged index, so that it is rebuilt when the pond is opened next.
    pub fn note_damage(&self, error: &FsError) {
        let FsError::Store { cause, .. } = error else {
            return;
        };
        let index = cause.downcast_ref::<IndexError>();
        if index.is_some_and(IndexError::is_damage) {
            let mark = self.access_path(INDEX).join(REBUILD);
            if let Err(error) = std::fs::write(&mark, "") {
                tracing::warn!("cannot write {}: {error}", mark.display());
            }
        }
    }

    /// Returns the offset of the next data or hole of a file (`SEEK_DATA`, `SEEK_HOLE`).
    pub fn seek(&self, at: Version, id: NodeId, offset: u64, what: Seek) -> FsResult<u64> {
        ops::seek(&self.index, at, &self.node(at, id)?, offset, what)
    }

    /// Creates a node under a new name.
    pub fn create(
        &self,
        caller: &Caller,
        dir: NodeId,
        name: &Name,
        new: &NewNode<'_>,
    ) -> FsResult<(NodeId, Node)> {
        self.take_room(records(name.as_bytes().len() + new.target.len()), Kept::All)?;
        self.change(|tx| {
            let id = NodeId(self.index.new_id());
            let node = ops::create(tx, caller, dir, name, id, new)?;
            Ok((id, node))
        })
    }

    /// Adds a name to a node.
    pub fn link(&self, caller: &Caller, id: NodeId, dir: NodeId, name: &Name) -> FsResult<Node> {
        self.take_room(records(name.as_bytes().len()), Kept::All)?;
        self.change(|tx| ops::link(tx, caller, id, dir, name))
    }

    /// Removes a name of anything but a directory.
    pub fn unlink(&self, caller: &Caller, dir: NodeId, name: &Name) -> FsResult<()> {
        self.must_have_memory_to_remove()?;
        self.change_names(|tx| ops::unlink(tx, caller, dir, name).map(Some))
    }

    /// Removes an empty directory.
    pub fn rmdir(&self, caller: &Caller, dir: NodeId, name: &Name) -> FsResult<()> {
        self.must_have_memory_to_remove()?;
        self.change_names(|tx| ops::rmdir(tx, caller, dir, name).map(Some))
    }

    /// Moves an entry. With `leaves_whiteout`, leaves a whiteout in its place.
    pub fn rename(
        &self,
        caller: &Caller,
        from: (NodeId, &Name),
        to: (NodeId, &Name),
        mode: RenameMode,
        leaves_whiteout: bool,
    ) -> FsResult<()> {
        self.take_room(records(to.1.as_bytes().len()), Kept::Half)?;
        let whiteout = leaves_whiteout.then(|| NodeId(self.index.new_id()));
        self.change_names(|tx| Ok(ops::rename(tx, caller, from, to, mode, whiteout)?.replaced))
    }

    /// Changes mode, owner, group or times.
    pub fn setattr(&self, caller: &Caller, id: NodeId, set: &SetAttr) -> FsResult<Node> {
        self.take_room(records(0), Kept::Half)?;
        self.change(|tx| ops::setattr(tx, caller, id, set))
    }

    /// Sets an extended attribute.
    pub fn set_xattr(
        &self,
        caller: &Caller,
        id: NodeId,
        name: &AttrName,
        value: &[u8],
        mode: SetXattr,
    ) -> FsResult<()> {
        self.take_room(records(name.as_bytes().len() + value.len()), Kept::All)?;
        self.change(|tx| ops::set_xattr(tx, caller, id, name, value, mode))
    }

    /// Removes an extended attribute.
    pub fn remove_xattr(&self, caller: &Caller, id: NodeId, name: &AttrName) -> FsResult<()> {
        self.must_have_memory_to_remove()?;
        self.change(|tx| ops::remove_xattr(tx, caller, id, name))
    }

    /// Writes to a file, and waits while too much content is in memory. Returns the node after the
    /// write. Not for a thread that serves the kernel.
    pub fn write(&self, caller: &Caller, id: NodeId, offset: u64, data: &[u8]) -> FsResult<Node> {
        let node = self.write_now(caller, id, offset, data)?;
        let (done, waiting) = sync_channel(1);
        self.apply_backpressure(move |spilled| {
            // The receiver waits below.
            done.send(spilled).ok();
        });
        waiting.recv().unwrap_or(Ok(())).map(|()| node)
    }

    /// Writes to a file, and calls `done` when there is memory for the next write: at once, or
    /// later from another thread.
    pub fn write_then(
        &self,
        caller: &Caller,
        id: NodeId,
        offset: u64,
        data: &[u8],
        done: impl FnOnce(FsResult<()>) + Send + 'static,
    ) {
        match self.write_now(caller, id, offset, data) {
            Ok(_) => self.apply_backpressure(done),
            Err(error) => done(Err(error)),
        }
    }

    /// Writes to a file. The caller applies the backpressure.
    pub(super) fn write_now(
        &self,
        caller: &Caller,
        id: NodeId,
        offset: u64,
        data: &[u8],
    ) -> FsResult<Node> {
        // An upper bound: it is not known yet whether the bytes go to a segment or to a record.
        let len = data.len() as u64;
        let inline_max = self.content.inline_max() as u64;
        let content = (RECORD_WRITES * len).min(len + RECORD_WRITES * inline_max);
        self.must_have_memory_for_content()?;
        self.take_room(content + records(0), Kept::All)?;
        self.saves.changed(id);
        self.change(|tx| {
            let place = |content, size| self.index.patch(content, offset, data, size);
            ops::write(tx, caller, id, || self.new_content(), offset, data, place)
        })
    }

    /// Sets the length of a file to `size` bytes.
    pub fn truncate(&self, caller: &Caller, id: NodeId, size: u64) -> FsResult<Node> {
        let old = self.node(Version::NOW, id)?;
        match size < old.size {
            true => self.must_have_memory_to_remove()?,
            false => self.take_room(records(0), Kept::Half)?,
        }
        self.saves.changed(id);
        // Truncation to zero removes no extents.
        let removed = match size {
            0 => 0,
            size => old.size.saturating_sub(size),
        };
        self.cut(id, &old, removed, |tx| ops::truncate(tx, caller, id, size))
    }

    /// Punches a hole in a range of a file, and extends the file to at least `min_size` bytes.
    pub fn zero(
        &self,
        caller: &Caller,
        id: NodeId,
        range: Range<u64>,
        min_size: u64,
    ) -> FsResult<Node> {
        self.take_room(records(0), Kept::Half)?;
        self.saves.changed(id);
        let old = self.node(Version::NOW, id)?;
        let removed = range.end.min(old.size).saturating_sub(range.start);
        self.cut(id, &old, removed, |tx| {
            ops::zero(tx, caller, id, range.clone(), min_size)
        })
    }

    /// Fails with `ENOSPC` if filling the holes of a range takes more than the free disk space.
    pub fn must_have_room(&self, id: NodeId, range: Range<u64>) -> FsResult<()> {
        let (node, mut missing) = (self.node(Version::NOW, id)?, range.end - range.start);
        // A range no longer than the free space fits, whatever the file has allocated.
        let free = self
            .free_space
            .free(self.promised()?)
            .map_err(FsError::store)?;
        if missing <= free.writable {
            return Ok(());
        }
        missing = missing.saturating_sub(node.allocated);
        match missing > free.writable {
            true => Err(Errno::ENOSPC.into()),
            false => Ok(()),
        }
    }

    /// Copies a range between files, or within one, by sharing extents. Returns the bytes copied.
    pub fn copy_range(
        &self,
        caller: &Caller,
        from: (NodeId, u64),
        to: (NodeId, u64),
        len: u64,
    ) -> FsResult<u64> {
        self.must_have_memory_for_content()?;
        self.take_room(records(0), Kept::All)?;
        self.saves.changed(to.0);
        // Content that is not in segments yet is stored a second time, and its length is only known
        // now. So the next operation checks the free space of the disk again.
        self.change(|tx| ops::copy_range(tx, caller, from, to, || self.new_content(), len))
            .inspect(|_| self.free_space.look_again())
    }

    /// Notes that a file is opened for writing. With `new` the opener has just created it.
    pub fn opened(&self, id: NodeId, new: bool) {
        self.saves.opened(id, new);
    }

    /// Returns whether a file is open for writing.
    pub fn is_open_to_write(&self, id: NodeId) -> bool {
        self.saves.is_open(id)
    }

    /// Notes that a writer has closed a file: its content is complete.
    pub fn closed(&self, id: NodeId) {
        self.saves.closed(id);
    }

    /// Notes that a file was synced: the bytes written until now are complete.
    pub fn synced(&self, id: NodeId) {
        self.saves.synced(id);
    }

    /// Returns whether each close of a changed file makes a version.
    pub fn is_eager(&self) -> bool {
        self.committer.is_eager()
    }

    /// Returns whether a close of this file would make a version.
    pub fn commits_on_close(&self, id: NodeId) -> bool {
        self.committer.is_eager() && self.saves.is_changed(id)
    }

    /// Adds a pin of node `id` for the kernel. A pinned node can be used even after its last name
    /// is removed.
    pub fn pin(&self, id: NodeId) {
        self.pins.pin(id);
    }

    /// Removes `count` pins.
    pub fn unpin(&self, id: NodeId, count: u64) {
        if self.pins.unpin(id, count) {
            self.index.drop_orphan(id, || self.pins.is_pinned(id));
        }
    }

    /// Reserves `bytes` of the disk until the next commit. Fails with `ENOSPC` if the disk lacks
    /// them, or with the error of the last commit if records cannot leave memory.
    fn take_room(&self, bytes: u64, kept: Kept) -> FsResult<()> {
        self.must_have_memory_for_records()?;
        self.free_space.take(bytes, kept, || self.promised())
    }

    /// Returns the bytes that were acknowledged and are not on the disk yet.
    pub(super) fn promised(&self) -> FsResult<Promised> {
        // A spill under way has written part of that already. It resets its count before the index
        // knows the new positions, so the lesser of two readings is never too much.
        let spilled = self.content.spilled();
        let open = self.index.disk_bytes();
        let spilled = spilled.min(self.content.spilled());
        Ok(Promised {
            open: open.saturating_sub(spilled),
            working: self.index.working_space()?,
        })
    }

    fn new_content(&self) -> ContentId {
        ContentId(self.index.new_id())
    }

    /// Runs one operation on the present and applies what it changes.
    pub(super) fn change<T>(
        &self,
        op: impl FnOnce(&mut Tx<'_, Index>) -> FsResult<T>,
    ) -> FsResult<T> {
        self.writable()?;
        let one_at_a_time = self.changing.lock();
        let mut tx = Tx::new(&self.index);
        let result = op(&mut tx)?;
        self.index.apply(tx.finish(), None);
        drop(one_at_a_time);
        self.changed();
        Ok(result)
    }

    /// Like [`Pond::change`], for an operation that removes the extents in `removed` bytes of a
    /// file. There may be hundreds of thousands, so with a large range the operation is prepared
    /// concurrently with others, and applied if the file did not change meanwhile.
    fn cut(
        &self,
        id: NodeId,
        old: &Node,
        removed: u64,
        op: impl Fn(&mut Tx<'_, Index>) -> FsResult<Node>,
    ) -> FsResult<Node> {
        let Some(content) = old.content.filter(|_| removed >= LARGE_CUT) else {
            return self.change(op);
        };
        self.writable()?;
        let one_watch = self.preparing.lock();
        for _ in 0..PREPARATIONS {
            self.index.watch(id, content);
            let mut tx = Tx::new(&self.index);
            let node = op(&mut tx)?;
            // The content may have been replaced before the watch began.
            if self.node(Version::NOW, id)?.content != Some(content) {
                break;
            }
            let one_at_a_time = self.changing.lock();
            let is_applied = self.index.apply_watched(tx.finish());
            drop(one_at_a_time);
            if is_applied {
                self.changed();
                return Ok(node);
            }
        }
        drop(one_watch);
        self.change(op)
    }

    /// Like [`Pond::change`], for an operation that may remove the last name of a node.
    fn change_names(
        &self,
        op: impl FnOnce(&mut Tx<'_, Index>) -> FsResult<Option<ops::Unlinked>>,
    ) -> FsResult<()> {
        self.writable()?;
        let one_at_a_time = self.changing.lock();
        let mut tx = Tx::new(&self.index);
        let unlinked = op(&mut tx)?;
        let orphan = unlinked
            .filter(|unlinked| unlinked.node.nlink == 0 && self.pins.is_pinned(unlinked.id));
        self.index.apply(tx.finish(), orphan);
        drop(one_at_a_time);
        self.changed();
        Ok(())
    }

    /// Notifies the committer and the callback of a change.
    fn changed(&self) {
        self.committer.changed();
        self.hurry_large_version();
        if let Some(told) = &*self.on_change.read() {
            told();
        }
    }

    /// Fails with `EROFS` once the pond takes no more changes.
    fn writable(&self) -> FsResult<()> {
        match self.health.is_read_only() {
            false => Ok(()),
            true => Err(Errno::EROFS.into()),
        }
    }
}
