//! Tests of commits: exactly once, in order, and with competing writers.

use super::fault::{Fault, FaultStore};
use super::*;
use crate::disk::LocalDisk;
use crate::oplog::store::LocalStore;
use crate::tinyfs::{Errno, FsError};
use object_store::ObjectStore;
use object_store::memory::InMemory;
use std::sync::Arc;
use tempfile::tempdir;

#[test]
fn commits_are_replayed_before_and_after_reopening() {
    let dir = tempdir().unwrap();
    make(dir.path());
    let mut opened = open(dir.path());
    assert_eq!((opened.latest, opened.generation), (Version(0), 0));
    extend(&mut opened.oplog, 1..=5);
    holds(&opened.oplog, 5);
    drop(opened);
    let mut opened = open(dir.path());
    assert_eq!((opened.latest, opened.generation), (Version(5), 5));
    assert!(opened.set_aside.is_empty());
    holds(&opened.oplog, 5);
    extend(&mut opened.oplog, 6..=7);
    holds(&opened.oplog, 7);
    let after: Vec<_> = replayed(&opened.oplog, Some(5)).unwrap();
    assert_eq!(
        after.iter().map(|(c, _)| c.version.0).collect::<Vec<_>>(),
        [6, 7]
    );
    assert!(replayed(&opened.oplog, Some(7)).unwrap().is_empty());
}

#[test]
fn a_folder_name_may_have_unusual_characters() {
    let dir = tempdir().unwrap();
    let dir = dir.path().join("a b%41#1?\u{e9}/_delta_log/oplog");
    make(&dir);
    let mut oplog = open(&dir).oplog;
    extend(&mut oplog, 1..=2);
    oplog.checkpoint().unwrap();
    extend(&mut oplog, 3..=3);
    holds(&open(&dir).oplog, 3);
}

#[test]
fn a_table_is_created_once_and_belongs_to_one_pond() {
    let dir = tempdir().unwrap();
    let absent = Oplog::open(&disk(), dir.path(), POND, Version(0));
    assert!(matches!(absent, Err(OplogError::Absent { .. })));
    make(dir.path());
    let again = Oplog::create(&disk(), dir.path(), POND, time(0), &birth());
    assert!(matches!(again, Err(OplogError::Exists { .. })));
    let other = Oplog::open(&disk(), dir.path(), Uuid::from_u128(7), Version(0));
    assert!(matches!(other, Err(OplogError::Foreign { .. })));
}

#[test]
fn a_generation_is_committed_once() {
    let dir = tempdir().unwrap();
    make(dir.path());
    let mut oplog = open(dir.path()).oplog;
    extend(&mut oplog, 1..=3);
    // Repeated by the same and by a reopened oplog. The arguments of the repetition are ignored.
    let expected = Commit {
        version: Version(3),
        stamp: time(3).into(),
    };
    assert_eq!(oplog.commit(3, time(9), &changes(9)).unwrap(), expected);
    let mut oplog = open(dir.path()).oplog;
    assert_eq!(oplog.commit(3, time(9), &changes(9)).unwrap(), expected);
    let stale = oplog.commit(2, time(9), &changes(9));
    assert!(matches!(
        stale,
        Err(OplogError::Stale {
            generation: 2,
            newest: 3
        })
    ));
    let empty = oplog.commit(4, time(9), &Changes::default());
    assert!(matches!(empty, Err(OplogError::Empty)));
    holds(&oplog, 3);
}

fn faulty(store: Arc<dyn ObjectStore>) -> (Arc<FaultStore>, Oplog) {
    Oplog::create_on(store.clone(), POND, time(0), &birth()).unwrap();
    let store = FaultStore::new(store);
    let oplog = Oplog::open_on(store.clone(), POND, Version(0))
        .unwrap()
        .oplog;
    (store, oplog)
}

#[test]
fn a_commit_with_an_unknown_outcome_is_found_on_retry() {
    let dir = tempdir().unwrap();
    let stores: [Arc<dyn ObjectStore>; 2] = [
        Arc::new(LocalStore::open(Arc::new(LocalDisk), dir.path()).unwrap()),
        Arc::new(InMemory::new()),
    ];
    for store in stores {
        let (fault, mut oplog) = faulty(store);
        extend(&mut oplog, 1..=2);
        fault.arm(".json", Fault::After);
        let error = oplog.commit(3, time(3), &changes(3)).unwrap_err();
        assert!(!fault.is_armed());
        assert_eq!(FsError::store(error).errno(), Errno::ENOSPC);
        // The time of the first attempt is kept.
        let commit = oplog.commit(3, time(8), &changes(3)).unwrap();
        assert_eq!(
            commit,
            Commit {
                version: Version(3),
                stamp: time(3).into()
            }
        );
        extend(&mut oplog, 4..=4);
        holds(&oplog, 4);
        // The commit of the next generation resolves the attempt too.
        fault.arm(".json", Fault::After);
        oplog.commit(5, time(5), &changes(5)).unwrap_err();
        extend(&mut oplog, 6..=6);
        holds(&oplog, 6);
    }
}

#[test]
fn a_commit_that_failed_before_writing_is_retried() {
    let dir = tempdir().unwrap();
    let store = Arc::new(LocalStore::open(Arc::new(LocalDisk), dir.path()).unwrap());
    let (fault, mut oplog) = faulty(store);
    extend(&mut oplog, 1..=1);
    for end in [".json", ".parquet"] {
        fault.arm(end, Fault::Before);
        let error = oplog.commit(2, time(2), &changes(2)).unwrap_err();
        assert_eq!(FsError::store(error).errno(), Errno::ENOSPC, "{end}");
    }
    extend(&mut oplog, 2..=3);
    holds(&oplog, 3);
    holds(&open(dir.path()).oplog, 3);
}

#[test]
fn a_failed_data_file_leaves_no_orphan_files() {
    let dir = tempdir().unwrap();
    let store = Arc::new(LocalStore::open(Arc::new(LocalDisk), dir.path()).unwrap());
    let (fault, mut oplog) = faulty(store);
    let before = data_files(dir.path()).len();
    let mut two = Changes::default();
    two.set::<Nodes>(NodeId(5), Some(node(Kind::File, 5)));
    two.set::<Nodes>(NodeId(5 << 20), Some(node(Kind::File, 5)));
    fault.arm(".json", Fault::Before);
    oplog.commit(1, time(1), &two).unwrap_err();
    assert_eq!(
        data_files(dir.path()).len(),
        before + 2,
        "the outcome is not known"
    );
    oplog.commit(1, time(1), &two).unwrap();
    let found = replayed(&oplog, Some(0)).unwrap();
    assert_eq!(dump(&found[0].1), dump(&two));
    assert!(dir.path().join("node_part=5").is_dir());
}

#[test]
fn a_writer_is_fenced_after_another_commit() {
    let dir = tempdir().unwrap();
    make(dir.path());
    let (mut one, mut other) = (open(dir.path()).oplog, open(dir.path()).oplog);
    extend(&mut one, 1..=2);
    // The same pond and generation from another writer must not be taken for its own commit.
    let lost = other.commit(1, time(1), &changes(1));
    assert!(
        matches!(
            lost,
            Err(OplogError::Conflict {
                version: Version(1)
            })
        ),
        "{lost:?}"
    );
    let lost = other.commit(2, time(2), &changes(3));
    assert!(matches!(
        lost,
        Err(OplogError::Conflict {
            version: Version(1)
        })
    ));
    extend(&mut one, 3..=3);
    holds(&open(dir.path()).oplog, 3);
}

#[test]
fn a_writer_with_an_unknown_outcome_is_fenced_after_another_commit() {
    let dir = tempdir().unwrap();
    let store = Arc::new(LocalStore::open(Arc::new(LocalDisk), dir.path()).unwrap());
    let (fault, mut oplog) = faulty(store);
    fault.arm(".json", Fault::Before);
    oplog.commit(1, time(1), &changes(1)).unwrap_err();
    extend(&mut open(dir.path()).oplog, 1..=1);
    let lost = oplog.commit(1, time(1), &changes(1));
    assert!(
        matches!(
            lost,
            Err(OplogError::Conflict {
                version: Version(1)
            })
        ),
        "{lost:?}"
    );
}

#[test]
fn values_out_of_range_are_refused_before_any_write() {
    let dir = tempdir().unwrap();
    make(dir.path());
    let mut oplog = open(dir.path()).oplog;
    let before = data_files(dir.path());
    let mut far = Changes::default();
    far.set::<Nodes>(NodeId(1 << 52), None);
    assert!(matches!(
        oplog.commit(1, time(1), &far),
        Err(OplogError::Range(_))
    ));
    let mut long = Changes::default();
    let extent = Extent::Inline(Bytes::new());
    long.set::<Extents>((ContentId(1), 0), Some(extent));
    assert!(matches!(
        oplog.commit(1, time(1), &long),
        Err(OplogError::Record { .. })
    ));
    let time_out = Time {
        sec: i64::MAX,
        nsec: 0,
    };
    assert!(matches!(
        oplog.commit(1, time_out, &changes(1)),
        Err(OplogError::Range(_))
    ));
    assert_eq!(data_files(dir.path()), before);
    extend(&mut oplog, 1..=1);
    holds(&oplog, 1);
}

#[test]
fn a_commit_syncs_its_files_and_their_folders() {
    let dir = tempdir().unwrap();
    let store = Arc::new(LocalStore::open(Arc::new(LocalDisk), dir.path()).unwrap());
    let (_, mut oplog) = faulty(store.clone());
    let before = store.syncs();
    extend(&mut oplog, 1..=1);
    // Data file and its folder, commit and its folder.
    assert_eq!(store.syncs() - before, 4);
}

#[test]
fn an_oplog_can_be_handed_to_another_thread() {
    fn sent<T: Send>() {}
    sent::<Oplog>();
    sent::<OplogError>();
    let dir = tempdir().unwrap();
    make(dir.path());
    let mut oplog = open(dir.path()).oplog;
    let thread = std::thread::spawn(move || {
        extend(&mut oplog, 1..=2);
        oplog
    });
    holds(&thread.join().unwrap(), 2);
}

/// A measurement: `cargo test --lib oplog::tests::commits::latency -- --ignored --nocapture`
#[test]
#[ignore = "a measurement"]
fn latency() {
    let dir = tempdir().unwrap();
    make(dir.path());
    let mut oplog = open(dir.path()).oplog;
    let mut took: Vec<_> = (1..=100)
        .map(|n| {
            let start = std::time::Instant::now();
            extend(&mut oplog, n..=n);
            start.elapsed()
        })
        .collect();
    took.sort();
    println!("p50 {:?} p99 {:?}", took[50], took[98]);
}
