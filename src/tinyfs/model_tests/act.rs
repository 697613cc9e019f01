//! Performs one operation of a sequence on the store and on the reference.

use super::Harness;
use super::drive::Run;
use super::pick::{attr_name, name};
use super::steps::Op;
use crate::tinyfs::ops::{self, Caller, NewNode, SetAttr};
use crate::tinyfs::{ContentId, Errno, Name, NodeId, Time};

type Answer = Result<u64, Errno>;

impl<H: Harness> Run<H> {
    /// Returns the results of store and reference, and the file whose bytes may have changed.
    pub(super) fn both(&mut self, caller: &Caller, op: &Op) -> (Answer, Answer, Option<u64>) {
        // Drawn before the operation, which decides whether it needs an id.
        let fresh = self.harness.new_id();
        let content = || ContentId(fresh);
        match *op {
            Op::Make {
                dir,
                name: n,
                kind,
                mode,
            } => {
                let (dir, name, rdev) = (self.dir(dir), name(n), 0x105);
                let target = [&b"../a"[..], b""][usize::from(n == 3)];
                let new = NewNode {
                    kind,
                    mode,
                    rdev,
                    target,
                };
                let got = self.change(|tx, _| {
                    ops::create(tx, caller, NodeId(dir), &name, NodeId(fresh), &new)
                });
                let what = (kind, mode, rdev);
                let want = self.now.make(caller, (dir, &name), fresh, what, target);
                (got.map(|_| 0), want.map(|()| 0), None)
            }
            Op::Link { node, dir, name: n } => {
                let (id, dir, name) = (self.node(node), self.dir(dir), name(n));
                let got =
                    self.change(|tx, _| ops::link(tx, caller, NodeId(id), NodeId(dir), &name));
                let want = self.now.link(caller, id, (dir, &name));
                (got.map(|_| 0), want.map(|()| 0), None)
            }
            Op::Unlink { entry } => self.remove(caller, self.entry(entry), false),
            Op::Rmdir { entry } => self.remove(caller, self.entry(entry), true),
            Op::Remove {
                dir,
                name: n,
                rmdir,
            } => self.remove(caller, (self.dir(dir), name(n)), rmdir),
            Op::Rename {
                entry,
                dir,
                name: n,
                mode,
                whiteout,
            } => {
                let to = (self.dir(dir), name(n));
                let whiteout = whiteout.then_some(fresh);
                self.rename(caller, self.entry(entry), to, mode, whiteout)
            }
            Op::Replace {
                entry,
                onto,
                mode,
                whiteout,
            } => {
                let (from, to) = (self.entry(entry), self.entry(onto));
                self.rename(caller, from, to, mode, whiteout.then_some(fresh))
            }
            Op::Chmod { node, mode } => {
                let set = SetAttr {
                    mode: Some(mode),
                    ..SetAttr::default()
                };
                self.setattr(caller, self.node(node), &set)
            }
            Op::Chown { node, uid, gid } => {
                let set = SetAttr {
                    uid,
                    gid,
                    ..SetAttr::default()
                };
                self.setattr(caller, self.node(node), &set)
            }
            Op::Utimes { node, atime, mtime } => {
                let time = |t: Option<i64>| {
                    t.map(|sec| Time {
                        sec,
                        nsec: 999_999_999,
                    })
                };
                let (atime, mtime) = (time(atime), time(mtime));
                let set = SetAttr {
                    atime,
                    mtime,
                    ..SetAttr::default()
                };
                self.setattr(caller, self.node(node), &set)
            }
            Op::Truncate { node, size } => {
                let id = self.file(node);
                let got = self.change(|tx, _| ops::truncate(tx, caller, NodeId(id), size));
                let want = self.now.truncate(caller, id, size);
                (got.map(|_| 0), want.map(|()| 0), Some(id))
            }
            Op::Write { node, offset, len } => {
                self.write(caller, self.file(node), content, offset, len)
            }
            Op::Append { node, len } => {
                let id = self.file(node);
                let end = self.now.nodes[&id].data.len() as u64;
                self.write(caller, id, content, end, len)
            }
            Op::Zero {
                node,
                start,
                len,
                keep_size,
            } => {
                let (id, range) = (self.file(node), start..start + len);
                let min = if keep_size { 0 } else { range.end };
                let got =
                    self.change(|tx, _| ops::zero(tx, caller, NodeId(id), range.clone(), min));
                let want = self.now.zero(caller, id, range.clone(), min);
                (got.map(|_| 0), want.map(|()| 0), Some(id))
            }
            Op::Copy {
                from,
                at,
                to,
                offset,
                len,
            } => {
                let (from, to) = (self.file(from), self.file(to));
                let pair = ((NodeId(from), at), (NodeId(to), offset));
                let got =
                    self.change(|tx, _| ops::copy_range(tx, caller, pair.0, pair.1, content, len));
                let want = self.now.copy(caller, (from, at), (to, offset), len);
                (got, want, Some(to))
            }
            Op::SetXattr {
                node,
                name: n,
                len,
                mode,
            } => {
                let (id, name) = (self.node(node), attr_name(n));
                let value = vec![n + 1; usize::from(len)];
                let got = self
                    .change(|tx, _| ops::set_xattr(tx, caller, NodeId(id), &name, &value, mode));
                let want = self.now.set_xattr(caller, id, (&name, &value), mode);
                (got.map(|()| 0), want.map(|()| 0), None)
            }
            Op::RemoveXattr { node, name: n } => {
                let (id, name) = (self.node(node), attr_name(n));
                let got = self.change(|tx, _| ops::remove_xattr(tx, caller, NodeId(id), &name));
                let want = self.now.remove_xattr(caller, id, &name);
                (got.map(|()| 0), want.map(|()| 0), None)
            }
        }
    }

    fn remove(
        &mut self,
        caller: &Caller,
        (dir, name): (u64, Name),
        rmdir: bool,
    ) -> (Answer, Answer, Option<u64>) {
        let got = self.change(|tx, _| match rmdir {
            true => ops::rmdir(tx, caller, NodeId(dir), &name),
            false => ops::unlink(tx, caller, NodeId(dir), &name),
        });
        let want = self.now.unlink(caller, (dir, &name), rmdir);
        (got.map(|_| 0), want.map(|()| 0), None)
    }

    fn rename(
        &mut self,
        caller: &Caller,
        from: (u64, Name),
        to: (u64, Name),
        mode: ops::RenameMode,
        whiteout: Option<u64>,
    ) -> (Answer, Answer, Option<u64>) {
        let pair = ((NodeId(from.0), &from.1), (NodeId(to.0), &to.1));
        let id = whiteout.map(NodeId);
        let got = self.change(|tx, _| ops::rename(tx, caller, pair.0, pair.1, mode, id));
        let (from, to) = ((from.0, &from.1), (to.0, &to.1));
        let want = self.now.rename(caller, from, to, mode, whiteout);
        (got.map(|_| 0), want.map(|()| 0), None)
    }

    fn setattr(
        &mut self,
        caller: &Caller,
        id: u64,
        set: &SetAttr,
    ) -> (Answer, Answer, Option<u64>) {
        let got = self.change(|tx, _| ops::setattr(tx, caller, NodeId(id), set));
        let want = self.now.setattr(caller, id, set);
        (got.map(|_| 0), want.map(|()| 0), None)
    }

    fn write(
        &mut self,
        caller: &Caller,
        id: u64,
        content: impl FnOnce() -> ContentId,
        offset: u64,
        len: u64,
    ) -> (Answer, Answer, Option<u64>) {
        // Never zero, and dependent on position and time, so that stale, moved and missing bytes
        // differ.
        let clock = self.clock as u64;
        let data: Vec<u8> = (0..len).map(|i| ((i + clock) % 251) as u8 + 1).collect();
        let got = self.change(|tx, harness| {
            let place = |content, size| harness.place(content, offset, &data, size);
            ops::write(tx, caller, NodeId(id), content, offset, &data, place)
        });
        let want = self.now.write(caller, id, offset, &data);
        (got.map(|_| 0), want.map(|()| 0), Some(id))
    }
}
