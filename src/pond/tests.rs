//! A pond keeps acknowledged changes through closes, crashes and the loss of its index.
//!
//! A crash is a copy of the folder taken while the pond is open: data that was not handed to the
//! operating system by then is missing from it.

mod clock;
mod content;
mod cuts;
mod pages;

use super::*;
use crate::tinyfs::ops::{Caller, NewNode, RenameMode};
use crate::tinyfs::{Errno, Kind, Name, NodeId, Time};
use std::fs;
use std::path::Path;
use std::time::Duration;
use tempfile::TempDir;

const CALLER: Caller = Caller {
    uid: 0,
    gid: 0,
    member: true,
    now: Time {
        sec: 1_700_000_000,
        nsec: 5,
    },
};

/// Versions are made on demand only.
fn options() -> OpenOptions {
    OpenOptions {
        read_only: false,
        commit_interval: Duration::from_secs(3_600),
        ..OpenOptions::default()
    }
}

fn new_pond() -> (TempDir, Arc<Pond>) {
    let dir = tempfile::tempdir().unwrap();
    Pond::init(&dir.path().join("pond")).unwrap();
    let pond = Pond::open(&dir.path().join("pond"), &options()).unwrap();
    (dir, pond)
}

fn reopen(dir: &TempDir) -> Arc<Pond> {
    Pond::open(&dir.path().join("pond"), &options()).unwrap()
}

/// Lists every file below `folder` with its size and times.
fn listing(folder: &Path) -> Vec<u8> {
    let listed = std::process::Command::new("find")
        .arg(folder)
        .args(["-printf", "%p %s %T@ %C@\\n"])
        .output()
        .unwrap();
    listed.stdout
}

/// Copies the folder of the pond as a crash at this moment would leave it. The threads of the
/// index move files at any time: a copy taken during a move is inconsistent, and is repeated.
fn copy_of(pond: &Pond) -> TempDir {
    for _ in 0..100 {
        let dir = tempfile::tempdir().unwrap();
        let before = listing(pond.path());
        let copied = std::process::Command::new("cp")
            .args(["-r", "--sparse=always"])
            .arg(pond.path())
            .arg(dir.path().join("pond"))
            .output()
            .unwrap();
        if copied.status.success() && listing(pond.path()) == before {
            return dir;
        }
    }
    panic!("the folder of the pond never held still");
}

/// Returns the pond as it would be found after a crash at this moment.
fn crash(pond: &Pond) -> (TempDir, Arc<Pond>) {
    let dir = copy_of(pond);
    let pond = reopen(&dir);
    (dir, pond)
}

fn name(text: &str) -> Name {
    Name::new(text.as_bytes()).unwrap()
}

fn make(pond: &Pond, kind: Kind, dir: NodeId, text: &str) -> NodeId {
    let new = NewNode {
        kind,
        mode: 0o644,
        rdev: 0,
        target: b"",
    };
    pond.create(&CALLER, dir, &name(text), &new).unwrap().0
}

fn put(pond: &Pond, text: &str, bytes: &[u8]) -> NodeId {
    let id = match pond
        .lookup(Version::NOW, NodeId::ROOT, &name(text))
        .unwrap()
    {
        Some((id, _)) => id,
        None => make(pond, Kind::File, NodeId::ROOT, text),
    };
    pond.truncate(&CALLER, id, 0).unwrap();
    pond.write(&CALLER, id, 0, bytes).unwrap();
    id
}

fn get(pond: &Pond, at: Version, text: &str) -> Option<Vec<u8>> {
    let (id, node) = pond.lookup(at, NodeId::ROOT, &name(text)).unwrap()?;
    Some(pond.read(at, id, 0, node.size).unwrap())
}

fn sound(pond: &Pond) {
    assert_eq!(pond.check(true).unwrap(), Vec::new());
}

fn bytes(seed: u8, len: usize) -> Vec<u8> {
    (0..len)
        .map(|n| (n as u8).wrapping_mul(31).wrapping_add(seed))
        .collect()
}

#[test]
fn versions_show_what_was_there_when_they_were_made() {
    let (dir, pond) = new_pond();
    for n in 1..=5u8 {
        put(&pond, "small", &bytes(n, 100));
        put(&pond, "large", &bytes(n, 300_000 + usize::from(n)));
        assert_eq!(pond.sync().unwrap(), Version(n.into()));
    }
    let look = |pond: &Pond| {
        for n in 1..=5u8 {
            let at = Version(n.into());
            assert_eq!(get(pond, at, "small"), Some(bytes(n, 100)));
            assert_eq!(
                get(pond, at, "large"),
                Some(bytes(n, 300_000 + usize::from(n)))
            );
        }
        assert_eq!(get(pond, Version(0), "small"), None);
        assert_eq!(get(pond, Version::NOW, "small"), Some(bytes(5, 100)));
        sound(pond);
    };
    look(&pond);
    pond.close().unwrap();
    drop(pond);
    let pond = reopen(&dir);
    look(&pond);
    pond.close().unwrap();
    drop(pond);
    fs::remove_dir_all(dir.path().join("pond/index")).unwrap();
    let pond = reopen(&dir);
    look(&pond);
    pond.close().unwrap();
}

#[test]
fn nothing_changed_makes_no_version() {
    let (_dir, pond) = new_pond();
    put(&pond, "a", b"x");
    assert_eq!(pond.sync().unwrap(), Version(1));
    assert_eq!(pond.sync().unwrap(), Version(1));
    let node = pond.node(Version::NOW, NodeId::ROOT).unwrap();
    make(&pond, Kind::File, NodeId::ROOT, "b");
    pond.unlink(&CALLER, NodeId::ROOT, &name("b")).unwrap();
    assert_eq!(
        pond.node(Version::NOW, NodeId::ROOT).unwrap(),
        node,
        "the clock of this test stands"
    );
    assert_eq!(pond.sync().unwrap(), Version(1));
    pond.close().unwrap();
}

#[test]
fn what_was_flushed_survives_a_crash_and_what_was_not_is_gone_whole() {
    let (_dir, pond) = new_pond();
    put(&pond, "committed", &bytes(1, 10_000));
    pond.sync().unwrap();
    put(&pond, "flushed", &bytes(2, 200_000));
    put(&pond, "committed", &bytes(3, 50));
    pond.fsync().unwrap();
    put(&pond, "lost", b"never flushed");
    let (_copy, after) = crash(&pond);
    assert_eq!(get(&after, Version::NOW, "committed"), Some(bytes(3, 50)));
    assert_eq!(get(&after, Version(1), "committed"), Some(bytes(1, 10_000)));
    assert_eq!(
        get(&after, Version::NOW, "flushed"),
        Some(bytes(2, 200_000))
    );
    assert_eq!(get(&after, Version::NOW, "lost"), None);
    assert_eq!(after.sync().unwrap(), Version(2));
    let next = put(&after, "new", b"its node is none of the old ones");
    assert_ne!(
        Some(next),
        after
            .lookup(Version(2), NodeId::ROOT, &name("flushed"))
            .unwrap()
            .map(|f| f.0)
    );
    after.sync().unwrap();
    sound(&after);
    after.close().unwrap();
    pond.close().unwrap();
}

#[test]
fn who_only_reads_leaves_what_was_flushed_where_it_is() {
    let (_dir, pond) = new_pond();
    put(&pond, "f", b"flushed");
    pond.fsync().unwrap();
    let copy = copy_of(&pond);
    let path = copy.path().join("pond");
    let read_only = OpenOptions {
        read_only: true,
        ..options()
    };
    let reader = Pond::open(&path, &read_only).unwrap();
    assert_eq!(get(&reader, Version::NOW, "f"), Some(b"flushed".to_vec()));
    let refused = reader.unlink(&CALLER, NodeId::ROOT, &name("f"));
    assert_eq!(refused.unwrap_err().errno(), Errno::EROFS);
    reader.close().unwrap();
    drop(reader);
    let writer = Pond::open(&path, &options()).unwrap();
    assert_eq!(writer.sync().unwrap(), Version(1));
    assert_eq!(get(&writer, Version(1), "f"), Some(b"flushed".to_vec()));
    writer.close().unwrap();
    pond.close().unwrap();
}

#[test]
fn a_commit_makes_its_journal_obsolete_exactly_once() {
    let (_dir, pond) = new_pond();
    put(&pond, "f", b"one");
    pond.fsync().unwrap();
    put(&pond, "f", b"two");
    pond.sync().unwrap();
    // The journal may still contain "one" if the crash came before it was cleared.
    let (_copy, after) = crash(&pond);
    assert_eq!(get(&after, Version::NOW, "f"), Some(b"two".to_vec()));
    assert_eq!(
        after.sync().unwrap(),
        Version(1),
        "nothing is left to commit"
    );
    after.close().unwrap();
    pond.close().unwrap();
}

#[test]
fn a_removed_file_lives_on_for_those_who_have_it_open() {
    let (_dir, pond) = new_pond();
    let id = put(&pond, "f", &bytes(1, 9_000));
    pond.pin(id);
    pond.unlink(&CALLER, NodeId::ROOT, &name("f")).unwrap();
    pond.write(&CALLER, id, 9_000, b"more").unwrap();
    let node = pond.node(Version::NOW, id).unwrap();
    assert_eq!((node.nlink, node.size), (0, 9_004));
    pond.sync().unwrap();
    let mut expected = bytes(1, 9_000);
    expected.extend_from_slice(b"more");
    assert_eq!(pond.read(Version::NOW, id, 0, 10_000).unwrap(), expected);
    let relinked = pond.link(&CALLER, id, NodeId::ROOT, &name("back"));
    assert_eq!(relinked.unwrap_err().errno(), Errno::ENOENT);
    pond.unpin(id, 1);
    assert_eq!(
        pond.node(Version::NOW, id).unwrap_err().errno(),
        Errno::ENOENT
    );
    sound(&pond);
    pond.close().unwrap();
}

#[test]
fn a_file_that_came_and_went_leaves_nothing_in_the_commit() {
    let (_dir, pond) = new_pond();
    put(&pond, "kept", &bytes(1, 10));
    let id = put(&pond, "temporary", &bytes(2, 300_000));
    pond.fsync().unwrap();
    pond.unlink(&CALLER, NodeId::ROOT, &name("temporary"))
        .unwrap();
    let open = put(&pond, "open", &bytes(3, 9_000));
    pond.pin(open);
    pond.unlink(&CALLER, NodeId::ROOT, &name("open")).unwrap();
    pond.sync().unwrap();
    assert_eq!(
        pond.node(Version::NOW, id).unwrap_err().errno(),
        Errno::ENOENT
    );
    assert_eq!(
        pond.read(Version::NOW, open, 0, 9_000).unwrap(),
        bytes(3, 9_000)
    );
    let mut extents = 0;
    let mut count = |_, _| extents += 1;
    pond.index
        .visit_all::<crate::tinyfs::Extents>(Version(1), &mut count)
        .unwrap();
    assert_eq!(
        extents, 2,
        "of the file that is there, and of the one that is open"
    );
    sound(&pond);
    pond.close().unwrap();
}

#[test]
fn who_waits_for_a_lost_index_hears_how_far_it_is() {
    let (dir, pond) = new_pond();
    for n in 0..5 {
        put(&pond, "f", &[n]);
        pond.sync().unwrap();
    }
    pond.close().unwrap();
    drop(pond);
    let path = dir.path().join("pond");
    fs::remove_dir_all(path.join("index")).unwrap();
    let mut told = Vec::new();
    let pond = Pond::open_telling(&path, &options(), &mut |progress| told.push(progress)).unwrap();
    assert_eq!(get(&pond, Version::NOW, "f"), Some(vec![4]));
    assert!(
        told.iter().map(|progress| progress.version).eq(0..=5),
        "{told:?}"
    );
    assert!(told.iter().all(|progress| progress.of == 5));
    assert!(told.windows(2).all(|two| two[0].records < two[1].records));
    pond.close().unwrap();
}

#[test]
fn a_slowly_appended_file_has_few_extents() {
    let (_dir, pond) = new_pond();
    for (file, line) in [("log", 60), ("pages", 6_000)] {
        let id = make(&pond, Kind::File, NodeId::ROOT, file);
        let (mut expected, mut versions) = (Vec::new(), Vec::new());
        for n in 0..400_u32 {
            let mut line = vec![0; line];
            let mut random = blake3::Hasher::new();
            random.update(&n.to_le_bytes());
            random.finalize_xof().fill(&mut line);
            pond.write(&CALLER, id, expected.len() as u64, &line)
                .unwrap();
            expected.extend_from_slice(&line);
            versions.push(pond.sync().unwrap());
        }
        assert!(get(&pond, Version::NOW, file).unwrap() == expected);
        for (n, version) in versions.into_iter().enumerate().step_by(37) {
            assert!(get(&pond, version, file).unwrap() == expected[..(n + 1) * line]);
        }
        let node = pond.node(Version::NOW, id).unwrap();
        let content = node.content.unwrap();
        let extents =
            crate::tinyfs::ops::extents_in(&pond.index, Version::NOW, content, 0..node.size);
        let whole = expected.len() / (64 << 10);
        let extents = extents.unwrap().len();
        assert!(extents < whole + 40, "{file} has {extents} extents");
    }
    sound(&pond);
    pond.close().unwrap();
}

#[test]
fn what_is_written_over_a_frozen_layer_stays_over_it() {
    let (_dir, pond) = new_pond();
    let id = make(&pond, Kind::File, NodeId::ROOT, "f");
    // Backwards, so that there are two extents; then they are frozen.
    pond.write(&CALLER, id, 4_096, &bytes(1, 4_096)).unwrap();
    pond.write(&CALLER, id, 0, &bytes(2, 4_096)).unwrap();
    pond.index.freeze();
    pond.write(&CALLER, id, 5_000, b"in the second one")
        .unwrap();
    pond.settle().unwrap();
    pond.sync().unwrap();
    let mut expected = bytes(2, 4_096);
    expected.extend_from_slice(&bytes(1, 4_096));
    expected[5_000..5_017].copy_from_slice(b"in the second one");
    assert_eq!(get(&pond, Version::NOW, "f"), Some(expected));
    sound(&pond);
    pond.close().unwrap();
}

#[test]
fn operations_and_commits_go_on_side_by_side() {
    let (_dir, pond) = new_pond();
    std::thread::scope(|scope| {
        for worker in 0..3u8 {
            let pond = &pond;
            scope.spawn(move || {
                for n in 0..60u8 {
                    let text = format!("{worker}-{}", n % 7);
                    put(pond, &text, &bytes(n, 5_000 * usize::from(n % 4)));
                    if n % 5 == 0 {
                        pond.fsync().unwrap();
                    }
                    if n % 9 == 0 {
                        let to = name(&format!("{worker}-moved"));
                        let (from, to) = ((NodeId::ROOT, &name(&text)), (NodeId::ROOT, &to));
                        pond.rename(&CALLER, from, to, RenameMode::Replace, false)
                            .unwrap();
                    }
                }
            });
        }
        scope.spawn(|| {
            for _ in 0..20 {
                pond.sync().unwrap();
            }
        });
    });
    pond.sync().unwrap();
    sound(&pond);
    let (_copy, after) = crash(&pond);
    for (entry, _) in pond.list(Version::NOW, NodeId::ROOT).unwrap() {
        let text = String::from_utf8(entry.as_bytes().to_vec()).unwrap();
        assert_eq!(
            get(&after, Version::NOW, &text),
            get(&pond, Version::NOW, &text)
        );
    }
    sound(&after);
    after.close().unwrap();
    pond.close().unwrap();
}

#[test]
fn whoever_syncs_while_a_flush_runs_waits_in_no_thread() {
    let (_dir, pond) = new_pond();
    put(&pond, "f", b"x");
    let flush_is_held_up = pond.flusher.settling.lock();
    std::thread::scope(|scope| {
        let first = scope.spawn(|| pond.fsync());
        while !pond.group_commit.is_flushing() {
            std::thread::yield_now();
        }
        let (done, answers) = std::sync::mpsc::channel();
        for n in 0..100 {
            let done = done.clone();
            // Returns at once; otherwise the flush would never continue.
            pond.fsync_then(move |flushed| done.send((n, flushed.is_ok())).unwrap());
        }
        assert!(answers.try_recv().is_err(), "nothing was flushed yet");
        put(&pond, "g", b"y");
        drop(flush_is_held_up);
        let mut answered: Vec<_> = answers.iter().take(100).collect();
        answered.sort_unstable();
        assert_eq!(answered, (0..100).map(|n| (n, true)).collect::<Vec<_>>());
        first.join().unwrap().unwrap();
    });
    let (_copy, after) = crash(&pond);
    assert_eq!(get(&after, Version::NOW, "g"), Some(b"y".to_vec()));
    after.close().unwrap();
    pond.close().unwrap();
}

#[test]
fn a_pond_has_one_writer_and_a_place_holds_one_pond() {
    let (dir, pond) = new_pond();
    let path = dir.path().join("pond");
    assert!(matches!(
        Pond::open(&path, &options()),
        Err(PondError::Locked { .. })
    ));
    assert!(matches!(Pond::init(&path), Err(PondError::Exists(_))));
    assert!(matches!(
        Pond::open(dir.path(), &options()),
        Err(PondError::NotAPond(_))
    ));
    let missing = Pond::open(&dir.path().join("typo"), &options());
    assert!(matches!(missing, Err(PondError::Missing(_))));
    pond.close().unwrap();
    drop(pond);
    let identity = fs::read_to_string(path.join("pond.toml")).unwrap();
    let newer = identity.replace("format = 1", "format = 99\nsomething = \"new\"");
    fs::write(path.join("pond.toml"), newer).unwrap();
    assert!(matches!(
        Pond::open(&path, &options()),
        Err(PondError::Newer { found: 99, .. })
    ));
}

/// Content goes to the journal and to the segments in different extents: in whatever order they
/// arrive, a crash finds the same bytes.
#[test]
fn flushes_of_all_sizes_survive_a_crash_whole() {
    for seed in 0..6u64 {
        let (_dir, pond) = new_pond();
        let id = make(&pond, Kind::File, NodeId::ROOT, "f");
        let mut noise = blake3::Hasher::new()
            .update(&seed.to_le_bytes())
            .finalize_xof();
        let mut random = |below: u64| {
            let mut number = [0; 8];
            noise.fill(&mut number);
            u64::from_le_bytes(number) % below
        };
        let (mut want, mut flushed) = (Vec::new(), Vec::new());
        for step in 0..60u64 {
            let most = [500, 100_000, 600_000][random(3) as usize];
            let mut data = vec![0; 1 + random(most) as usize];
            let key = blake3::hash(&[seed.to_le_bytes(), step.to_le_bytes()].concat());
            blake3::Hasher::new_keyed(key.as_bytes())
                .finalize_xof()
                .fill(&mut data);
            let at = match random(3) {
                0 => random(want.len() as u64 + 1) as usize,
                _ => want.len(),
            };
            pond.write(&CALLER, id, at as u64, &data).unwrap();
            want.resize(want.len().max(at + data.len()), 0);
            want[at..at + data.len()].copy_from_slice(&data);
            match random(6) {
                0 | 1 => pond.fsync().unwrap(),
                2 => {
                    let _settling = pond.flusher.settling.lock();
                    pond.freeze_and_settle().unwrap();
                    continue;
                }
                3 if random(3) == 0 => drop(pond.sync().unwrap()),
                _ => continue,
            }
            flushed.clone_from(&want);
            assert!(get(&pond, Version::NOW, "f") == Some(want.clone()));
            if random(3) == 0 {
                let (_copy, after) = crash(&pond);
                assert!(
                    get(&after, Version::NOW, "f") == Some(flushed.clone()),
                    "seed {seed}, step {step}"
                );
                after.sync().unwrap();
                assert!(
                    get(&after, Version::NOW, "f") == Some(flushed.clone()),
                    "seed {seed}, step {step}"
                );
                sound(&after);
                after.close().unwrap();
            }
        }
        sound(&pond);
        pond.close().unwrap();
    }
}
