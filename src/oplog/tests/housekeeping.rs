//! Tests of merges and clean-ups: the table's content never changes.

use super::fault::{Fault, FaultStore};
use super::*;
use object_store::memory::InMemory;
use std::fs;
use tempfile::tempdir;

/// Does everything that is due, as the housekeeping thread does.
fn keep_house(oplog: &mut Oplog) -> u64 {
    let mut merges = 0;
    while let Some(merge) = oplog.merge_due().unwrap() {
        let merged = merge.run().unwrap();
        assert!(oplog.commit_merge(merged).unwrap());
        merges += 1;
    }
    if oplog.checkpoint_due() {
        oplog.checkpoint().unwrap();
    }
    if let Some(due) = oplog.clean_up_due().unwrap() {
        due.run().unwrap();
    }
    merges
}

/// Commits `changes(n)` as generation `n`. The numbers of merges are not among the versions.
fn commit(oplog: &mut Oplog, n: u64) -> Version {
    oplog.commit(n, time(n), &changes(n)).unwrap().version
}

fn holds_all(oplog: &Oplog, versions: &[Version]) {
    let found = replayed(oplog, None).unwrap();
    assert_eq!(found.len(), versions.len() + 1);
    for (n, (commit, found)) in (0..).zip(&found) {
        let expected = if n == 0 { birth() } else { changes(n) };
        assert_eq!(dump(found), dump(&expected), "{n}");
        let version = match n {
            0 => Version(0),
            n => versions[n as usize - 1],
        };
        assert_eq!((commit.version, commit.stamp), (version, time(n).into()));
    }
}

#[test]
fn merges_keep_a_thousand_versions_in_few_files_unchanged() {
    let dir = tempdir().unwrap();
    make(dir.path());
    let mut oplog = open(dir.path()).oplog;
    let (mut versions, mut merges) = (Vec::new(), 0);
    for n in 1..=1000 {
        versions.push(commit(&mut oplog, n));
        merges += keep_house(&mut oplog);
    }
    assert!(merges >= 60, "{merges}");
    holds_all(&oplog, &versions);
    let log = fs::read_dir(dir.path().join("_delta_log")).unwrap().count();
    let data = data_files(dir.path()).len();
    assert!(
        log < 220 && data < 260,
        "{log} files of the log, {data} of data"
    );
    assert!(oplog.live_files().unwrap().len() < 50);
    drop(oplog);
    let mut opened = open(dir.path());
    assert_eq!(opened.generation, 1000);
    holds_all(&opened.oplog, &versions);
    // A replay can start between two versions of a merged file.
    let from = versions[499];
    let later = replayed(&opened.oplog, Some(from.0)).unwrap();
    let numbers: Vec<Version> = later.iter().map(|(commit, _)| commit.version).collect();
    assert_eq!(numbers, versions[500..]);
    versions.push(commit(&mut opened.oplog, 1001));
    holds_all(&opened.oplog, &versions);
    let mut problems = Vec::new();
    (opened.oplog.audit(&mut |problem| problems.push(problem))).unwrap();
    assert!(problems.is_empty(), "{problems:?}");
}

#[test]
fn after_a_clean_up_one_damaged_checkpoint_is_harmless() {
    let dir = tempdir().unwrap();
    make(dir.path());
    let mut oplog = open(dir.path()).oplog;
    let mut versions = Vec::new();
    for n in 1..=350 {
        versions.push(commit(&mut oplog, n));
        keep_house(&mut oplog);
    }
    drop(oplog);
    let mut checkpoints: Vec<_> = fs::read_dir(dir.path().join("_delta_log"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.to_string_lossy().ends_with(".checkpoint.parquet"))
        .collect();
    checkpoints.sort();
    let newest = checkpoints.last().unwrap();
    let whole = fs::read(newest).unwrap();
    for at in (0..whole.len()).step_by(whole.len() / 40) {
        let copy = tempdir().unwrap();
        let copied = std::process::Command::new("cp")
            .arg("-a")
            .args([&dir.path().join("."), copy.path()])
            .status();
        assert!(copied.unwrap().success());
        let mut damaged = whole.clone();
        damaged[at] ^= 0x04;
        let path = copy
            .path()
            .join("_delta_log")
            .join(newest.file_name().unwrap());
        fs::write(&path, damaged).unwrap();
        holds_all(&open(copy.path()).oplog, &versions);
        assert!(!path.exists(), "a damaged checkpoint was believed");
    }
}

#[test]
fn a_merge_with_an_unknown_outcome_never_duplicates_rows() {
    for (applied, fault) in [(false, Fault::Before), (true, Fault::After)] {
        let store = FaultStore::new(Arc::new(InMemory::new()));
        Oplog::create_on(store.clone(), POND, time(0), &birth()).unwrap();
        let mut oplog = Oplog::open_on(store.clone(), POND, Version(0))
            .unwrap()
            .oplog;
        let mut versions: Vec<Version> = (1..=20).map(|n| commit(&mut oplog, n)).collect();
        let merged = oplog.merge_due().unwrap().unwrap().run().unwrap();
        store.arm(".json", fault);
        oplog.commit_merge(merged).unwrap_err();
        assert!(
            oplog.merge_due().unwrap().is_none(),
            "not before it is known"
        );
        versions.push(commit(&mut oplog, 21));
        assert_eq!(versions[20], Version(if applied { 22 } else { 21 }));
        holds_all(&oplog, &versions);
        let again = oplog.merge_due().unwrap();
        assert_eq!(again.is_some(), !applied);
        holds_all(
            &Oplog::open_on(store, POND, Version(0)).unwrap().oplog,
            &versions,
        );
    }
}
