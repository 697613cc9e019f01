//! The pond on its disk, and its promises.
//!
//! In: operations, flushes, commits, crashes. Out: panics at broken promises. The expected state is
//! the tree that the pond itself showed when an operation was acknowledged: the model tests of the
//! tree check that this is right.

use super::tree::{Tree, alike, read};
use crate::disk::Disk;
use crate::disk::sim::{Faults, Handle, Rng, SimDisk};
use crate::pond::open::{Ground, make};
use crate::pond::{OpenOptions, Policy, Pond, PondError};
use crate::tinyfs::ops::{Caller, NewNode, RenameMode, SetAttr, SetXattr};
use crate::tinyfs::{AttrName, Errno, FsResult, Kind, Name, NodeId, Time, Version};
use parking_lot::Mutex;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use tempfile::TempDir;
use uuid::Uuid;

const ID: Uuid = Uuid::from_u128(9);
pub(super) const POND: &str = "/pond";

/// Returns a time that steps back now and then.
fn clock() -> Time {
    static TICKS: AtomicI64 = AtomicI64::new(0);
    let tick = TICKS.fetch_add(1, Ordering::Relaxed);
    let micros = match tick % 7 {
        3 => tick - 5_000,
        _ => tick,
    };
    Time::from_micros(1_700_000_000_000_000 + micros * 1_000)
}

/// The promises of the pond.
#[derive(Default)]
pub(super) struct Promised {
    /// The tree after each acknowledged operation that no crash reverted.
    pub(super) states: Vec<Tree>,
    /// Index of the oldest state that a crash may leave.
    pub(super) durable: usize,
    pub(super) versions: BTreeMap<u64, Tree>,
    /// Versions that may be forgotten.
    pub(super) may_go: BTreeSet<u64>,
    /// Operations that were performed between two calls to the disk.
    pub(super) between: u64,
    /// A restoration is under way.
    bringing_back: bool,
}

impl Promised {
    /// Notes the current tree, if it is new.
    fn note(&mut self, tree: Tree) {
        if self.states.last() != Some(&tree) {
            self.states.push(tree);
        }
    }
}

pub(super) struct World {
    pub(super) disk: Arc<SimDisk>,
    index: TempDir,
    pub(super) pond: Option<Arc<Pond>>,
    pub(super) promised: Arc<Mutex<Promised>>,
    /// Chooses the concurrent operations.
    others: Arc<Mutex<Rng>>,
    planted: Faults,
}

impl World {
    pub(super) fn new(seed: u64, planted: Faults) -> World {
        let disk = SimDisk::new(seed);
        disk.set_faults(planted);
        let handle: Arc<dyn Disk> = Arc::new(Handle(disk.clone()));
        let path = Path::new(POND);
        crate::disk::make_dirs(handle.as_ref(), path).unwrap();
        make(&handle, path, ID, clock()).unwrap();
        let mut world = World {
            disk,
            index: TempDir::new_in("/dev/shm")
                .or_else(|_| TempDir::new())
                .unwrap(),
            pond: None,
            promised: Arc::default(),
            others: Arc::new(Mutex::new(Rng(seed ^ 0x5eed))),
            planted,
        };
        world.open().unwrap();
        let root = world.tree(Version(0));
        world.promised.lock().versions.insert(0, root.clone());
        world.promised.lock().states = vec![root];
        world
    }

    /// Opens the pond. Its threads do not run: the life performs their work at chosen moments.
    pub(super) fn open(&mut self) -> Result<(), PondError> {
        let ground = Ground {
            limits: crate::limits::Limits::default(),
            disk: Arc::new(Handle(self.disk.clone())),
            clock,
            index: self.index.path().join("index"),
            path: POND.into(),
            folder: None,
        };
        let pond = Pond::on(ground, ID, None, &OpenOptions::default(), &mut |_| ())?;
        self.pond = Some(Arc::new(pond));
        self.let_others_in();
        Ok(())
    }

    pub(super) fn pond(&self) -> &Arc<Pond> {
        self.pond.as_ref().expect("an open pond")
    }

    /// Performs concurrent operations between calls to the disk.
    fn let_others_in(&self) {
        let pond = Arc::downgrade(self.pond());
        let (promised, rng) = (self.promised.clone(), self.others.clone());
        let disk = Arc::downgrade(&self.disk);
        self.disk.set_hook(Some(Box::new(move || {
            let (Some(pond), Some(disk)) = (pond.upgrade(), disk.upgrade()) else {
                return;
            };
            let mut rng = rng.lock();
            // A change of the tree holds the lock at this moment.
            if disk.is_cut() || rng.below(6) > 0 || pond.changing.try_lock().is_none() {
                return;
            }
            let see = || {
                let tree = disk.without_faults(|| read(&pond, Version::NOW));
                tree.expect("the tree is readable")
            };
            // The caller of the disk may have restored the past since.
            let bringing_back = promised.lock().bringing_back;
            if bringing_back {
                promised.lock().note(see());
            }
            if operate(&pond, &mut rng).is_ok() {
                let tree = see();
                let mut promised = promised.lock();
                promised.states.push(tree);
                promised.between += 1;
            }
        })));
    }

    pub(super) fn set_faults(&self, faults: Faults) {
        let lies = self.planted.lies;
        self.disk.set_faults(Faults { lies, ..faults });
    }

    /// Returns the tree, read without faults.
    pub(super) fn tree(&self, at: Version) -> Tree {
        let tree = self.disk.without_faults(|| read(self.pond(), at));
        tree.unwrap_or_else(|error| panic!("{at} cannot be read: {error:?}"))
    }

    /// Performs an operation; if it is acknowledged, the resulting tree is promised.
    pub(super) fn operate(&self, rng: &mut Rng) -> FsResult<()> {
        operate(self.pond(), rng)?;
        if self.disk.is_cut() {
            return Ok(());
        }
        let tree = self.tree(Version::NOW);
        self.promised.lock().states.push(tree);
        Ok(())
    }

    /// Checks that the visible tree is the last acknowledged one.
    pub(super) fn nothing_else_changed(&self, after: &str) {
        let tree = self.tree(Version::NOW);
        let promised = self.promised.lock();
        assert!(
            promised.states.last() == Some(&tree),
            "{after} changed the tree"
        );
    }

    pub(super) fn fsync(&self) -> FsResult<()> {
        let upto = self.promised.lock().states.len() - 1;
        self.pond().fsync()?;
        let mut promised = self.promised.lock();
        promised.durable = promised.durable.max(upto);
        Ok(())
    }

    pub(super) fn sync(&self) -> Result<(), PondError> {
        let before = self.promised.lock().states.len() - 1;
        self.pond().sync()?;
        {
            let mut promised = self.promised.lock();
            promised.durable = promised.durable.max(before);
        }
        if self.disk.is_cut() {
            // After the change was made; nothing can be read any more.
            return Ok(());
        }
        let latest = self.pond().latest().version;
        let tree = self.tree(latest);
        let mut promised = self.promised.lock();
        let found = promised.states.iter().rposition(|state| *state == tree);
        let found = found.unwrap_or_else(|| panic!("version {latest} is the tree at no time"));
        assert!(
            found >= before,
            "version {latest} lacks what was acknowledged before"
        );
        promised.versions.insert(latest.0, tree);
        Ok(())
    }

    /// Restores a version that `chosen` selects, or undoes the newest one. The previous and the
    /// restored state each have a version, while concurrent operations continue.
    pub(super) fn bring_back(&self, chosen: u64) -> Result<(), PondError> {
        let pond = self.pond();
        let versions = self
            .promised
            .lock()
            .versions
            .keys()
            .copied()
            .collect::<Vec<_>>();
        let at = versions[chosen as usize % versions.len()];
        let before = self.promised.lock().states.len() - 1;
        self.promised.lock().bringing_back = true;
        let done = match chosen >> 32 & 3 {
            0 => pond.undo().map(|(_, done)| done),
            _ => pond.restore(None, Version(at)),
        };
        self.promised.lock().bringing_back = false;
        if self.disk.is_cut() {
            return done.map(drop);
        }
        // Also where no version could be made of it.
        let tree = self.tree(Version::NOW);
        self.promised.lock().note(tree);
        let done = done?;
        let (tree, expected) = (self.tree(done.version), self.tree(done.from));
        assert!(
            alike(&tree, &expected),
            "version {} came back as another",
            done.from
        );
        let mut promised = self.promised.lock();
        promised.durable = promised.durable.max(before);
        Ok(())
    }

    /// Forgets all but the last versions. Until that is known to have succeeded, each of the others
    /// may exist or not.
    pub(super) fn prune(&self) -> Result<(), PondError> {
        {
            let mut promised = self.promised.lock();
            let versions = promised.versions.keys().copied().collect::<Vec<_>>();
            promised.may_go.extend(versions);
        }
        let policy = Policy {
            keep_last: 2,
            ..Policy::default()
        };
        self.pond().prune(&policy, None, false)?;
        if !self.disk.is_cut() {
            let there = self.pond().versions(Version(0), Version::NOW);
            assert!(there.expect("versions").len() <= 2, "not all was forgotten");
        }
        Ok(())
    }

    /// Ends the pond as a kill does. `fate` chooses what happens to the index.
    pub(super) fn kill(&mut self, fate: u64) {
        self.disk.set_hook(None);
        let pond = self.pond.take();
        drop(pond);
        if fate == 0 {
            // The index is a cache and may be lost.
            std::fs::remove_dir_all(self.index.path().join("index")).ok();
        }
    }

    /// Checks the pond against all promises, after a crash and an opening.
    pub(super) fn verify(&self, after: &str) {
        let tree = self.tree(Version::NOW);
        let latest = self.pond().latest().version;
        let mut promised = self.promised.lock();
        let found = promised.states.iter().rposition(|state| *state == tree);
        let Some(found) = found else {
            panic!("{after}: the tree is the state after no prefix of the operations");
        };
        assert!(
            found >= promised.durable,
            "{after}: the tree is the state after operation {found}, {} was durable",
            promised.durable
        );
        let newest = promised.versions.keys().next_back().copied().unwrap_or(0);
        assert!(latest.0 >= newest, "{after}: version {newest} is gone");
        let may_go = std::mem::take(&mut promised.may_go);
        promised.versions.retain(|version, _| {
            let there = self.pond().version(Version(*version)).expect("look it up");
            there.is_some() || !may_go.contains(version)
        });
        for (version, expected) in &promised.versions {
            let found = self.tree(Version(*version));
            assert!(
                found == *expected,
                "{after}: version {version} is another one"
            );
        }
        for version in newest + 1..=latest.0 {
            // It may have been made and forgotten by calls whose results are unknown.
            if self
                .pond()
                .version(Version(version))
                .expect("look it up")
                .is_none()
            {
                continue;
            }
            let found = self.tree(Version(version));
            let known = promised.states.contains(&found);
            assert!(known, "{after}: version {version} is the tree at no time");
            promised.versions.insert(version, found);
        }
        let problems = self.pond().check(true).expect("check");
        assert!(problems.is_empty(), "{after}: {problems:?}");
        // A generation that was sealed before the crash becomes a version: an earlier state.
        promised.states.truncate(found + 1);
        promised.durable = found;
    }
}

/// Performs one operation on few names, so that operations conflict.
fn operate(pond: &Pond, rng: &mut Rng) -> FsResult<()> {
    let caller = Caller {
        uid: 0,
        gid: 0,
        member: true,
        now: clock(),
    };
    let name = |rng: &mut Rng| {
        let text = [b'a' + rng.below(5) as u8];
        Name::new(&text).expect("a name")
    };
    let dirs = [NodeId::ROOT, NodeId::ROOT, dir(pond)?];
    let (from_dir, to_dir) = (dirs[rng.below(3) as usize], dirs[rng.below(3) as usize]);
    let (from, to) = (name(rng), name(rng));
    let target = pond.lookup(Version::NOW, from_dir, &from)?;
    let id = target.as_ref().map_or(NodeId::ROOT, |(id, _)| *id);
    match rng.below(14) {
        0 | 1 => {
            let new = NewNode {
                kind: if rng.below(8) == 0 {
                    Kind::Directory
                } else {
                    Kind::File
                },
                mode: 0o644,
                rdev: 0,
                target: b"",
            };
            pond.create(&caller, from_dir, &from, &new)?;
        }
        2..7 => {
            let most = [20, 3_000, 9_000][rng.below(3) as usize];
            let (offset, len) = (rng.below(9_000), 1 + rng.below(most));
            let data: Vec<u8> = (0..len).map(|_| rng.number() as u8).collect();
            let old = match &target {
                Some((id, node)) if node.is_file() => pond.read(Version::NOW, *id, 0, node.size)?,
                _ => return Err(Errno::ENOENT.into()),
            };
            pond.write(&caller, id, offset, &data)?;
            let mut expected = old;
            expected.resize(expected.len().max((offset + len) as usize), 0);
            expected[offset as usize..(offset + len) as usize].copy_from_slice(&data);
            let found = pond.read(Version::NOW, id, 0, u64::MAX)?;
            assert!(found == expected, "a write shows other bytes");
        }
        7 => drop(pond.truncate(&caller, id, rng.below(6_000))?),
        8 => pond.unlink(&caller, from_dir, &from)?,
        9 => drop(pond.link(&caller, id, to_dir, &to)?),
        10 => {
            let value = [rng.number() as u8; 30];
            let attr = AttrName::new(b"user.a").expect("a name");
            pond.set_xattr(&caller, id, &attr, &value, SetXattr::Any)?;
        }
        11 => {
            let set = SetAttr {
                mode: Some(0o600 + rng.below(64) as u16),
                ..SetAttr::default()
            };
            pond.setattr(&caller, id, &set)?;
        }
        _ => {
            let (from, to) = ((from_dir, &from), (to_dir, &to));
            pond.rename(&caller, from, to, RenameMode::Replace, false)?;
        }
    }
    Ok(())
}

/// Returns the directory `d`, or the root if it does not exist.
fn dir(pond: &Pond) -> FsResult<NodeId> {
    let name = Name::new(b"d").expect("a name");
    let found = pond.lookup(Version::NOW, NodeId::ROOT, &name)?;
    let dir = found.filter(|(_, node)| node.is_dir());
    Ok(dir.map_or(NodeId::ROOT, |(id, _)| id))
}
