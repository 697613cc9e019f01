//! Tests of the end of the log after a power cut.

use super::*;
use std::fs;
use std::path::PathBuf;
use tempfile::{TempDir, tempdir};

fn three() -> (TempDir, PathBuf) {
    let dir = tempdir().unwrap();
    make(dir.path());
    extend(&mut open(dir.path()).oplog, 1..=3);
    let path = dir.path().to_path_buf();
    (dir, path)
}

/// Returns the last data file, which version 3 added.
fn last_data_file(dir: &Path) -> PathBuf {
    data_files(dir).pop().unwrap()
}

type Damage = fn(&Path);

const DAMAGES: [(&str, Damage); 8] = [
    ("empty", |dir| fs::write(commit_file(dir, 3), b"").unwrap()),
    ("cut within a line", |dir| {
        let bytes = fs::read(commit_file(dir, 3)).unwrap();
        fs::write(commit_file(dir, 3), &bytes[..bytes.len() / 2]).unwrap();
    }),
    ("cut between lines", |dir| {
        let text = fs::read_to_string(commit_file(dir, 3)).unwrap();
        let cut = text.trim_end().rfind('\n').unwrap();
        assert!(text[cut..].contains("\"txn\""));
        fs::write(commit_file(dir, 3), &text[..=cut]).unwrap();
    }),
    ("zeros", |dir| {
        let length = fs::metadata(commit_file(dir, 3)).unwrap().len() as usize;
        fs::write(commit_file(dir, 3), vec![0; length]).unwrap();
    }),
    ("data file missing", |dir| {
        fs::remove_file(last_data_file(dir)).unwrap()
    }),
    ("data file empty", |dir| {
        fs::write(last_data_file(dir), b"").unwrap()
    }),
    ("data file cut", |dir| {
        let bytes = fs::read(last_data_file(dir)).unwrap();
        fs::write(last_data_file(dir), &bytes[..bytes.len() - 1]).unwrap();
    }),
    ("data file of zeros", |dir| {
        let length = fs::metadata(last_data_file(dir)).unwrap().len() as usize;
        fs::write(last_data_file(dir), vec![0; length]).unwrap();
    }),
];

#[test]
fn a_torn_commit_that_was_not_acknowledged_is_set_aside() {
    for (what, damage) in DAMAGES {
        let (_keep, dir) = three();
        damage(&dir);
        let mut opened = Oplog::open(&disk(), &dir, POND, Version(2)).unwrap();
        assert_eq!(opened.set_aside, [Version(3)], "{what}");
        assert_eq!(
            (opened.latest, opened.generation),
            (Version(2), 2),
            "{what}"
        );
        holds(&opened.oplog, 2);
        assert!(!commit_file(&dir, 3).exists(), "{what}");
        let kept = dir.join("_delta_log/00000000000000000003.json.torn-1");
        assert!(kept.exists(), "{what}: nothing is thrown away");
        extend(&mut opened.oplog, 3..=4);
        holds(&open(&dir).oplog, 4);
    }
}

#[test]
fn a_torn_commit_that_was_acknowledged_is_an_error() {
    for (what, damage) in DAMAGES {
        // Damage at full length of an acknowledged commit is found later, by the checksum.
        if what == "data file of zeros" {
            continue;
        }
        let (_keep, dir) = three();
        damage(&dir);
        match Oplog::open(&disk(), &dir, POND, Version(3)) {
            Err(OplogError::Damaged {
                version: Version(3),
                ..
            }) => {}
            other => panic!("{what}: {:?}", other.map(|o| o.latest)),
        }
        assert!(commit_file(&dir, 3).exists(), "{what}");
    }
}

#[test]
fn several_torn_commits_are_set_aside_repeatedly() {
    let (_keep, dir) = three();
    for n in [2, 3] {
        fs::write(commit_file(&dir, n), b"").unwrap();
    }
    let mut opened = open(&dir);
    assert_eq!(opened.set_aside, [Version(3), Version(2)]);
    extend(&mut opened.oplog, 2..=3);
    fs::write(commit_file(&dir, 3), b"").unwrap();
    let opened = open(&dir);
    assert_eq!(opened.set_aside, [Version(3)]);
    assert!(
        dir.join("_delta_log/00000000000000000003.json.torn-2")
            .exists()
    );
    holds(&opened.oplog, 2);
}

#[test]
fn damage_below_an_intact_commit_is_an_error() {
    let (_keep, dir) = three();
    fs::write(commit_file(&dir, 2), b"").unwrap();
    let opened = Oplog::open(&disk(), &dir, POND, Version(1));
    assert!(matches!(
        opened,
        Err(OplogError::Damaged {
            version: Version(2),
            ..
        })
    ));
    fs::remove_file(commit_file(&dir, 2)).unwrap();
    let opened = Oplog::open(&disk(), &dir, POND, Version(1));
    assert!(matches!(
        opened,
        Err(OplogError::Damaged {
            version: Version(2),
            ..
        })
    ));
}

#[test]
fn a_missing_version_is_an_error() {
    let (_keep, dir) = three();
    fs::remove_file(commit_file(&dir, 3)).unwrap();
    let opened = Oplog::open(&disk(), &dir, POND, Version(3));
    let lost = OplogError::Lost {
        known: Version(3),
        latest: Version(2),
    }
    .to_string();
    assert_eq!(opened.err().unwrap().to_string(), lost);
}

#[test]
fn version_0_is_never_set_aside() {
    let (_keep, dir) = three();
    for n in 0..=3 {
        fs::write(commit_file(&dir, n), b"").unwrap();
    }
    let opened = Oplog::open(&disk(), &dir, POND, Version(0));
    assert!(matches!(
        opened,
        Err(OplogError::Damaged {
            version: Version(0),
            ..
        })
    ));
}

#[test]
fn a_flipped_byte_is_never_returned_as_data() {
    let (_keep, dir) = three();
    let file = last_data_file(&dir);
    let sound = fs::read(&file).unwrap();
    let oplog = open(&dir).oplog;
    for at in (0..sound.len()).step_by(29) {
        let mut bytes = sound.clone();
        bytes[at] ^= 0x10;
        fs::write(&file, &bytes).unwrap();
        let error = replayed(&oplog, Some(2)).unwrap_err();
        assert!(matches!(error, OplogError::DamagedFile { .. }), "{error}");
    }
    fs::write(&file, &sound).unwrap();
    holds(&oplog, 3);
}

/// A lookup of a missing file must not leave an error number for a later error.
#[test]
fn damage_after_a_lookup_of_a_missing_file_is_damage() {
    let dir = tempdir().unwrap();
    make(dir.path());
    let table = open(dir.path()).oplog.table;
    let missing = object_store::path::Path::from("node_part=0/none.parquet");
    assert_eq!(table.size(&missing).unwrap(), None);
    let error = table.failed("read the log", "its library gave up");
    assert!(error.is_damage(), "{}", crate::tinyfs::describe(&error));
}
