//! Random histories of a tree, whose queries are compared with a recorded state of each version.
//!
//! After each version the whole tree is recorded. The expected versions of a directory or a file,
//! differences and restored states are then computed from the records.

use super::*;
use crate::pond::{OpenOptions, Pond, PondError};
use crate::tinyfs::ops::{Caller, NewNode, Place, RenameMode, SetXattr};
use crate::tinyfs::{
    AttrName, Dentry, Errno, Kind, Name, Names, Node, NodeId, Nodes, Time, Version,
};
use proptest::prelude::Rng;
use proptest::test_runner::{RngAlgorithm, TestRng};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// Path → node, bytes and attributes.
pub(in crate::pond) type Seen = BTreeMap<Vec<u8>, What>;
type What = (NodeId, Node, Vec<u8>, Vec<u8>);
/// The attributes that a restoration has to bring back.
type Shape = BTreeMap<Vec<u8>, (Kind, u16, Time, Vec<u8>, Vec<u8>)>;

pub(in crate::pond) struct Life {
    pub(in crate::pond) pond: Arc<Pond>,
    rng: TestRng,
    clock: i64,
    /// Each version, and its tree.
    pub(in crate::pond) versions: BTreeMap<Version, Seen>,
    _dir: tempfile::TempDir,
}

impl Life {
    pub(in crate::pond) fn new(seed: u8) -> Life {
        let dir = tempfile::TempDir::new_in("/dev/shm")
            .or_else(|_| tempfile::tempdir())
            .unwrap();
        let path = dir.path().join("pond");
        Pond::init(&path).unwrap();
        let options = OpenOptions {
            commit_interval: Duration::from_secs(3_600),
            ..OpenOptions::default()
        };
        Life {
            pond: Pond::open(&path, &options).unwrap(),
            rng: TestRng::from_seed(RngAlgorithm::ChaCha, &[seed; 32]),
            clock: 1_700_000_000,
            versions: BTreeMap::new(),
            _dir: dir,
        }
    }

    pub(in crate::pond) fn below(&mut self, n: u64) -> u64 {
        self.rng.next_u64() % n
    }

    fn caller(&mut self) -> Caller {
        self.clock += 1;
        Caller {
            uid: 0,
            gid: 0,
            member: true,
            now: Time {
                sec: self.clock,
                nsec: 0,
            },
        }
    }

    fn name(&mut self) -> Name {
        Name::new(format!("n{}", self.below(6)).as_bytes()).unwrap()
    }

    /// Returns an existing directory.
    fn dir(&mut self) -> NodeId {
        let mut dirs = vec![NodeId::ROOT];
        let seen = see(&self.pond, Version::NOW);
        dirs.extend(
            seen.values()
                .filter(|(_, node, ..)| node.is_dir())
                .map(|(id, ..)| *id),
        );
        let n = self.below(dirs.len() as u64) as usize;
        dirs[n]
    }

    /// Performs one operation. It may fail.
    pub(in crate::pond) fn step(&mut self) {
        let (caller, dir, name) = (self.caller(), self.dir(), self.name());
        let (to, new_name) = (self.dir(), self.name());
        let child = self
            .pond
            .lookup(Version::NOW, dir, &name)
            .unwrap()
            .map(|(id, _)| id);
        let kind = match self.below(3) {
            0 => Kind::Directory,
            _ => Kind::File,
        };
        let pond = self.pond.clone();
        let new = NewNode {
            kind,
            mode: 0o755,
            rdev: 0,
            target: b"",
        };
        match self.below(9) {
            0 | 1 => drop(pond.create(&caller, dir, &name, &new)),
            2 | 3 => {
                if let Some(id) = child {
                    let (offset, byte) = (self.below(300_000), self.below(256) as u8);
                    let length = 1 + self.below(9_000) as usize;
                    drop(pond.write(&caller, id, offset, &vec![byte; length]));
                }
            }
            4 => drop(pond.unlink(&caller, dir, &name)),
            5 => drop(pond.rmdir(&caller, dir, &name)),
            6 => {
                let mode = if self.below(4) == 0 {
                    RenameMode::Exchange
                } else {
                    RenameMode::Replace
                };
                drop(pond.rename(&caller, (dir, &name), (to, &new_name), mode, false));
            }
            7 => {
                if let Some(id) = child {
                    drop(pond.link(&caller, id, to, &new_name));
                }
            }
            _ => {
                if let Some(id) = child {
                    let attr = AttrName::new(b"user.a").unwrap();
                    drop(pond.set_xattr(&caller, id, &attr, &[self.below(9) as u8], SetXattr::Any));
                }
            }
        }
    }

    pub(in crate::pond) fn commit(&mut self) {
        let version = self.pond.sync().unwrap();
        self.versions.insert(version, see(&self.pond, version));
    }
}

/// Reads the whole tree.
pub(in crate::pond) fn see(pond: &Pond, at: Version) -> Seen {
    let mut seen = Seen::new();
    let mut waiting = vec![(Vec::new(), NodeId::ROOT)];
    while let Some((path, dir)) = waiting.pop() {
        for (name, dentry) in pond.list(at, dir).unwrap() {
            let path: Vec<u8> = match path.is_empty() {
                true => name.as_bytes().to_vec(),
                false => [&path, &b"/"[..], name.as_bytes()].concat(),
            };
            let node = pond.node(at, dentry.child).unwrap();
            let bytes = match node.is_file() {
                true => pond.read(at, dentry.child, 0, u64::MAX).unwrap(),
                false => Vec::new(),
            };
            let attr = AttrName::new(b"user.a").unwrap();
            let attrs = pond
                .xattr(at, dentry.child, &attr)
                .unwrap()
                .unwrap_or_default();
            if node.is_dir() {
                waiting.push((path.clone(), dentry.child));
            }
            seen.insert(path, (dentry.child, node, bytes, attrs.to_vec()));
        }
    }
    seen
}

/// Returns a directory and everything below it, by paths relative to it; `None` where it does
/// not exist.
fn subtree(seen: &Seen, dir: NodeId) -> Option<Seen> {
    let (path, itself) = seen.iter().find(|(_, (id, ..))| *id == dir)?;
    let prefix = [path, &b"/"[..]].concat();
    let below = seen
        .iter()
        .filter_map(|(p, what)| Some((p.strip_prefix(&prefix[..])?.to_vec(), what.clone())));
    let mut subtree: Seen = below.collect();
    subtree.insert(Vec::new(), itself.clone());
    Some(subtree)
}

fn parent_and_name(seen: &Seen, path: &[u8]) -> Option<(NodeId, Name)> {
    let (dir, name) = match path.iter().rposition(|b| *b == b'/') {
        Some(at) => (seen.get(&path[..at])?.0, &path[at + 1..]),
        None => (NodeId::ROOT, path),
    };
    Some((dir, Name::new(name).unwrap()))
}

fn live(seed: u8) {
    let mut life = Life::new(seed);
    life.commit();
    for _ in 0..25 {
        for _ in 0..life.below(12) + 1 {
            life.step();
        }
        life.commit();
    }
    directories(&life, seed);
    files(&life, seed);
    differences(&mut life, seed);
    restorations(&mut life, seed);
    assert!(life.pond.check(true).unwrap().is_empty());
    life.pond.close().unwrap();
}

/// The versions of each directory are those in which something in or below it changed.
fn directories(life: &Life, seed: u8) {
    let all = life.versions.values().flat_map(|seen| seen.values());
    let dirs: BTreeSet<NodeId> = all
        .filter(|(_, node, ..)| node.is_dir())
        .map(|(id, ..)| *id)
        .collect();
    for dir in dirs {
        let mut expected = Vec::new();
        let mut before = None;
        for (version, seen) in &life.versions {
            let now = subtree(seen, dir);
            if now.is_some() && now != before {
                expected.push(*version);
            }
            before = now;
        }
        let found = life.pond.directory_versions(Version::NOW, dir).unwrap();
        assert_eq!(found, expected, "seed {seed}: directory {dir}");
    }
}

/// The versions of each file are those in which its name leads to other bytes, or another file.
fn files(life: &Life, seed: u8) {
    let mut names = BTreeSet::new();
    for seen in life.versions.values() {
        names.extend(seen.keys().filter_map(|path| parent_and_name(seen, path)));
    }
    for (dir, name) in names {
        let mut expected = Vec::new();
        let mut before: Option<(NodeId, Vec<u8>)> = None;
        for (version, seen) in &life.versions {
            let there = |(path, (_, node, ..)): &(&Vec<u8>, &What)| {
                !node.is_dir() && parent_and_name(seen, path).as_ref() == Some(&(dir, name.clone()))
            };
            let now = seen
                .iter()
                .find(there)
                .map(|(_, (id, _, bytes, _))| (*id, bytes.clone()));
            if now.is_some() && now != before {
                expected.push(*version);
            }
            before = now;
        }
        let edits = life.pond.file_versions(Version::NOW, dir, &name).unwrap();
        let found: Vec<Version> = edits.iter().map(|edit| edit.version).collect();
        // Bytes that were overwritten with the same bytes count as a change.
        let missing = expected.iter().find(|version| !found.contains(version));
        assert_eq!(
            missing, None,
            "seed {seed}: {name} in {dir}: {found:?} of {expected:?}"
        );
        assert!(
            found.is_sorted() && found.len() <= expected.len() + 3,
            "seed {seed}: {name}: {found:?}"
        );
    }
}

/// The differences between two versions turn one into the other.
fn differences(life: &mut Life, seed: u8) {
    let numbers: Vec<Version> = life.versions.keys().copied().collect();
    for _ in 0..10 {
        let n = numbers.len() as u64;
        let (a, b) = (
            numbers[life.below(n) as usize],
            numbers[life.below(n) as usize],
        );
        let (before, after) = (&life.versions[&a], &life.versions[&b]);
        let roots = (Some(NodeId::ROOT), Some(NodeId::ROOT));
        let mut told = BTreeSet::new();
        let mut comparison = life.pond.differences(a, b, b"", roots, None);
        while let Some(difference) = comparison.next_difference().unwrap() {
            if let Change::Moved(from) = &difference.change {
                told.insert(from.clone());
            }
            told.insert(difference.path);
        }
        let what = |(id, node, bytes, attrs): &What| {
            (*id, node.kind, node.mode, bytes.clone(), attrs.clone())
        };
        for path in before.keys().chain(after.keys()) {
            let (was, is) = (before.get(path).map(what), after.get(path).map(what));
            // A file that replaces another with the same bytes is no difference.
            let same = match (&was, &is) {
                (Some(was), Some(is)) => {
                    (was.1, was.2, &was.3, &was.4) == (is.1, is.2, &is.3, &is.4)
                }
                (was, is) => was == is,
            };
            let lead = String::from_utf8_lossy(path);
            // A file that was moved away may still be reported as moved.
            assert!(
                same || told.contains(path),
                "seed {seed}: {a} to {b}: {lead} is not told"
            );
            if same && was.as_ref().map(|w| w.0) == is.as_ref().map(|i| i.0) {
                assert!(
                    !told.contains(path),
                    "seed {seed}: {a} to {b}: {lead} is told"
                );
            }
        }
    }
}

/// A restoration changes a path to its earlier state, and nothing else.
fn restorations(life: &mut Life, seed: u8) {
    for _ in 0..6 {
        for _ in 0..life.below(8) {
            life.step();
        }
        let numbers: Vec<Version> = life.versions.keys().copied().collect();
        let at = numbers[life.below(numbers.len() as u64) as usize];
        let then = life.versions[&at].clone();
        let now = see(&life.pond, Version::NOW);
        let mut paths: Vec<Vec<u8>> = then.keys().chain(now.keys()).cloned().collect();
        paths.push(Vec::new());
        let path = paths[life.below(paths.len() as u64) as usize].clone();
        let place = match path.is_empty() {
            true => None,
            false => match parent_and_name(&now, &path) {
                Some((dir, name)) if life.pond.node(Version::NOW, dir).unwrap().is_dir() => {
                    Some((dir, name))
                }
                _ => continue,
            },
        };
        // The parent directory was another one, or did not exist.
        let then_in = match path.iter().rposition(|b| *b == b'/') {
            None => Some(NodeId::ROOT),
            Some(end) => then.get(&path[..end]).map(|(id, ..)| *id),
        };
        let Some(dir_then) = then_in else { continue };
        let place = place.as_ref().map(|(dir, name)| Place {
            dir: *dir,
            dir_then,
            name,
        });
        let was_there = path.is_empty() || then.contains_key(&path);
        let is_there = path.is_empty() || now.contains_key(&path);
        if !was_there && !is_there {
            continue;
        }
        life.pond.restore(place, at).unwrap();
        let after = see(&life.pond, Version::NOW);
        let within = |p: &[u8]| {
            path.is_empty()
                || p == path
                || p.strip_prefix(&path[..])
                    .is_some_and(|rest| rest.first() == Some(&b'/'))
        };
        let shape = |seen: &Seen, inside: bool| -> Shape {
            let chosen = seen.iter().filter(|(p, _)| within(p) == inside);
            let part = chosen.map(|(p, (_, n, bytes, attrs))| {
                (
                    p.clone(),
                    (n.kind, n.mode, n.mtime, bytes.clone(), attrs.clone()),
                )
            });
            part.collect()
        };
        let lead = String::from_utf8_lossy(&path);
        assert_eq!(
            shape(&after, true),
            shape(&then, true),
            "seed {seed}: {lead} of {at}"
        );
        // Around the path: everything but the times of the directory, and files that share a
        // node with it.
        let names =
            |seen: &Seen| -> Vec<Vec<u8>> { seen.keys().filter(|p| !within(p)).cloned().collect() };
        assert_eq!(
            names(&after),
            names(&now),
            "seed {seed}: beside {lead} of {at}"
        );
        life.commit();
    }
}

/// The part of a tree that must be equal, whichever nodes are copies; of bytes a part of their
/// hash.
type Alike = BTreeMap<String, (Kind, u16, i64, u32, u64, [u8; 4], Vec<u8>)>;

pub(in crate::pond) fn alike(seen: &Seen) -> Alike {
    let shape = |(path, (_, n, bytes, attrs)): (&Vec<u8>, &What)| {
        let hash = *blake3::hash(bytes).as_bytes().first_chunk().unwrap();
        let shape = (
            n.kind,
            n.mode,
            n.mtime.sec,
            n.nlink,
            n.size,
            hash,
            attrs.clone(),
        );
        (String::from_utf8_lossy(path).into_owned(), shape)
    };
    seen.iter().map(shape).collect()
}

/// An undo restores the state before the newest version, and the next one reverts the undo.
fn undos(seed: u8) {
    let mut life = Life::new(seed);
    life.commit();
    for round in 0..20 {
        let before = see(&life.pond, Version::NOW);
        // A pinned node, whatever happens to its names.
        let ids: Vec<NodeId> = before.values().map(|(id, ..)| *id).collect();
        let held = ids.get(life.below(ids.len() as u64 + 1) as usize).copied();
        held.into_iter().for_each(|id| life.pond.pin(id));
        let steps = 1 + life.below(9);
        (0..steps).for_each(|_| life.step());
        // Sometimes the undone changes have a version already, and a later one only adds a tag.
        let case = life.below(3);
        if case > 0 {
            life.commit();
        }
        if case > 1 {
            let name = format!("t{round}");
            life.pond.give_tag(&name, None, "").unwrap();
        }
        let after = see(&life.pond, Version::NOW);
        if alike(&before) == alike(&after) {
            held.into_iter().for_each(|id| life.pond.unpin(id, 1));
            continue;
        }
        life.pond.undo().unwrap();
        let undone = see(&life.pond, Version::NOW);
        assert_eq!(alike(&undone), alike(&before), "seed {seed}, round {round}");
        if life.below(2) == 0 {
            life.pond.undo().unwrap();
            let again = see(&life.pond, Version::NOW);
            assert_eq!(alike(&again), alike(&after), "seed {seed}, round {round}");
        }
        held.into_iter().for_each(|id| life.pond.unpin(id, 1));
        life.commit();
    }
    assert_eq!(life.pond.check(true).unwrap(), Vec::new(), "seed {seed}");
    life.pond.close().unwrap();
}

#[test]
fn an_undo_takes_back_the_newest_version_and_another_one_the_undo() {
    for seed in 1..=16 {
        undos(seed);
    }
}

#[test]
fn the_past_is_told_as_it_was_seen() {
    for seed in 1..=12 {
        live(seed);
    }
}

fn node(pond: &Pond, kind: Kind, dir: NodeId, name: &str) -> NodeId {
    let caller = Caller {
        uid: 0,
        gid: 0,
        member: true,
        now: Time::from_micros(1_700_000_000_000_000),
    };
    let new = NewNode {
        kind,
        mode: 0o755,
        rdev: 0,
        target: b"",
    };
    let name = Name::new(name.as_bytes()).unwrap();
    pond.create(&caller, dir, &name, &new).unwrap().0
}

/// Adds a second name of a directory, as only a forged oplog can.
fn forge(pond: &Pond, dir: NodeId, name: &str, child: NodeId, parent: Option<NodeId>) {
    let forged = pond.change(|tx| {
        let kind = Kind::Directory;
        let name = Name::new(name.as_bytes()).unwrap();
        tx.put::<Names>((dir, name), Dentry { child, kind });
        if parent.is_some() {
            let mut node = tx.get::<Nodes>(&child)?.unwrap();
            node.parent = parent;
            tx.put::<Nodes>(child, node);
        }
        Ok(())
    });
    forged.unwrap();
}

#[test]
fn directories_that_contain_themselves_have_no_path_and_hang_nothing() {
    let life = Life::new(70);
    let pond = &life.pond;
    let a = node(pond, Kind::Directory, NodeId::ROOT, "a");
    let b = node(pond, Kind::Directory, a, "b");
    node(pond, Kind::File, b, "f");
    let before = pond.sync().unwrap();
    // `a` is in `b`, which is in `a`, and in nothing else.
    forge(pond, b, "a", a, Some(b));
    pond.change(|tx| {
        tx.remove::<Names>((NodeId::ROOT, Name::new(b"a").unwrap()));
        Ok(())
    })
    .unwrap();
    let after = pond.sync().unwrap();
    for id in [a, b] {
        assert_eq!(pond.path_of(Version::NOW, id).unwrap(), None);
        assert_eq!(pond.path_of(after, id).unwrap(), None);
        assert!(pond.path_of(before, id).unwrap().is_some());
    }
    let event = pond.path_history(b"a/b").unwrap().next_event();
    assert!(event.unwrap().is_some());
    let ends = (Some(NodeId::ROOT), Some(NodeId::ROOT));
    let mut comparison = pond.differences(before, after, b"", ends, None);
    let mut found = 0;
    while comparison.next_difference().unwrap().is_some() {
        found += 1;
        assert!(found < 100, "it goes round");
    }
    assert!(!pond.check(false).unwrap().is_empty());
    pond.close().unwrap();
}

#[test]
fn directories_with_many_names_are_compared_once_each() {
    let life = Life::new(71);
    let pond = &life.pond;
    let before = pond.sync().unwrap();
    // 2^40 paths, and a directory that is in itself.
    let mut dir = NodeId::ROOT;
    for _ in 0..40 {
        let below = node(pond, Kind::Directory, dir, "x");
        forge(pond, dir, "y", below, None);
        dir = below;
    }
    node(pond, Kind::File, dir, "f");
    forge(pond, dir, "itself", dir, None);
    let after = pond.sync().unwrap();
    let ends = (Some(NodeId::ROOT), Some(NodeId::ROOT));
    let mut comparison = pond.differences(before, after, b"", ends, None);
    let mut found = BTreeSet::new();
    while let Some(difference) = comparison.next_difference().unwrap() {
        assert!(found.insert(difference.path));
        assert!(found.len() <= 82, "every path is followed");
    }
    assert_eq!(found.len(), 82);
    let root = crate::tinyfs::Wd::root(&pond.index, after).unwrap();
    let pattern = crate::tinyfs::Pattern::new(b"**/f").unwrap();
    let error = root.matches(&pattern).err().expect("a tree that is none");
    assert_eq!(error.errno(), Errno::ELOOP);
    pond.close().unwrap();
}

#[test]
fn a_path_of_a_million_names_is_looked_for_by_a_loop() {
    let life = Life::new(72);
    let pond = &life.pond;
    node(pond, Kind::Directory, NodeId::ROOT, "a");
    pond.sync().unwrap();
    let error = pond.path_history(&b"a/".repeat(1_000_000)).err().unwrap();
    assert_eq!(error.errno(), Errno::ENOENT);
    pond.close().unwrap();
}

#[test]
fn message_of_a_tag_that_no_commit_could_hold_is_refused() {
    let life = Life::new(1);
    let refused = life.pond.give_tag("long", None, &"x".repeat(100_000));
    assert!(matches!(refused, Err(PondError::TagMessage(100_000))));
    // JSON writes each of these bytes as six.
    let longest = "\u{1}".repeat(MAX_MESSAGE);
    life.pond.give_tag("longest", None, &longest).unwrap();
    assert_eq!(life.pond.tag("longest").unwrap().unwrap().message, longest);
    life.pond.close().unwrap();
}
