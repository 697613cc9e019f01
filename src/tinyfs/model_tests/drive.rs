//! Runs one sequence: each step on the store and on the reference, then a comparison.

use super::compare::{Bytes, compare};
use super::reference::Reference;
use super::steps::{Crash, Op, Step};
use super::{Harness, Outcome};
use crate::tinyfs::ops::Caller;
use crate::tinyfs::{Changes, Errno, FsResult, Kind, Node, NodeId, Nodes, Time, Tx, Version};

/// Runs a sequence. Panics if store and reference differ.
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

pub(super) struct Run<H> {
    pub(super) harness: H,
    pub(super) now: Reference,
    durable: Reference,
    sealed: Option<Reference>,
    saved: Vec<(Version, Reference)>,
    pub(super) clock: i64,
}

impl<H: Harness> Run<H> {
    fn new(mut harness: H) -> Run<H> {
        let caller = Caller {
            uid: 0,
            gid: 0,
            member: true,
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
            allocated: 0,
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
        // Between two versions the earlier one is still visible.
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
                // A commit without an earlier seal sealed everything, which made it durable.
                if matches!(step, Step::Commit(_)) && self.sealed.is_none() {
                    self.durable = self.now.clone();
                }
                if let Some(version) = version {
                    save(self, version);
                }
                self.sealed = None;
                self.now = self.durable.clone();
            }
        }
        self.compare(match step {
            Step::Freeze => Bytes::None,
            _ => Bytes::All,
        });
    }

    /// Runs one operation on the store, and applies it if it succeeds.
    pub(super) fn change<T>(
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
        let caller = Caller {
            uid,
            gid,
            member: root,
            now,
        };
        let (got, want, touched) = self.both(&caller, op);
        assert_eq!(got, want, "answer of {op:?}");
        self.compare(touched.map_or(Bytes::None, Bytes::Of));
    }
}
