//! Tests of the table of an older program, which has no column for the reading of the clock.

use super::fault::{Fault, FaultStore};
use super::*;
use crate::oplog::Stamp;
use crate::oplog::schema::CLOCK;
use object_store::memory::InMemory;
use object_store::path::Path as StorePath;
use object_store::{ObjectStore, ObjectStoreExt};
use serde_json::Value;

/// Returns the stamp of a version that an older program wrote.
fn old(n: u64) -> Stamp {
    Stamp {
        committed: time(n),
        clock: None,
    }
}

/// Returns the commit of a version, line by line.
fn actions(store: &Arc<InMemory>, version: u64) -> Vec<Value> {
    let at = StorePath::from(format!("_delta_log/{version:020}.json"));
    let read = async { store.get(&at).await.unwrap().bytes().await.unwrap() };
    let bytes = futures::executor::block_on(read);
    let lines = bytes.split(|byte| *byte == b'\n').filter(|l| !l.is_empty());
    lines
        .map(|line| serde_json::from_slice(line).unwrap())
        .collect()
}

/// Makes the table of an older program.
fn old_table() -> Arc<InMemory> {
    let store = Arc::new(InMemory::new());
    Oplog::create_on(store.clone(), POND, old(0), &birth()).unwrap();
    let mut lines = actions(&store, 0);
    for line in &mut lines {
        let Some(schema) = line.pointer_mut("/metaData/schemaString") else {
            continue;
        };
        let mut fields: Value = serde_json::from_str(schema.as_str().unwrap()).unwrap();
        let columns = fields["fields"].as_array_mut().unwrap();
        columns.retain(|field| field["name"] != CLOCK);
        *schema = fields.to_string().into();
    }
    let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    let at = StorePath::from("_delta_log/00000000000000000000.json");
    futures::executor::block_on(store.put(&at, text.into())).unwrap();
    store
}

fn open_on(store: Arc<dyn ObjectStore>) -> Oplog {
    Oplog::open_on(store, POND, Version(0)).unwrap().oplog
}

#[test]
fn a_table_without_the_column_gets_it_with_the_next_version() {
    let store = old_table();
    let mut oplog = open_on(store.clone());
    assert!(oplog.snapshot.schema().field(CLOCK).is_none());
    let stamp = Stamp {
        committed: time(5),
        clock: Some(time(2)),
    };
    // The commit that adds the column takes one number.
    let commit = oplog.commit(1, stamp, &changes(1)).unwrap();
    assert_eq!((commit.version, commit.stamp), (Version(2), stamp));
    let added = actions(&store, 1);
    assert!(added.iter().any(|action| action.get("metaData").is_some()));
    assert!(added.iter().all(|action| action.get("add").is_none()));
    for oplog in [&oplog, &open_on(store.clone())] {
        assert!(oplog.snapshot.schema().field(CLOCK).is_some());
        let found = replayed(oplog, None).unwrap();
        let stamps: Vec<Stamp> = found.iter().map(|(commit, _)| commit.stamp).collect();
        assert_eq!(stamps, [old(0), stamp]);
    }
    // Once.
    let commit = open_on(store).commit(2, time(6), &changes(2)).unwrap();
    assert_eq!(commit.version, Version(3));
}

#[test]
fn the_column_is_added_once_whatever_its_commit_is_told() {
    for (applied, fault) in [(false, Fault::Before), (true, Fault::After)] {
        let store = FaultStore::new(old_table());
        let mut oplog = open_on(store.clone());
        store.arm(".json", fault);
        oplog.commit(1, time(1), &changes(1)).unwrap_err();
        let commit = oplog.commit(1, time(2), &changes(1)).unwrap();
        assert_eq!(
            (commit.version, commit.stamp),
            (Version(2), time(2).into()),
            "{applied}"
        );
        let oplog = open_on(store);
        assert_eq!(replayed(&oplog, None).unwrap().len(), 2);
        assert!(oplog.snapshot.schema().field(CLOCK).is_some());
    }
}

#[test]
fn another_writer_that_adds_the_column_is_noticed() {
    let store = old_table();
    let (mut first, mut second) = (open_on(store.clone()), open_on(store));
    first.commit(1, time(1), &changes(1)).unwrap();
    let refused = second.commit(1, time(1), &changes(1));
    assert!(
        matches!(refused, Err(OplogError::Conflict { .. })),
        "{refused:?}"
    );
}

#[test]
fn joined_and_rewritten_files_keep_the_reading_of_the_clock() {
    let dir = tempfile::tempdir().unwrap();
    make(dir.path());
    let mut oplog = open(dir.path()).oplog;
    let stamp = |n: u64| Stamp {
        committed: time(n),
        clock: (!n.is_multiple_of(3)).then(|| time(n / 2)),
    };
    for n in 1..=40 {
        oplog.commit(n, stamp(n), &changes(n)).unwrap();
    }
    let merged = oplog.merge_due().unwrap().unwrap().run().unwrap();
    assert!(oplog.commit_merge(merged).unwrap());
    let kept = |oplog: &Oplog| {
        for (n, (commit, _)) in (0..).zip(replayed(oplog, None).unwrap()).skip(1) {
            assert_eq!(commit.stamp, stamp(n));
        }
    };
    kept(&oplog);
    let mut rewrite = oplog.rewrite().unwrap();
    for (commit, changes) in replayed(&oplog, None).unwrap() {
        rewrite.push(commit, &changes).unwrap();
    }
    oplog.commit_rewrite(rewrite).unwrap();
    kept(&open(dir.path()).oplog);
}
