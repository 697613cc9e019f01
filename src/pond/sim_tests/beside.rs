//! Cases of two concurrent operations: a hook in the simulated disk runs the second while the
//! first is in a call to the disk.

use super::world::{POND, World};
use crate::disk::Disk;
use crate::disk::sim::{Faults, Handle};
use crate::pond::prune::Purpose;
use crate::pond::{Pond, PondError};
use crate::tinyfs::ops::{Caller, NewNode, Place};
use crate::tinyfs::{Kind, Name, NodeId, Time, Version};
use parking_lot::Mutex;
use std::path::Path;
use std::sync::{Arc, mpsc};
use std::thread::{self, JoinHandle};
use std::time::Duration;

const CALLER: Caller = Caller {
    uid: 0,
    gid: 0,
    member: true,
    now: Time {
        sec: 1_700_000_000,
        nsec: 5,
    },
};

fn name(text: &str) -> Name {
    Name::new(text.as_bytes()).unwrap()
}

/// Returns a world in which only the test performs operations.
fn world(seed: u64) -> World {
    let world = World::new(seed, Faults::default());
    world.disk.set_hook(None);
    world
}

/// Makes a file in the root hold exactly `bytes`.
fn put(pond: &Pond, file: &str, bytes: &[u8]) {
    let new = NewNode {
        kind: Kind::File,
        mode: 0o644,
        rdev: 0,
        target: b"",
    };
    let found = pond.lookup(Version::NOW, NodeId::ROOT, &name(file));
    let id = match found.unwrap() {
        Some((id, _)) => id,
        None => {
            pond.create(&CALLER, NodeId::ROOT, &name(file), &new)
                .unwrap()
                .0
        }
    };
    pond.truncate(&CALLER, id, 0).unwrap();
    pond.write(&CALLER, id, 0, bytes).unwrap();
}

fn get(pond: &Pond, at: Version, file: &str) -> Option<Vec<u8>> {
    let (id, node) = pond.lookup(at, NodeId::ROOT, &name(file)).unwrap()?;
    Some(pond.read(at, id, 0, node.size).unwrap())
}

fn noise(seed: &str, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    let mut hasher = blake3::Hasher::new();
    hasher
        .update(seed.as_bytes())
        .finalize_xof()
        .fill(&mut bytes);
    bytes
}

/// The results of an fsync by another thread while `pond` syncs a segment: the result before the
/// end of that sync, if it returned by then, and the final one.
type Said = Result<(), String>;
fn fsync_beside_the_sync_of_a_segment(
    world: &World,
    act: impl FnOnce(&Pond),
) -> (Option<Said>, Said) {
    let said = |synced: crate::tinyfs::FsResult<()>| synced.map_err(|error| format!("{error:?}"));
    let beside: Arc<Mutex<Option<JoinHandle<Said>>>> = Arc::default();
    let early = Arc::new(Mutex::new(None));
    let (pond, slot, early_slot) = (world.pond().clone(), beside.clone(), early.clone());
    world.disk.on_sync(move |path| {
        if slot.lock().is_some() || path.extension().is_none_or(|end| end != "seg") {
            return;
        }
        let (pond, (done, answer)) = (pond.clone(), mpsc::channel());
        *slot.lock() = Some(thread::spawn(move || {
            let synced = said(pond.fsync());
            done.send(synced.clone()).ok();
            synced
        }));
        // If the fsync waits for the sync of the segment, as it has to, this times out.
        *early_slot.lock() = answer.recv_timeout(Duration::from_millis(200)).ok();
    });
    act(world.pond());
    world.disk.on_sync(|_| ());
    let beside = beside.lock().take().expect("a segment was synced");
    let last = beside.join().unwrap();
    let early = early.lock().take();
    (early, last)
}

/// Makes versions to forget, and content in a segment that is not durable.
fn with_content_that_is_not_durable(world: &World) -> Vec<u8> {
    let pond = world.pond();
    for n in 0..3 {
        put(pond, "old", &noise(&format!("old {n}"), 20_000));
        pond.sync().unwrap();
    }
    let bytes = noise("new", 300_000);
    put(pond, "new", &bytes);
    // Does what the spilling thread does.
    let _settling = pond.flusher.settling.lock();
    pond.freeze_and_settle().unwrap();
    bytes
}

/// Forgets all versions but the newest, after the version that a prune makes first.
fn forget_the_past(pond: &Pond) -> Result<(), PondError> {
    let mut log = pond.log.lock();
    let kept = [pond.latest().version].into();
    pond.rewrite(&mut log, &kept, Purpose::Prune).map(drop)
}

#[test]
fn fsync_waits_for_segment_sync_during_prune() {
    let mut world = world(1);
    let bytes = with_content_that_is_not_durable(&world);
    let (early, last) = fsync_beside_the_sync_of_a_segment(&world, |pond| {
        forget_the_past(pond).unwrap();
    });
    assert_eq!(
        early, None,
        "fsync returned while its bytes were not durable"
    );
    assert_eq!(last, Ok(()));
    world.kill(1);
    world.disk.power_up();
    world.open().unwrap();
    world.disk.set_hook(None);
    assert!(get(world.pond(), Version::NOW, "new") == Some(bytes));
    assert_eq!(world.pond().check(true).unwrap(), Vec::new());
}

#[test]
fn fsync_fails_with_the_segment_sync_of_a_prune_beside_it() {
    let world = world(2);
    with_content_that_is_not_durable(&world);
    world.set_faults(Faults {
        syncs: 1_000,
        ..Faults::default()
    });
    let (early, last) = fsync_beside_the_sync_of_a_segment(&world, |pond| {
        assert!(forget_the_past(pond).is_err());
    });
    assert_eq!(early, None);
    assert!(last.is_err(), "fsync was told that a lost sync succeeded");
    assert!(world.pond().health.has_failed(), "the pond takes changes");
}

/// Makes a removed file that is to be forgotten, and another one in the same segment.
fn with_a_secret(world: &World) -> (Version, Vec<u8>, Vec<u8>) {
    let pond = world.pond();
    let (secret, other) = (noise("secret", 100_000), noise("other", 200_000));
    put(pond, "secret", &secret);
    put(pond, "other", &other);
    let with = pond.sync().unwrap();
    pond.unlink(&CALLER, NodeId::ROOT, &name("secret")).unwrap();
    pond.sync().unwrap();
    assert!(stores(world, &secret));
    (with, secret, other)
}

/// Returns whether any segment contains these bytes.
fn stores(world: &World, bytes: &[u8]) -> bool {
    let (disk, segments) = (Handle(world.disk.clone()), Path::new(POND).join("segments"));
    let names = disk.list(&segments).unwrap();
    names.iter().any(|name| {
        let file = disk.open(&segments.join(name)).unwrap();
        let mut all = vec![0; file.size().unwrap() as usize];
        file.read_at(&mut all, 0).unwrap();
        [0, bytes.len() / 2].iter().any(|at| {
            let some = &bytes[*at..at + 64];
            all.windows(some.len()).any(|window| window == some)
        })
    })
}

#[test]
fn a_forget_erases_the_bytes_though_another_file_of_their_segment_is_written() {
    let world = world(8);
    let pond = world.pond();
    let (_, secret, mut other) = with_a_secret(&world);
    let (beside, mut is_written) = (Arc::downgrade(pond), false);
    // The open version then needs the rest of the old content, in the old segment.
    world.disk.on_sync(move |path| {
        let is_note = path.ends_with("segments/unfinished.new");
        if let (Some(pond), true, false) = (beside.upgrade(), is_note, is_written) {
            is_written = true;
            let found = pond.lookup(Version::NOW, NodeId::ROOT, &name("other"));
            let (id, _) = found.unwrap().unwrap();
            pond.write(&CALLER, id, 90_000, b"beside").unwrap();
        }
    });
    pond.forget(b"secret", false).unwrap();
    world.disk.on_sync(|_| ());
    other[90_000..90_006].copy_from_slice(b"beside");
    assert!(get(pond, Version::NOW, "other") == Some(other));
    assert!(!stores(&world, &secret), "the bytes are still there");
    assert_eq!(pond.content.unfinished().unwrap(), None);
    sound(pond);
}

#[test]
fn a_forget_that_a_crash_cut_short_is_finished_when_the_pond_is_opened_again() {
    let (mut forgotten, mut kept) = (0, 0);
    for calls in (1..100).step_by(4) {
        let mut world = world(9);
        let (with, secret, other) = with_a_secret(&world);
        let disk = Arc::downgrade(&world.disk);
        world.disk.on_sync(move |path| {
            if let (Some(disk), true) = (disk.upgrade(), path.ends_with("segments/unfinished.new"))
            {
                disk.cut_after(calls);
            }
        });
        let done = world.pond().forget(b"secret", false);
        world.disk.on_sync(|_| ());
        if !world.disk.is_cut() {
            assert!(done.is_ok());
            break;
        }
        world.kill(1);
        world.disk.power_up();
        world.open().unwrap();
        world.disk.set_hook(None);
        let pond = world.pond();
        pond.finish_rewrite().unwrap();
        assert_eq!(pond.content.unfinished().unwrap(), None);
        assert!(get(pond, Version::NOW, "other") == Some(other));
        match get(pond, with, "secret") {
            Some(bytes) => {
                assert!(bytes == secret, "cut after {calls} calls");
                kept += 1;
            }
            None => {
                let is_there = stores(&world, &secret);
                assert!(!is_there, "the bytes are there, cut after {calls} calls");
                forgotten += 1;
            }
        }
        sound(pond);
    }
    assert!(forgotten > 0 && kept > 0, "{forgotten} {kept}");
}

/// Returns whether any version shows `bytes` in `file`.
fn is_in_a_version(pond: &Pond, file: &str, bytes: &[u8]) -> bool {
    let versions = pond.versions(Version(0), Version::NOW).unwrap();
    let shows = |at| get(pond, at, file).as_deref() == Some(bytes);
    versions.iter().any(|info| shows(info.version))
}

/// Writes a file again at each use of the disk until it holds `until`. Returns the bytes that
/// were written last.
fn keep_writing(world: &World, file: &'static str, until: &'static [u8]) -> Arc<Mutex<Vec<u8>>> {
    let last = Arc::new(Mutex::new(Vec::new()));
    let (pond, slot) = (Arc::downgrade(world.pond()), last.clone());
    let mut count = 0;
    world.disk.set_hook(Some(Box::new(move || {
        let Some(pond) = pond.upgrade() else { return };
        // A concurrent change of the tree holds the lock at this moment.
        if pond.changing.is_locked() || get(&pond, Version::NOW, file).as_deref() == Some(until) {
            return;
        }
        count += 1;
        let bytes = format!("write {count}").into_bytes();
        put(&pond, file, &bytes);
        *slot.lock() = bytes;
    })));
    last
}

#[test]
fn what_a_restoration_overwrites_is_in_a_version() {
    let world = world(3);
    let pond = world.pond();
    put(pond, "f", b"old");
    let old = pond.sync().unwrap();
    put(pond, "f", b"new");
    // Content that goes to a segment: the disk is used before the versions are separated.
    put(pond, "g", &noise("g", 20_000));
    let last = keep_writing(&world, "f", b"old");
    let f = name("f");
    let place = Place {
        dir: NodeId::ROOT,
        dir_then: NodeId::ROOT,
        name: &f,
    };
    let done = pond.restore(Some(place), old).unwrap();
    world.disk.set_hook(None);
    let last = last.lock().clone();
    assert!(!last.is_empty(), "nothing was written beside it");
    assert!(
        is_in_a_version(pond, "f", &last),
        "{} is lost",
        last.escape_ascii()
    );
    assert_eq!(get(pond, done.version, "f").as_deref(), Some(&b"old"[..]));
    sound(pond);
}

#[test]
fn what_an_undo_overwrites_is_in_a_version() {
    let world = world(4);
    let pond = world.pond();
    put(pond, "f", b"old");
    pond.sync().unwrap();
    put(pond, "f", b"new");
    // Content that goes to a segment: the disk is used before the versions are separated.
    put(pond, "g", &noise("g", 20_000));
    let last = keep_writing(&world, "f", b"old");
    let (undone, done) = pond.undo().unwrap();
    world.disk.set_hook(None);
    let last = last.lock().clone();
    assert!(!last.is_empty(), "nothing was written beside it");
    assert_eq!(
        get(pond, undone.version, "f"),
        Some(last),
        "what was undone"
    );
    assert_eq!(get(pond, done.version, "f").as_deref(), Some(&b"old"[..]));
    sound(pond);
}

#[test]
fn a_restoration_and_what_was_before_it_are_two_versions_after_a_failed_commit() {
    let world = world(5);
    let pond = world.pond();
    put(pond, "f", b"old");
    let old = pond.sync().unwrap();
    put(pond, "f", b"new");
    let (beside, disk) = (Arc::downgrade(pond), Arc::downgrade(&world.disk));
    // The disk fails once the old content is restored and no version has it yet.
    world.disk.set_hook(Some(Box::new(move || {
        let (Some(pond), Some(disk)) = (beside.upgrade(), disk.upgrade()) else {
            return;
        };
        let is_back =
            !pond.changing.is_locked() && get(&pond, Version::NOW, "f").as_deref() == Some(b"old");
        if is_back {
            disk.set_faults(Faults {
                writes: 1_000,
                ..Faults::default()
            });
        }
    })));
    assert!(pond.restore(None, old).is_err());
    world.disk.set_hook(None);
    world.set_faults(Faults::default());
    pond.sync().unwrap();
    assert_eq!(get(pond, Version::NOW, "f").as_deref(), Some(&b"old"[..]));
    assert!(is_in_a_version(pond, "f", b"new"));
    sound(pond);
}

#[test]
fn a_restoration_and_what_was_before_it_are_two_versions_after_a_crash() {
    let mut world = world(6);
    let pond = world.pond();
    put(pond, "f", b"old");
    let old = pond.sync().unwrap();
    put(pond, "f", b"new");
    let (beside, disk) = (Arc::downgrade(pond), Arc::downgrade(&world.disk));
    let mut is_cut = false;
    // An fsync makes the restoration durable before any version has it; then the power fails.
    world.disk.set_hook(Some(Box::new(move || {
        let (Some(pond), Some(disk)) = (beside.upgrade(), disk.upgrade()) else {
            return;
        };
        let is_back = !is_cut
            && !pond.changing.is_locked()
            && !pond.flusher.settling.is_locked()
            && get(&pond, Version::NOW, "f").as_deref() == Some(b"old");
        if is_back {
            is_cut = true;
            pond.fsync().unwrap();
            disk.cut_after(1);
        }
    })));
    assert!(pond.restore(None, old).is_err());
    assert!(world.disk.is_cut());
    world.kill(1);
    world.disk.power_up();
    world.open().unwrap();
    world.disk.set_hook(None);
    let pond = world.pond();
    pond.sync().unwrap();
    assert_eq!(get(pond, Version::NOW, "f").as_deref(), Some(&b"old"[..]));
    assert!(is_in_a_version(pond, "f", b"new"));
    sound(pond);
}

#[test]
fn a_restoration_waits_for_a_save_to_end() {
    let world = world(7);
    let pond = world.pond();
    put(pond, "f", b"old");
    put(pond, "g", b"old");
    let old = pond.sync().unwrap();
    put(pond, "g", b"new");
    // A program saves `f`: it has truncated it, and has not written it yet.
    let (f, _) = pond
        .lookup(Version::NOW, NodeId::ROOT, &name("f"))
        .unwrap()
        .unwrap();
    pond.opened(f, false);
    pond.truncate(&CALLER, f, 0).unwrap();
    let beside = pond.clone();
    let restoring = thread::spawn(move || {
        let g = name("g");
        let place = Place {
            dir: NodeId::ROOT,
            dir_then: NodeId::ROOT,
            name: &g,
        };
        beside.restore(Some(place), old).unwrap()
    });
    thread::sleep(Duration::from_millis(100));
    pond.write(&CALLER, f, 0, b"new").unwrap();
    pond.closed(f);
    let done = restoring.join().unwrap();
    assert_eq!(get(pond, done.version, "g").as_deref(), Some(&b"old"[..]));
    assert!(
        !is_in_a_version(pond, "f", b""),
        "a version has half of a save"
    );
    sound(pond);
}

fn sound(pond: &Pond) {
    assert_eq!(pond.check(true).unwrap(), Vec::new());
}
