//! What a mounted tree asks of a pond: every operation of the tree, at the present or at a version.
//!
//! Reads name a version and take no lock but the index's own. Changes go one at a time: look up,
//! decide (in [`tinyfs::ops`](crate::tinyfs::ops)), apply as one. A cut of a large range is looked up
//! and decided beside other operations, and applied if the file did not change meanwhile.

use super::Pond;
use super::open::{INDEX, REBUILD};
use super::room::{Kept, Promised};
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

/// Bytes of the disk that the records of an operation take until they are committed, without names,
/// values of attributes and targets.
const RECORDS: u64 = 2_048;

/// Length in bytes from which a range that is cut off or punched may have very many extents.
const LARGE_CUT: u64 = 16 << 20;

/// How often a large cut is prepared beside other operations before it excludes them.
const PREPARATIONS: usize = 3;

/// Returns the bytes of the disk that the records of an operation take until they are committed, with
/// `payload` bytes of names, values and targets.
fn records(payload: usize) -> u64 {
    RECORDS + RECORD_WRITES * payload as u64
}

impl Pond {
    /// The node `id` at version `at`, or `ENOENT`.
    pub fn node(&self, at: Version, id: NodeId) -> FsResult<Node> {
        ops::node(&self.index, at, id)
    }

    /// The node that `name` leads to in `dir` at version `at`.
    pub fn lookup(
        &self,
        at: Version,
        dir: NodeId,
        name: &Name,
    ) -> FsResult<Option<(NodeId, Node)>> {
        ops::lookup(&self.index, at, dir, name)
    }

    /// What a path from the root leads to at version `at`; the last component is not followed if it is a link.
    pub fn walk(&self, at: Version, path: &[u8]) -> FsResult<(NodeId, Node)> {
        let path = [b"/", path].concat();
        crate::tinyfs::walk(&self.index, at, NodeId::ROOT, &path, Last::Stay)
    }

    /// The same; `None` where it leads nowhere.
    pub fn find(&self, at: Version, path: &[u8]) -> FsResult<Option<NodeId>> {
        match self.walk(at, path) {
            Ok((id, _)) => Ok(Some(id)),
            Err(error) if matches!(error.errno(), Errno::ENOENT | Errno::ENOTDIR) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The entries of `dir` at version `at`, in the order of their names.
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

    /// An extended attribute at version `at`.
    pub fn xattr(&self, at: Version, id: NodeId, name: &AttrName) -> FsResult<Option<Bytes>> {
        ops::xattr(&self.index, at, id, name)
    }

    /// The names of a node's extended attributes at version `at`.
    pub fn list_xattrs(&self, at: Version, id: NodeId) -> FsResult<Vec<AttrName>> {
        ops::list_xattrs(&self.index, at, id)
    }

    /// Up to `len` bytes of a file from `offset` on, at version `at`: fewer only at its end.
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

    /// Returns one of the names of a node at version `at`.
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

    /// Notes a damaged index, so that it is made anew when the pond is opened next.
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

    /// The next data or hole of a file (`SEEK_DATA`, `SEEK_HOLE`).
    pub fn seek(&self, at: Version, id: NodeId, offset: u64, what: Seek) -> FsResult<u64> {
        ops::seek(&self.index, at, &self.node(at, id)?, offset, what)
    }

    /// Makes a node under a new name.
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

    /// Gives a node one more name.
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

    /// Moves an entry; what `leaves_whiteout` leaves a whiteout in its place.
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

    /// Writes to a file, and waits while too much content is in memory. Returns the node as it is then.
    /// Not for a thread that serves the kernel.
    pub fn write(&self, caller: &Caller, id: NodeId, offset: u64, data: &[u8]) -> FsResult<Node> {
        let node = self.write_now(caller, id, offset, data)?;
        let (done, waiting) = sync_channel(1);
        self.apply_backpressure(move |spilled| {
            // The other end waits for it.
            done.send(spilled).ok();
        });
        waiting.recv().unwrap_or(Ok(())).map(|()| node)
    }

    /// Writes to a file, and calls `done` when there is memory for the next write: at once, or from
    /// another thread later on.
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

    /// Writes to a file. The caller sees to the memory that this takes.
    pub(super) fn write_now(
        &self,
        caller: &Caller,
        id: NodeId,
        offset: u64,
        data: &[u8],
    ) -> FsResult<Node> {
        // Until it is known whether the bytes go to a segment, or stay in their record.
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

    /// Makes a file `size` bytes long.
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

    /// Makes a range of a file a hole, and the file at least `min_size` bytes long.
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

    /// Fails with `ENOSPC` if the holes of a range are more than the disk has room for.
    pub fn must_have_room(&self, id: NodeId, range: Range<u64>) -> FsResult<()> {
        let (node, mut missing) = (self.node(Version::NOW, id)?, range.end - range.start);
        // What is more than all of the disk cannot be there, whatever the file has.
        let free = self.room.free(self.promised()?).map_err(FsError::store)?;
        if missing <= free.writable {
            return Ok(());
        }
        missing = missing.saturating_sub(node.allocated);
        match missing > free.writable {
            true => Err(Errno::ENOSPC.into()),
            false => Ok(()),
        }
    }

    /// Copies a range between files, or within one, by sharing extents. Answers the bytes copied.
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
        // Content that is not in segments yet is written once more, and how much of the range is known
        // only now. So the next operation looks at what the disk has left.
        self.change(|tx| ops::copy_range(tx, caller, from, to, || self.new_content(), len))
            .inspect(|_| self.room.look_again())
    }

    /// Somebody opens a file to write to it. With `new` they have just made it.
    pub fn opened(&self, id: NodeId, new: bool) {
        self.saves.opened(id, new);
    }

    /// Whether somebody has it open to write to it.
    pub fn is_open_to_write(&self, id: NodeId) -> bool {
        self.saves.is_open(id)
    }

    /// Somebody who had it open to write has closed it: what they wrote is whole.
    pub fn closed(&self, id: NodeId) {
        self.saves.closed(id);
    }

    /// Somebody has synced it: what was written until now is whole.
    pub fn synced(&self, id: NodeId) {
        self.saves.synced(id);
    }

    /// Whether versions do not wait: each close of a changed file makes one.
    pub fn is_eager(&self) -> bool {
        self.committer.is_eager()
    }

    /// Whether a close of this file would make one.
    pub fn commits_on_close(&self, id: NodeId) -> bool {
        self.committer.is_eager() && self.saves.is_changed(id)
    }

    /// Notes that somebody outside (the kernel) holds on to node `id` once more. While any do, the
    /// node can be used even when its last name is gone.
    pub fn pin(&self, id: NodeId) {
        self.pins.pin(id);
    }

    /// Takes back `count` pins.
    pub fn unpin(&self, id: NodeId, count: u64) {
        if self.pins.unpin(id, count) {
            self.index.drop_orphan(id, || self.pins.is_pinned(id));
        }
    }

    /// `ENOSPC` if the disk has no room for `bytes` more until they are committed; the error of the
    /// last commit if records cannot leave memory.
    fn take_room(&self, bytes: u64, kept: Kept) -> FsResult<()> {
        self.must_have_memory_for_records()?;
        self.room.take(bytes, kept, || self.promised())
    }

    /// What was acknowledged and is not on the disk yet.
    pub(super) fn promised(&self) -> FsResult<Promised> {
        // A spill under way has written some of that already. It forgets how much before the index
        // knows where it stands, so that the least of two looks is never too much.
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

    /// Like [`Pond::change`], of an operation that removes the extents in `removed` bytes of a file.
    /// They may be hundreds of thousands, so the operation is prepared beside others if the range
    /// is large, and applied if the file did not change meanwhile.
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
            // The content may have been another one already.
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

    /// Like [`Pond::change`], of an operation that may take a node's last name.
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

    /// Something was changed.
    fn changed(&self) {
        self.committer.changed();
        self.hurry_large_version();
        if let Some(told) = &*self.on_change.read() {
            told();
        }
    }

    /// `EROFS` once the pond takes no more changes.
    fn writable(&self) -> FsResult<()> {
        match self.health.is_read_only() {
            false => Ok(()),
            true => Err(Errno::EROFS.into()),
        }
    }
}
