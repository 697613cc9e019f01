//! Runs one sequence: each step on the store and on the reference, then a comparison.

use super::compare::{Bytes, compare};
use super::reference::Reference;
use super::steps::{Crash, Op, Step};
use super::{Harness, Outcome, names};
use crate::tinyfs::ops::{self, Caller, NewNode, SetAttr};
use crate::tinyfs::{
    Changes, ContentId, Errno, FsResult, Kind, Name, Node, NodeId, Nodes, Time, Tx, Version,
};

/// Runs a sequence; panics where store and reference differ.
pub fn run<H: Harness>(harness: H, steps: &[Step]) {
    let mut run = Run::new(harness);
    run.step(&Step::Commit(Crash::Nowhere));
    for step in steps {
        match step {
            Step::Op(op, root) => run.op(op, *root),
            _ => run.step(step),
        }
    }
    run.compare(Bytes::All);
    run.step(&Step::Commit(Crash::Nowhere));
    run.step(&Step::Rebuild);
    run.versions();
}

struct Run<H> {
    harness: H,
    now: Reference,
    durable: Reference,
    sealed: Option<Reference>,
    saved: Vec<(Version, Reference)>,
    clock: i64,
}

type Answer = Result<u64, Errno>;

impl<H: Harness> Run<H> {
    fn new(mut harness: H) -> Run<H> {
        let caller = Caller {
            uid: 0,
            gid: 0,
            now: Time::default(),
        };
        let now = Reference::new(NodeId::ROOT.0, &caller, 0o755);
        let mut changes = Changes::default();
        let t = caller.now;
        let node = Node {
            kind: Kind::Directory,
            mode: 0o755,
            uid: 0,
            gid: 0,
            nlink: 2,
            size: 0,
            atime: t,
            mtime: t,
            ctime: t,
            btime: t,
            rdev: 0,
            content: None,
            target: [].into(),
            parent: Some(NodeId::ROOT),
        };
        changes.set::<Nodes>(NodeId::ROOT, Some(node));
        harness.apply(changes);
        Run {
            harness,
            durable: now.clone(),
            now,
            sealed: None,
            saved: Vec::new(),
            clock: 0,
        }
    }

    fn compare(&self, bytes: Bytes) {
        compare(&self.harness, Version::NOW, &self.now, bytes);
    }

    fn versions(&self) {
        for (version, reference) in &self.saved {
            compare(&self.harness, *version, reference, Bytes::All);
        }
        // Between two versions it is still the earlier one.
        for pair in self.saved.windows(2) {
            let between = Version(pair[1].0.0 - 1);
            compare(&self.harness, between, &pair[0].1, Bytes::None);
        }
    }

    fn step(&mut self, step: &Step) {
        let outcome = self.harness.step(step);
        let save = |run: &mut Self, version| {
            let tree = run.sealed.take().unwrap_or_else(|| run.now.clone());
            run.saved.push((version, tree));
        };
        match outcome {
            Outcome::Same => {}
            Outcome::Durable => self.durable = self.now.clone(),
            Outcome::Sealed => {
                self.durable = self.now.clone();
                self.sealed = Some(self.now.clone());
            }
            Outcome::Committed(version) => {
                if self.sealed.is_none() {
                    self.durable = self.now.clone();
                }
                match version {
                    Some(version) => save(self, version),
                    None => self.sealed = None,
                }
            }
            Outcome::Reopened(version) => {
                // A commit without an earlier seal sealed everything, and that made it durable.
                if matches!(step, Step::Commit(_)) && self.sealed.is_none() {
                    self.durable = self.now.clone();
                }
                if let Some(version) = version {
                    save(self, version);
                }
                self.sealed = None;
                self.now = self.durable.clone();
            }
            Outcome::Rebuilt => {
                self.sealed = None;
                self.now = self.saved.last().unwrap().1.clone();
                self.durable = self.now.clone();
            }
        }
        self.compare(match step {
            Step::Freeze => Bytes::None,
            _ => Bytes::All,
        });
    }

    fn node(&self, n: u8) -> u64 {
        *self
            .now
            .nodes
            .keys()
            .nth(usize::from(n) % self.now.nodes.len())
            .unwrap()
    }

    /// One of the directories; now and then any node at all.
    fn dir(&self, n: u8) -> u64 {
        if n == 11 {
            return self.node(n);
        }
        let dirs = self
            .now
            .nodes
            .iter()
            .filter(|(_, node)| node.kind == Kind::Directory);
        let dirs: Vec<u64> = dirs.map(|(id, _)| *id).collect();
        dirs[usize::from(n) % dirs.len()]
    }

    /// One of the files; now and then any node at all.
    fn file(&self, n: u8) -> u64 {
        let files = self
            .now
            .nodes
            .iter()
            .filter(|(_, node)| node.kind == Kind::File);
        let files: Vec<u64> = files.map(|(id, _)| *id).collect();
        match files.len() {
            0 => self.node(n),
            _ if n == 11 => self.node(n),
            len => files[usize::from(n) % len],
        }
    }

    fn entry(&self, n: u8) -> (u64, Name) {
        let mut all = Vec::new();
        for (id, node) in &self.now.nodes {
            all.extend(node.entries.keys().map(|name| (*id, name.clone())));
        }
        match all.len() {
            0 => (NodeId::ROOT.0, name(n)),
            len => all.swap_remove(usize::from(n) % len),
        }
    }

    /// Runs one operation on the store, and applies it if it succeeds.
    fn change<T>(
        &mut self,
        op: impl FnOnce(&mut Tx<'_, H::S>, &H) -> FsResult<T>,
    ) -> Result<T, Errno> {
        let mut tx = Tx::new(self.harness.store());
        match op(&mut tx, &self.harness) {
            Ok(done) => {
                let changes = tx.finish();
                self.harness.apply(changes);
                Ok(done)
            }
            Err(error) => Err(error.errno()),
        }
    }

    fn op(&mut self, op: &Op, root: bool) {
        self.clock += 1;
        let now = Time {
            sec: self.clock,
            nsec: 7,
        };
        let (uid, gid) = if root { (0, 0) } else { (1, 2) };
        let (got, want, touched) = self.both(&Caller { uid, gid, now }, op);
        assert_eq!(got, want, "answer of {op:?}");
        self.compare(touched.map_or(Bytes::None, Bytes::Of));
    }

    /// The answers of store and reference, and the file whose bytes may have changed.
    fn both(&mut self, caller: &Caller, op: &Op) -> (Answer, Answer, Option<u64>) {
        // Drawn beforehand: whether an operation needs one is its own affair.
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
            } => {
                let to = (self.dir(dir), name(n));
                self.rename(caller, self.entry(entry), to, mode)
            }
            Op::Replace { entry, onto, mode } => {
                self.rename(caller, self.entry(entry), self.entry(onto), mode)
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
                let (id, name) = (self.node(node), name(n));
                let value = vec![n + 1; usize::from(len)];
                let got = self
                    .change(|tx, _| ops::set_xattr(tx, caller, NodeId(id), &name, &value, mode));
                let want = self.now.set_xattr(caller, id, (&name, &value), mode);
                (got.map(|()| 0), want.map(|()| 0), None)
            }
            Op::RemoveXattr { node, name: n } => {
                let (id, name) = (self.node(node), name(n));
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
    ) -> (Answer, Answer, Option<u64>) {
        let pair = ((NodeId(from.0), &from.1), (NodeId(to.0), &to.1));
        let got = self.change(|tx, _| ops::rename(tx, caller, pair.0, pair.1, mode));
        let want = self
            .now
            .rename(caller, (from.0, &from.1), (to.0, &to.1), mode);
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
        // Bytes that tell where and when they were written, none of them zero.
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

fn name(n: u8) -> Name {
    names().swap_remove(usize::from(n) % 4)
}
