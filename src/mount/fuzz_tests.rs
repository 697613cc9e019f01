//! Fuzz tests of names that a client looks up, `@version` among them: no panic, bounded memory, and
//! every inode that was looked up can be forgotten.

use super::vfs::Vfs;
use super::views::inodes::View;
use super::views::names::Lookup;
use crate::fuzz_tests::{config, peak};
use crate::pond::{OpenOptions, Pond};
use crate::tinyfs::ops::{Caller, NewNode};
use crate::tinyfs::{Kind, Name, NodeId, Time, Version};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;

const ROOT: Caller = Caller {
    uid: 0,
    gid: 0,
    member: true,
    now: Time {
        sec: 1_700_000_000,
        nsec: 0,
    },
};

/// Bytes that a walk through a pond of a few files may allocate.
const STEP: usize = 64 << 20;

fn make(pond: &Pond, dir: NodeId, name: &str, kind: Kind, text: &str) -> NodeId {
    let name = Name::new(name.as_bytes()).unwrap();
    let new = NewNode {
        kind,
        mode: 0o755,
        rdev: 0,
        target: b"f.csv",
    };
    let (id, _) = pond.create(&ROOT, dir, &name, &new).unwrap();
    if kind == Kind::File {
        pond.write(&ROOT, id, 0, text.as_bytes()).unwrap();
    }
    id
}

/// Creates a pond with some versions, a tag, a symbolic link and a resource.
fn pond() -> (TempDir, Arc<Pond>) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("pond");
    Pond::init(&path).unwrap();
    let options = OpenOptions {
        commit_interval: Duration::from_secs(3_600),
        ..OpenOptions::default()
    };
    let pond = Pond::open(&path, &options).unwrap();
    let d = make(&pond, NodeId::ROOT, "d", Kind::Directory, "");
    make(&pond, d, "f.csv", Kind::File, "timestamp,a\n1,2\n");
    pond.sync().unwrap();
    make(&pond, d, "below", Kind::Directory, "");
    make(&pond, d, "link", Kind::Symlink, "");
    make(&pond, NodeId::ROOT, &"l".repeat(255), Kind::File, "x");
    let sql = make(&pond, NodeId::ROOT, "Sql", Kind::Directory, "");
    let text = "apiVersion: v1\nkind: Sql\nname: s\ndesc: x\nspec:\n  queries:\n  \
        - {name: q.csv, inputs: {t: \"/d/*.csv\"}, query: \"SELECT a FROM t\"}\n";
    make(&pond, sql, "s.yaml", Kind::File, text);
    pond.sync().unwrap();
    pond.give_tag("named", None, "").unwrap();
    make(&pond, d, "later", Kind::File, "y");
    (dir, pond)
}

/// Generates names that a program can look up: not empty, without `/` and NUL.
fn names() -> impl Strategy<Value = Vec<u8>> {
    let known = prop_oneof![
        Just("d"),
        Just("f.csv"),
        Just("below"),
        Just("link"),
        Just("later"),
        Just("Sql"),
        Just("s"),
        Just("q.csv"),
        Just(".pond"),
        Just("status"),
        Just("."),
        Just(".."),
        Just("@version"),
        Just("f.csv@version"),
        Just("gone@version"),
        Just("@version@version"),
        Just("named"),
        Just("latest"),
        Just("latest.csv"),
        Just("1"),
        Just("1.csv"),
        Just("2"),
        Just("0s-ago"),
    ];
    let version = "(latest(~[0-9]{1,22})?|[0-9]{1,22}|[0-9]{1,20}[smhdw]-ago|[0-9]{4}-[0-9]{2}(-[0-9]{2})?([T_][0-9:.]{0,20})?(Z|[+-][0-9]{2}:[0-9]{2})?|[a-zA-Z_][a-z0-9._-]{0,12})(\\.csv)?";
    let bytes = vec(
        any::<u8>().prop_map(|byte| if matches!(byte, 0 | b'/') { b'x' } else { byte }),
        1..40,
    );
    let long = (0..1_024usize, any::<bool>()).prop_map(|(len, of)| {
        let end = if of { "@version" } else { "l" };
        ["l".repeat(len).as_bytes(), end.as_bytes()].concat()
    });
    prop_oneof![
        6 => known.prop_map(|name| name.as_bytes().to_vec()),
        3 => version.prop_map(String::into_bytes),
        2 => bytes.clone(),
        1 => bytes.prop_map(|name| [&name[..], b"@version"].concat()),
        1 => long,
    ]
}

/// Makes every request for an inode that only reads.
fn look(vfs: &Vfs, ino: u64) {
    let _ = vfs.getattr(ino);
    let _ = vfs.readlink(ino);
    let _ = vfs.list(ino);
    let _ = vfs.xattr(&ROOT, ino, b"user.pond.error");
    let _ = vfs.list_xattrs(&ROOT, ino);
    let _ = vfs.read(ino, 0, 4_096);
}

fn walk(vfs: &Vfs, names: &[Vec<u8>]) -> Vec<u64> {
    let (mut at, mut held) = (1, Vec::new());
    for name in names {
        if let Ok(Lookup::Found(found)) = vfs.lookup(at, name) {
            held.push(found.attr.ino.0);
            at = found.attr.ino.0;
            look(vfs, at);
        }
    }
    held
}

#[test]
fn fuzz_lookups_of_any_names_end_and_can_be_forgotten() {
    let (_dir, pond) = pond();
    for at in [None, Some(Version(2))] {
        let vfs = Vfs::new(pond.clone(), at);
        vfs.look();
        let mut runner = TestRunner::new(config());
        let walks = vec(names(), 1..8);
        runner
            .run(&walks, |names| {
                let (held, most) = peak(|| walk(&vfs, &names));
                prop_assert!(most < STEP, "{most} bytes");
                for ino in held {
                    vfs.forget(ino, 1);
                }
                prop_assert_eq!(vfs.inodes.held(), 0);
                Ok(())
            })
            .unwrap();
    }
    pond.close().unwrap();
}

/// A client can forge the inode number in a file handle.
#[test]
fn fuzz_file_handles_of_any_number_resolve_or_fail() {
    let (_dir, pond) = pond();
    let vfs = Vfs::new(pond.clone(), None);
    let mut runner = TestRunner::new(config());
    let numbers = prop_oneof![
        0..20u64,
        any::<u64>(),
        Just(u64::MAX),
        (0..3u64).prop_map(|n| (1 << 62) + n)
    ];
    runner
        .run(&(numbers, any::<bool>()), |(number, up)| {
            let name: &[u8] = if up { b".." } else { b"." };
            if let Ok(Lookup::Found(found)) = vfs.lookup(number, name) {
                let found = found.attr.ino.0;
                prop_assert!(vfs.inodes.view(found).and_then(View::as_live).is_some());
                prop_assert!(up || found == number);
                look(&vfs, found);
                vfs.forget(found, 1);
            }
            prop_assert_eq!(vfs.inodes.held(), 0);
            Ok(())
        })
        .unwrap();
    pond.close().unwrap();
}
