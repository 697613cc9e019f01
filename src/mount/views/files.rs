//! Content and attributes of files.

use crate::mount::requests::groups;
use crate::mount::vfs::{self, Vfs};
use crate::mount::views::attr::{self, permissions};
use crate::mount::views::inodes::{Own, View};
use crate::tinyfs::ops::{Caller, Seek, SetAttr};
use crate::tinyfs::{Errno, FsResult, Node, NodeId, Version};
use fuser::{FileAttr, OpenAccMode, OpenFlags, TimeOrNow, WriteFlags};
use std::ops::Range;
use std::sync::Arc;

/// A user ID that is not root's.
const NOT_ROOT: u32 = 65_534;
/// The set-user-id and the set-group-id bit.
const SET_ID: u16 = 0o6000;
/// The most bytes that one copy moves: the largest count that its reply can hold, in whole blocks.
const MAX_COPY: u64 = 1 << 30;
/// The most bytes that a short change cuts or copies: some thousand extents.
const CUT_AT_ONCE: u64 = 16 << 20;

/// The attributes that `setattr` changes.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::mount) struct NewAttr {
    pub(in crate::mount) mode: Option<u32>,
    pub(in crate::mount) uid: Option<u32>,
    pub(in crate::mount) gid: Option<u32>,
    pub(in crate::mount) size: Option<u64>,
    pub(in crate::mount) atime: Option<TimeOrNow>,
    pub(in crate::mount) mtime: Option<TimeOrNow>,
}

/// Returns whether a file is opened for writing.
pub(in crate::mount) fn writes(flags: OpenFlags) -> bool {
    flags.acc_mode() != OpenAccMode::O_RDONLY || flags.0 & libc::O_TRUNC != 0
}

impl Vfs {
    /// Opens a file; the past only for reading. Returns a handle for files of `.pond` and derived
    /// files.
    pub(in crate::mount) fn open(&self, ino: u64, flags: OpenFlags) -> FsResult<Option<u64>> {
        let reads = !writes(flags);
        match (self.view(ino)?, reads) {
            (View::Own(own), reads) => self.open_own(own, !reads).map(Some),
            (view @ View::Derived { .. }, true) => self.open_derived(view).map(Some),
            (_, true) => {
                self.push_pages(ino);
                Ok(None)
            }
            (_, false) => {
                self.pond.opened(self.live(ino)?, false);
                Ok(None)
            }
        }
    }

    /// Handles the last close of an open file with these flags.
    pub(in crate::mount) fn release(self: &Arc<Vfs>, ino: u64, flags: OpenFlags) {
        if let Some(id) = self.inodes.view(ino).and_then(View::as_live)
            && writes(flags)
        {
            self.pond.closed(id);
            self.content_changed(id);
        }
    }

    /// Handles a sync of a file.
    pub(in crate::mount) fn synced(&self, ino: u64) {
        if let Some(id) = self.inodes.view(ino).and_then(View::as_live) {
            self.pond.synced(id);
        }
    }

    /// Returns whether closing a file makes a version, for which the caller waits.
    pub(in crate::mount) fn commits_on_close(&self, ino: u64) -> bool {
        let live = self.inodes.view(ino).and_then(View::as_live);
        live.is_some_and(|id| self.pond.commits_on_close(id))
    }

    /// Makes a version.
    pub(in crate::mount) fn commit(&self) -> FsResult<()> {
        Ok(self.pond.sync().map(drop)?)
    }

    /// Returns whether a file has so many bytes in `range` that cutting or copying them takes long.
    /// Uses what is known at once, not the extents.
    pub(in crate::mount) fn has_much(&self, ino: u64, range: Range<u64>) -> bool {
        let node = self
            .node_of(ino)
            .and_then(|(at, id)| self.pond.node(at, id));
        node.is_ok_and(|node| node.size.min(range.end).saturating_sub(range.start) > CUT_AT_ONCE)
    }

    pub(in crate::mount) fn read(&self, ino: u64, offset: u64, size: u32) -> FsResult<Vec<u8>> {
        let (at, id) = self.node_of(ino)?;
        self.pond.read(at, id, offset, u64::from(size))
    }

    /// Writes to a live file, and calls `done` when there is memory for the next write. A flag of
    /// the request says whether the set-id bits are removed. (The kernel removes file capabilities
    /// itself, here and wherever content or owner change.)
    pub(in crate::mount) fn write_then(
        &self,
        caller: &Caller,
        ino: u64,
        (offset, data): (u64, &[u8]),
        flags: WriteFlags,
        done: impl FnOnce(FsResult<()>) + Send + 'static,
    ) {
        let id = match self.live(ino) {
            Ok(id) => id,
            Err(error) => return done(Err(error)),
        };
        let kill = flags.contains(WriteFlags::FUSE_WRITE_KILL_SUIDGID);
        let caller = Caller {
            uid: if kill { NOT_ROOT } else { 0 },
            ..*caller
        };
        self.pond.write_then(&caller, id, offset, data, done);
    }

    /// Changes attributes. No page of a file may be pushed while it is truncated.
    pub(in crate::mount) fn setattr(
        &self,
        caller: &Caller,
        ino: u64,
        new: &NewAttr,
    ) -> FsResult<FileAttr> {
        // A truncation of `sync`, as by a shell's redirection, changes nothing.
        if self.own(ino) == Some(Own::Sync) && new.mode.is_none() && new.uid.is_none() {
            return Ok(attr::file_attr(ino, &self.own_node(Own::Sync)?));
        }
        let id = self.live(ino)?;
        let mut node = match new.size {
            Some(size) => Some(self.pond.truncate(caller, id, size)?),
            None => None,
        };
        let time = |time: TimeOrNow| attr::time(time, caller.now);
        let set = SetAttr {
            mode: new.mode.map(permissions),
            uid: new.uid,
            gid: new.gid,
            atime: new.atime.map(time),
            mtime: new.mtime.map(time),
        };
        let owner = set.uid.is_some() || set.gid.is_some();
        if set.mode.is_some() || owner || set.atime.is_some() || set.mtime.is_some() {
            node = Some(self.pond.setattr(caller, id, &set)?);
        }
        let node = match node {
            Some(node) => node,
            None => self.drop_set_id(caller, id)?,
        };
        Ok(attr::file_attr(id.0, &node))
    }

    pub(in crate::mount) fn fallocate(
        &self,
        caller: &Caller,
        ino: u64,
        (offset, length): (u64, u64),
        mode: i32,
    ) -> FsResult<()> {
        const KEEP: i32 = libc::FALLOC_FL_KEEP_SIZE;
        const PUNCH: i32 = libc::FALLOC_FL_PUNCH_HOLE | KEEP;
        const ZERO: i32 = libc::FALLOC_FL_ZERO_RANGE;
        const ZERO_KEEP: i32 = ZERO | KEEP;
        let id = self.live(ino)?;
        let end = offset.checked_add(length).ok_or(Errno::EFBIG)?;
        let (hole, min_size) = match mode {
            // Reserves no space: a later write may find none, as on any file system that never
            // overwrites. It still counts as a change of the file.
            0 => (0..0, end),
            KEEP => (0..0, 0),
            PUNCH | ZERO_KEEP => (offset..end, 0),
            ZERO => (offset..end, end),
            _ => return Err(Errno::EOPNOTSUPP.into()),
        };
        if mode != PUNCH {
            self.pond.must_have_room(id, offset..end)?;
        }
        self.pond.zero(caller, id, hole, min_size)?;
        Ok(())
    }

    /// Copies between two live files; for others the kernel reads and writes.
    pub(in crate::mount) fn copy(
        &self,
        caller: &Caller,
        (from, from_offset): (u64, u64),
        (to, to_offset): (u64, u64),
        len: u64,
    ) -> FsResult<u32> {
        let to = self.live(to)?;
        let from = self.view(from)?.as_live().ok_or(Errno::EOPNOTSUPP)?;
        let len = len.min(MAX_COPY);
        let copied = self
            .pond
            .copy_range(caller, (from, from_offset), (to, to_offset), len)?;
        Ok(u32::try_from(copied).map_err(|_| Errno::EOVERFLOW)?)
    }

    pub(in crate::mount) fn seek(&self, ino: u64, offset: i64, whence: i32) -> FsResult<i64> {
        let (at, id) = self.node_of(ino)?;
        let what = match whence {
            libc::SEEK_DATA => Seek::Data,
            libc::SEEK_HOLE => Seek::Hole,
            _ => return Err(Errno::EINVAL.into()),
        };
        let offset = u64::try_from(offset).map_err(|_| Errno::ENXIO)?;
        let found = self.pond.seek(at, id, offset, what)?;
        Ok(i64::try_from(found).map_err(|_| Errno::EOVERFLOW)?)
    }

    /// Applies a setattr that changes nothing. The kernel sends it when an owner is set to itself,
    /// and before a change of content by a user that may not keep the set-id bits; it takes the
    /// mode from this reply. Both remove the bits, unless the caller may neither own nor write.
    fn drop_set_id(&self, caller: &Caller, id: NodeId) -> FsResult<Node> {
        let node = self.pond.node(Version::NOW, id)?;
        let owns = caller.uid == 0 || caller.uid == node.uid;
        let set = SetAttr {
            uid: Some(node.uid),
            ..SetAttr::default()
        };
        let writes = node.mode & 0o002 != 0 || node.mode & 0o020 != 0 && caller.member;
        match owns || writes || node.mode & SET_ID == 0 {
            true => self.pond.setattr(caller, id, &set),
            false => Ok(node),
        }
    }

    /// Returns the caller of a change, and whether the file's group is one of its groups.
    pub(in crate::mount) fn changer(&self, (uid, gid): (u32, u32), pid: u32, ino: u64) -> Caller {
        let caller = vfs::caller(uid, gid);
        if uid == 0 {
            return caller;
        }
        // Only set-id bits depend on it.
        let matters = |node: &Node| node.gid != gid && node.mode & SET_ID != 0;
        let member = match self.view(ino).and_then(|view| self.node(view)) {
            Ok(node) if matters(&node) => groups::of(pid).contains(&node.gid),
            _ => true,
        };
        Caller { member, ..caller }
    }
}
