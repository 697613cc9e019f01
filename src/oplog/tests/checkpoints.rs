//! Tests of checkpoints: written when due, used only when intact.

use super::*;
use std::fs;
use tempfile::tempdir;

#[test]
fn three_hundred_commits_with_checkpoints_come_back_in_order() {
    let dir = tempdir().unwrap();
    make(dir.path());
    let mut oplog = open(dir.path()).oplog;
    let mut made = Vec::new();
    for n in 1..=300 {
        extend(&mut oplog, n..=n);
        if oplog.checkpoint_due() {
            oplog.checkpoint().unwrap();
            made.push(n);
        }
    }
    assert_eq!(made, [100, 200, 300]);
    holds(&oplog, 300);
    let mut opened = open(dir.path());
    assert_eq!((opened.latest, opened.generation), (Version(300), 300));
    assert!(!opened.oplog.checkpoint_due());
    holds(&opened.oplog, 300);
    extend(&mut opened.oplog, 301..=301);
    holds(&opened.oplog, 301);
}

fn with_checkpoint(dir: &Path) {
    make(dir);
    let mut oplog = open(dir).oplog;
    extend(&mut oplog, 1..=3);
    oplog.checkpoint().unwrap();
    extend(&mut oplog, 4..=5);
}

#[test]
fn a_checkpoint_that_was_due_before_opening_is_due_after() {
    let dir = tempdir().unwrap();
    make(dir.path());
    extend(&mut open(dir.path()).oplog, 1..=100);
    assert!(open(dir.path()).oplog.checkpoint_due());
}

#[test]
fn a_damaged_checkpoint_is_set_aside_and_the_table_opens() {
    let checkpoint = "_delta_log/00000000000000000003.checkpoint.parquet";
    let damages: [&dyn Fn(&Path); 5] = [
        &|dir| fs::write(dir.join(checkpoint), b"").unwrap(),
        &|dir| fs::remove_file(dir.join(checkpoint)).unwrap(),
        &|dir| {
            let length = fs::metadata(dir.join(checkpoint)).unwrap().len() as usize;
            fs::write(dir.join(checkpoint), vec![0; length]).unwrap();
        },
        &|dir| fs::write(dir.join("_delta_log/_last_checkpoint"), b"\0\0").unwrap(),
        &|dir| fs::write(dir.join("_delta_log/_last_checkpoint"), b"").unwrap(),
    ];
    for (n, damage) in damages.iter().enumerate() {
        let dir = tempdir().unwrap();
        with_checkpoint(dir.path());
        damage(dir.path());
        let mut opened = Oplog::open(&disk(), dir.path(), POND, Version(5)).unwrap();
        assert!(opened.set_aside.is_empty(), "{n}");
        assert_eq!((opened.latest, opened.generation), (Version(5), 5), "{n}");
        extend(&mut opened.oplog, 6..=6);
        opened.oplog.checkpoint().unwrap();
        holds(&opened.oplog, 6);
        holds(&open(dir.path()).oplog, 6);
    }
}

#[test]
fn the_table_opens_without_commits_before_its_checkpoint() {
    let dir = tempdir().unwrap();
    with_checkpoint(dir.path());
    for n in 0..=2 {
        fs::remove_file(commit_file(dir.path(), n)).unwrap();
    }
    holds(&open(dir.path()).oplog, 5);
}
