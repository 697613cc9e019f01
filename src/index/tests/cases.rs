//! Regression tests, and cases that the model test does not reach.

use crate::index::{Index, IndexError, MAX_USED_ID, VersionInfo};
use crate::tinyfs::{
    AttrName, Changes, ContentId, Dentry, Extent, Extents, Kind, Name, Names, Node, NodeId, Nodes,
    Store, Time, Version, ops,
};
use bytes::Bytes;
use std::sync::atomic::{AtomicBool, Ordering};
use tempfile::TempDir;
use uuid::Uuid;

fn index() -> (TempDir, Index) {
    let dir = TempDir::new_in("/dev/shm")
        .or_else(|_| TempDir::new())
        .unwrap();
    let index = super::open(dir.path(), Uuid::from_u128(1));
    index.recover(0).unwrap();
    (dir, index)
}

fn commit(index: &Index, version: u64) {
    let generation = index.seal();
    let changes = index.sealed(generation).unwrap();
    let info = VersionInfo {
        version: Version(version),
        committed: Time::from_micros(version as i64),
        clock: Time::from_micros(version as i64),
        changes: changes.len() as u64,
    };
    index.commit(&info, &changes).unwrap();
    index.committed(generation);
}

fn file(content: Option<ContentId>) -> Node {
    let t = Time::default();
    Node {
        kind: Kind::File,
        mode: 0o644,
        uid: 0,
        gid: 0,
        nlink: 1,
        size: 0,
        allocated: 0,
        atime: t,
        mtime: t,
        ctime: t,
        btime: t,
        rdev: 0,
        content,
        target: [].into(),
        parent: None,
    }
}

fn put(index: &Index, content: ContentId, offset: u64, bytes: Option<&'static [u8]>) {
    let mut changes = Changes::default();
    let extent = bytes.map(|bytes| Extent::Inline(Bytes::from_static(bytes)));
    changes.set::<Extents>((content, offset), extent);
    // A commit leaves out content that no file refers to.
    changes.set::<Nodes>(NodeId(content.0 + 1_000), Some(file(Some(content))));
    index.apply(changes, None);
}

#[test]
fn last_prefers_the_open_version_for_a_key_that_is_committed_too() {
    let (_dir, index) = index();
    let content = ContentId(index.new_id());
    let last = |to| {
        let last = index.last::<Extents>(Version::NOW, &(content, 0), &(content, to));
        last.unwrap()
            .map(|((_, offset), extent)| (offset, extent.len()))
    };
    put(&index, content, 0, Some(b"0123456789"));
    put(&index, content, 20, Some(b"x"));
    commit(&index, 1);
    put(&index, content, 0, Some(b"01"));
    assert_eq!(last(19), Some((0, 2)));
    put(&index, content, 20, None);
    assert_eq!(last(30), Some((0, 2)));
    index.freeze();
    put(&index, content, 20, Some(b"yy"));
    assert_eq!(last(30), Some((20, 2)));
    put(&index, content, 0, None);
    assert_eq!(last(19), None);
    commit(&index, 2);
    assert_eq!(last(30), Some((20, 2)));
    assert_eq!(
        ops::extents_in(&index, Version(1), content, 5..21)
            .unwrap()
            .len(),
        2
    );
}

#[test]
fn replayed_entries_are_visible_before_and_without_recovery() {
    let dir = TempDir::new_in("/dev/shm")
        .or_else(|_| TempDir::new())
        .unwrap();
    let index = super::open(dir.path(), Uuid::from_u128(1));
    let mut changes = Changes::default();
    changes.set::<Nodes>(NodeId(9), Some(file(None)));
    let info = VersionInfo {
        version: Version(1),
        committed: Time::default(),
        clock: Time::default(),
        changes: 1,
    };
    let mut catching = index.catch_up();
    catching.take(&info, &changes).unwrap();
    catching.finish().unwrap();
    assert!(
        index
            .get::<Nodes>(Version::NOW, &NodeId(9))
            .unwrap()
            .is_some()
    );
    assert!(index.new_id() > 9);
}

#[test]
fn names_with_a_common_prefix_have_separate_histories() {
    let (_dir, index) = index();
    let names: Vec<Name> = [&b"a"[..], b"a\x01", b"ab", b"b"]
        .map(|n| Name::new(n).unwrap())
        .into();
    let set = |name: &Name, there: bool| {
        let mut changes = Changes::default();
        let dentry = there.then_some(Dentry {
            child: NodeId(7),
            kind: Kind::File,
        });
        changes.set::<Names>((NodeId::ROOT, name.clone()), dentry);
        index.apply(changes, None);
    };
    // Version n + 1 has the names from n on: each version removes one.
    names.iter().for_each(|name| set(name, true));
    commit(&index, 1);
    for (n, name) in names.iter().enumerate() {
        set(name, false);
        commit(&index, n as u64 + 2);
    }
    for n in 0..=names.len() {
        let at = Version(n as u64 + 1);
        let mut listed = Vec::new();
        ops::list(&index, at, NodeId::ROOT, None, &mut |name, _| {
            listed.push(name);
            std::ops::ControlFlow::Continue(())
        })
        .unwrap();
        assert_eq!(listed, names[n..], "at {at:?}");
        for (i, name) in names.iter().enumerate() {
            let key = (NodeId::ROOT, name.clone());
            assert_eq!(index.get::<Names>(at, &key).unwrap().is_some(), i >= n);
            let last = index
                .last::<Names>(at, &(NodeId::ROOT, Name::lowest()), &key)
                .unwrap();
            assert_eq!(
                last.map(|((_, name), _)| name),
                (i >= n).then(|| name.clone())
            );
        }
    }
}

#[test]
fn no_entry_is_lost_when_generations_are_sealed_during_writes() {
    let (_dir, index) = index();
    let done = AtomicBool::new(false);
    let ids = std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let mut ids = Vec::new();
            for _ in 0..40_000 {
                let (id, content) = (NodeId(index.new_id()), ContentId(index.new_id()));
                let mut changes = Changes::default();
                changes.set::<Nodes>(id, Some(file(Some(content))));
                index.apply(changes, None);
                assert!(index.get::<Nodes>(Version::NOW, &id).unwrap().is_some());
                ids.push(id);
            }
            done.store(true, Ordering::Relaxed);
            ids
        });
        let mut version = 1;
        while !done.load(Ordering::Relaxed) {
            commit(&index, version);
            version += 1;
            // A scan sees each node once, and never fewer than an earlier scan.
            let mut count = 0;
            let all =
                index.scan::<Nodes>(Version::NOW, &NodeId(0), &NodeId(u64::MAX), &mut |_, _| {
                    count += 1;
                    std::ops::ControlFlow::Continue(())
                });
            all.unwrap();
            assert!(count <= 40_000);
        }
        commit(&index, version);
        writer.join().unwrap()
    });
    for id in ids {
        assert!(
            index.get::<Nodes>(Version::NOW, &id).unwrap().is_some(),
            "{id} is lost"
        );
    }
}

#[test]
fn an_orphan_stays_readable_and_is_in_no_commit() {
    let (_dir, index) = index();
    let (id, content) = (NodeId(index.new_id()), ContentId(index.new_id()));
    let mut changes = Changes::default();
    changes.set::<Nodes>(id, Some(file(Some(content))));
    index.apply(changes, None);
    put(&index, content, 0, Some(b"kept"));
    commit(&index, 1);
    let mut removed = Changes::default();
    removed.set::<Nodes>(id, None);
    let node = Node {
        nlink: 0,
        ..file(Some(content))
    };
    let label = AttrName::new(b"user.a").unwrap();
    let unlinked = ops::Unlinked {
        id,
        node: node.clone(),
        attrs: vec![(label.clone(), Bytes::from_static(b"kept too"))],
    };
    index.apply(removed, Some(unlinked));
    put(&index, content, 4, Some(b"more"));
    commit(&index, 2);
    assert_eq!(index.get::<Nodes>(Version::NOW, &id).unwrap(), Some(node));
    assert_eq!(index.get::<Nodes>(Version(2), &id).unwrap(), None);
    let extents = |at| ops::extents_in(&index, at, content, 0..9).unwrap().len();
    assert_eq!((extents(Version::NOW), extents(Version(2))), (2, 1));
    let value = |at| ops::xattr(&index, at, id, &label).unwrap();
    assert_eq!(value(Version::NOW).unwrap(), "kept too");
    assert_eq!(value(Version(2)), None);
    index.drop_orphan(id, || true);
    assert_eq!(value(Version::NOW).unwrap(), "kept too");
    index.drop_orphan(id, || false);
    assert_eq!(value(Version::NOW), None);
    assert_eq!(index.get::<Nodes>(Version::NOW, &id).unwrap(), None);
    assert_eq!(index.dirty().bytes, 0);
}

#[test]
fn a_run_is_read_whole_while_it_is_split_and_joined() {
    let (_dir, index) = index();
    let content = ContentId(index.new_id());
    let apply = |first: &'static [u8], second: Option<&'static [u8]>| {
        let mut changes = Changes::default();
        let run = |bytes| Extent::Inline(Bytes::from_static(bytes));
        changes.set::<Extents>((content, 0), Some(run(first)));
        changes.set::<Extents>((content, 4), second.map(run));
        index.apply(changes, None);
    };
    apply(b"01234567", None);
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                apply(b"0123", Some(b"4567"));
                apply(b"01234567", None);
            }
        });
        let found: Vec<Vec<_>> = (0..50_000)
            .map(|_| ops::extents_in(&index, Version::NOW, content, 2..8).unwrap())
            .collect();
        stop.store(true, Ordering::Relaxed);
        for extents in found {
            let bytes: u64 = extents.iter().map(|(_, extent)| extent.len()).sum();
            assert_eq!(bytes, 8, "{extents:?}");
        }
    });
}

#[test]
fn runs_are_not_joined_below_changes_of_an_orphan() {
    let (_dir, index) = index();
    let (id, content) = (NodeId(index.new_id()), ContentId(index.new_id()));
    put(&index, content, 0, Some(b"kept"));
    put(&index, content, 4, Some(b"lost"));
    let unlinked = ops::Unlinked {
        id,
        node: file(Some(content)),
        attrs: Vec::new(),
    };
    index.apply(Changes::default(), Some(unlinked));
    put(&index, content, 4, None);
    index.freeze();
    let extents = ops::extents_in(&index, Version::NOW, content, 0..9).unwrap();
    let kept = Extent::Inline(Bytes::from_static(b"kept"));
    assert_eq!(extents, [(0, kept)]);
}

#[test]
fn joined_runs_are_never_longer_than_a_chunk() {
    let (_dir, index) = index();
    let content = ContentId(index.new_id());
    let piece = Bytes::from(vec![7; ops::CHUNK as usize]);
    let mut changes = Changes::default();
    // As a copy to an odd offset leaves them.
    for i in 0..20 {
        let extent = Extent::Inline(piece.clone());
        changes.set::<Extents>((content, 5 + i * ops::CHUNK), Some(extent));
    }
    index.apply(changes, None);
    index.freeze();
    let extents = ops::extents_in(&index, Version::NOW, content, 0..u64::MAX).unwrap();
    assert!(extents.iter().all(|(_, extent)| extent.len() <= ops::CHUNK));
    assert_eq!(
        extents.iter().map(|(_, extent)| extent.len()).sum::<u64>(),
        20 * ops::CHUNK
    );
}

#[test]
fn an_index_with_ids_that_leave_none_for_new_nodes_is_refused() {
    let dir = TempDir::new().unwrap();
    let open = || super::open(dir.path(), Uuid::from_u128(1));
    let index = open();
    index.recover(0).unwrap();
    index.next_id.store(MAX_USED_ID, Ordering::Relaxed);
    assert_eq!(index.new_id(), MAX_USED_ID);
    put(&index, ContentId(5), 0, Some(b"x"));
    commit(&index, 0);
    drop(index);
    let index = open();
    index.recover(0).unwrap();
    assert_eq!(index.new_id(), MAX_USED_ID + 1);
    put(&index, ContentId(5), 1, Some(b"x"));
    commit(&index, 1);
    drop(index);
    let error = open().recover(0);
    assert!(
        matches!(error, Err(IndexError::OutOfIds(id)) if id == MAX_USED_ID + 1),
        "{error:?}"
    );
}

#[test]
fn a_keyspace_that_is_behind_the_others_is_damage() {
    let dir = TempDir::new().unwrap();
    let pond = Uuid::from_u128(1);
    let at = dir.path().join("i");
    let index = super::open(dir.path(), pond);
    index.recover(0).unwrap();
    for version in 0..2 {
        put(&index, ContentId(5), version, Some(b"x"));
        commit(&index, version);
    }
    drop(index);
    // The state if fjall's journal was truncated before entries that only this keyspace needed.
    {
        let db = fjall::Database::builder(&at).open().unwrap();
        let past = db.keyspace("past", Default::default).unwrap();
        let mut mark = past.get([0xFF; 8]).unwrap().unwrap().to_vec();
        mark[0] -= 1;
        past.insert([0xFF; 8], mark).unwrap();
    }
    let journal = crate::index::Journal::open(
        std::sync::Arc::new(crate::disk::LocalDisk),
        &dir.path().join("journal"),
        pond,
    );
    let opened = Index::open(
        &at,
        pond,
        journal.unwrap(),
        &crate::limits::Limits::default(),
    );
    assert!(opened.is_err_and(|error| error.is_damage()));
}

#[test]
fn a_reopened_index_has_every_commit() {
    let (_dir, index) = index();
    let content = ContentId(index.new_id());
    put(&index, content, 0, Some(b"old"));
    commit(&index, 0);
    put(&index, content, 3, Some(b"new"));
    let generation = index.seal();
    let changes = index.sealed(generation).unwrap();
    // Replays a commit that is in the oplog and could not be written to the index.
    index
        .reopen(|applied, take| -> Result<(), crate::index::IndexError> {
            assert_eq!(applied, Some(Version(0)));
            let info = VersionInfo {
                version: Version(1),
                committed: Time::default(),
                clock: Time::default(),
                changes: changes.len() as u64,
            };
            take(&info, &changes)
        })
        .unwrap();
    index.committed(generation);
    let at = |version| {
        ops::extents_in(&index, version, content, 0..9)
            .unwrap()
            .len()
    };
    assert_eq!(
        [at(Version(0)), at(Version(1)), at(Version::NOW)],
        [1, 2, 2]
    );
    assert_eq!(index.latest().unwrap().unwrap().version, Version(1));
}

#[test]
fn a_prepared_change_is_applied_only_if_the_file_did_not_change_meanwhile() {
    let (_dir, index) = index();
    let (content, other) = (ContentId(index.new_id()), ContentId(index.new_id()));
    let id = NodeId(content.0 + 1_000);
    put(&index, content, 0, Some(b"0123456789"));
    commit(&index, 1);
    let prepared = || {
        let mut changes = Changes::default();
        changes.set::<Extents>((content, 0), None);
        changes
    };
    let watched = |meanwhile: &dyn Fn()| {
        index.watch(id, content);
        meanwhile();
        index.apply_watched(prepared())
    };
    let node_only = || {
        let mut changes = Changes::default();
        changes.set::<Nodes>(id, Some(file(Some(content))));
        index.apply(changes, None);
    };
    assert!(!watched(&node_only));
    assert!(!watched(&|| put(&index, content, 20, Some(b"x"))));
    assert!(!watched(&|| assert!(index.patch(content, 20, b"y", 21))));
    // A flush may join or rechunk the extents in memory.
    assert!(!watched(&|| index.freeze()));
    let (spilled, unspilled) = (Changes::default().extents, index.unsettled());
    assert!(!watched(
        &|| index.settle(unspilled[0].clone(), spilled.clone())
    ));
    let extents = || ops::extents_in(&index, Version::NOW, content, 0..9).unwrap();
    assert_eq!(extents().len(), 1);
    // Neither other files nor a commit touch it.
    assert!(watched(&|| {
        put(&index, other, 0, Some(b"other"));
        index.freeze();
        commit(&index, 2);
    }));
    assert!(extents().is_empty());
    assert!(!index.apply_watched(prepared()), "nothing is watched");
}
