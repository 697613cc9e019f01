//! Compares a bulk load of many versions with commits one by one.

use crate::index::target::KeyspaceId;
use crate::index::{Index, IndexError, VersionInfo};
use crate::tinyfs::{
    Changes, ContentId, Dentry, Extent, Extents, Kind, Name, Names, Node, NodeId, Nodes, Time,
    Version,
};
use bytes::Bytes;
use std::path::Path;
use std::sync::Arc;
use tempfile::TempDir;
use uuid::Uuid;

const POND: Uuid = Uuid::from_u128(7);

/// A deterministic pseudo-random generator.
struct Chance(u64);

impl Chance {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (self.0 >> 33) % end
    }
}

fn node(kind: Kind, parent: Option<NodeId>, mtime: u64) -> Node {
    let t = Time::from_micros(mtime as i64);
    Node {
        kind,
        mode: 0o644,
        uid: 0,
        gid: 0,
        nlink: 1,
        size: mtime,
        allocated: 0,
        atime: t,
        mtime: t,
        ctime: t,
        btime: t,
        rdev: 0,
        content: (kind == Kind::File).then_some(ContentId(mtime % 50 + 100_000)),
        target: [].into(),
        parent,
    }
}

/// Returns a history of files that are created, changed, moved and removed in nested directories.
fn history(seed: u64) -> Vec<(VersionInfo, Changes, u64)> {
    let (mut chance, mut next, mut all) = (Chance(seed), 20u64, Vec::new());
    let mut files: Vec<(NodeId, NodeId, Name)> = Vec::new();
    for version in 1..=80u64 {
        let mut changes = Changes::default();
        if version == 1 {
            changes.set::<Nodes>(
                NodeId::ROOT,
                Some(node(Kind::Directory, Some(NodeId::ROOT), 0)),
            );
            for dir in 2..8 {
                let parent = NodeId(if dir < 5 { 1 } else { dir - 3 });
                changes.set::<Nodes>(NodeId(dir), Some(node(Kind::Directory, Some(parent), 0)));
                let name = Name::new(format!("d{dir}").as_bytes()).unwrap();
                let (child, kind) = (NodeId(dir), Kind::Directory);
                changes.set::<Names>((parent, name), Some(Dentry { child, kind }));
            }
        }
        for step in 0..40 {
            let now = version * 100 + step;
            let pick = |chance: &mut Chance| chance.below(files.len().max(1) as u64) as usize;
            match chance.below(6) {
                0..=2 => {
                    let (id, dir) = (NodeId(next), NodeId(2 + chance.below(6)));
                    next += 1;
                    let name = Name::new(format!("f{}", id.0).as_bytes()).unwrap();
                    changes.set::<Nodes>(id, Some(node(Kind::File, None, now)));
                    let (child, kind) = (id, Kind::File);
                    changes.set::<Names>((dir, name.clone()), Some(Dentry { child, kind }));
                    let bytes = Extent::Inline(Bytes::from(vec![step as u8; 40]));
                    changes.set::<Extents>((ContentId(now % 50 + 100_000), now), Some(bytes));
                    files.push((id, dir, name));
                }
                3 if !files.is_empty() => {
                    let (id, ..) = files[pick(&mut chance)];
                    changes.set::<Nodes>(id, Some(node(Kind::File, None, now)));
                }
                4 if !files.is_empty() => {
                    let (id, dir, name) = files.swap_remove(pick(&mut chance));
                    changes.set::<Nodes>(id, None);
                    changes.set::<Names>((dir, name), None);
                }
                5 if !files.is_empty() => {
                    let at = pick(&mut chance);
                    let (id, dir, name) = files[at].clone();
                    let to = NodeId(2 + chance.below(6));
                    changes.set::<Names>((dir, name.clone()), None);
                    let (child, kind) = (id, Kind::File);
                    changes.set::<Names>((to, name.clone()), Some(Dentry { child, kind }));
                    files[at].1 = to;
                }
                _ => {}
            }
        }
        let info = VersionInfo {
            version: Version(version),
            committed: Time::from_micros(version as i64),
            // It steps back now and then.
            clock: Time::from_micros((version ^ 5) as i64),
            changes: changes.len() as u64,
        };
        all.push((info, changes, next));
    }
    all
}

fn open(dir: &Path) -> Result<Index, IndexError> {
    let journal =
        crate::index::Journal::open(Arc::new(crate::disk::LocalDisk), &dir.join("journal"), POND);
    Index::open(
        &dir.join("i"),
        POND,
        journal?,
        &crate::limits::Limits::default(),
    )
}

/// Returns all entries of the index, except marks.
fn everything(index: &Index) -> Vec<(usize, Vec<u8>, Vec<u8>)> {
    let (disk, mut all) = (index.disk.get().unwrap(), Vec::new());
    for (n, id) in KeyspaceId::ALL.into_iter().enumerate() {
        for guard in disk.keyspace(id).iter() {
            let (key, value) = guard.into_inner().unwrap();
            if &*key != crate::index::disk::MARK {
                all.push((n, key.to_vec(), value.to_vec()));
            }
        }
    }
    all
}

#[test]
fn a_bulk_load_equals_commits_one_by_one() {
    for seed in 0..3 {
        let history = history(seed);
        let (one, many, steps) = (
            TempDir::new().unwrap(),
            TempDir::new().unwrap(),
            TempDir::new().unwrap(),
        );
        let index = open(one.path()).unwrap();
        for (info, changes, next_id) in &history {
            index
                .disk
                .get()
                .unwrap()
                .commit(info, changes, *next_id)
                .unwrap();
        }
        let want = everything(&index);
        let at_once = open(many.path()).unwrap();
        let mut catching = at_once.catch_up();
        for (info, changes, next_id) in &history {
            // As a commit of this version would record it.
            at_once
                .next_id
                .store(*next_id, std::sync::atomic::Ordering::Relaxed);
            catching.take(info, changes).unwrap();
        }
        catching.finish().unwrap();
        // `next_id` differs: a bulk load derives it from the ids in the commits, content ids among
        // them.
        let told = |all: &[(usize, Vec<u8>, Vec<u8>)]| -> Vec<_> {
            all.iter()
                .filter(|(_, key, _)| key != b"next_id")
                .cloned()
                .collect()
        };
        assert!(told(&everything(&at_once)) == told(&want), "seed {seed}");
        // The same with the index closed and opened between loads.
        for part in history.chunks(17) {
            let index = open(steps.path()).unwrap();
            let mut catching = index.catch_up();
            for (info, changes, _) in part {
                catching.take(info, changes).unwrap();
            }
            catching.finish().unwrap();
        }
        let index = open(steps.path()).unwrap();
        assert_eq!(index.applied().unwrap(), Some(Version(80)));
        assert!(
            told(&everything(&index)) == told(&want),
            "seed {seed} in steps"
        );
    }
}

#[test]
fn an_unfinished_bulk_load_is_detected_on_open() {
    let dir = TempDir::new().unwrap();
    let index = open(dir.path()).unwrap();
    let mut catching = index.catch_up();
    for (info, changes, _) in &history(1) {
        catching.take(info, changes).unwrap();
    }
    drop(catching);
    assert_eq!(index.applied().unwrap(), None);
    drop(index);
    let error = open(dir.path()).err().unwrap();
    assert!(error.is_damage(), "{error}");
}
