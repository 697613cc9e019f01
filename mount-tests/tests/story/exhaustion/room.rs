//! Full disks: filled by several writers at once, and by somebody else until not even the reserve is left.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::thread;

use mount_tests::disk::{Disk, Kind};
use mount_tests::load::fill::{Filled, fill};
use mount_tests::place::{file, folder};
use mount_tests::pond::Pond;
use mount_tests::rng::Rng;
use mount_tests::setting;
use rustix::fs::{FallocateFlags, fallocate};
use rustix::io::Errno;

const MEGABYTES: u64 = 64;
const BALLAST: u64 = 12 << 20;
const WRITERS: usize = 3;

#[test]
fn a_full_ext4_is_told_loses_nothing_and_goes_on_when_there_is_room() {
    cycles("a full ext4", Kind::Ext4, false);
}

#[test]
fn a_full_tmpfs_is_told_loses_nothing_and_goes_on_when_there_is_room() {
    cycles("a full tmpfs", Kind::Memory, false);
}

#[test]
fn an_ext4_that_others_fill_to_the_last_byte_loses_nothing_and_goes_on() {
    cycles("an ext4 that others fill", Kind::Ext4, true);
}

#[test]
fn a_tmpfs_that_others_fill_to_the_last_byte_loses_nothing_and_goes_on() {
    cycles("a tmpfs that others fill", Kind::Memory, true);
}

#[track_caller]
fn cycles(name: &str, kind: Kind, others: bool) {
    let count: usize = setting("POND_TEST_FULL", 3);
    let mut rng = Rng::for_test(name);
    let (mut written, mut synced, mut refused) = (0, 0, [0; 3]);
    // Half of them of each test: there are two of each kind of disk.
    for number in 0..count.div_ceil(2) {
        for filled in cycle(&format!("{name}, {number}"), kind, others, &mut rng) {
            let counts = filled.counts();
            (written, synced) = (written + counts.0, synced + counts.1);
            (0..3).for_each(|n| refused[n] += filled.refused[n]);
        }
    }
    let [create, write, fsync] = refused;
    println!(
        "{name}: {} cycles, {written} files left of which {synced} were synced; ENOSPC by create {create}, write {write}, fsync {fsync}",
        count.div_ceil(2)
    );
}

/// One disk: filled, thinned, given room, written to again, ended in order or not, and opened once more.
#[track_caller]
fn cycle(name: &str, kind: Kind, others: bool, rng: &mut Rng) -> Vec<Filled> {
    let pond = Pond::missing();
    let disk = Disk::under(&pond, kind, MEGABYTES);
    let ballast = take_room(disk.path(), "ballast", BALLAST);
    let mount = pond.mount();
    let homes: Vec<_> = (0..WRITERS)
        .map(|n| folder(mount.path(), &format!("writer{n}")))
        .collect();
    mount.sync();
    if others {
        // Somebody takes all that is left, the reserve of the pond too, while the writers write.
        let path = disk.path().to_path_buf();
        let mut filled = fill_all(&pond, &homes, rng, || {
            thread::sleep(std::time::Duration::from_millis(100));
            take_the_rest(&path);
        });
        filled
            .iter_mut()
            .for_each(|filled| filled.verify(false, name));
        fs::remove_file(path.join("rest")).expect("the others' file");
        return after(name, kind, &pond, &disk, &ballast, filled, mount, rng);
    }
    let filled = fill_all(&pond, &homes, rng, || {});
    after(name, kind, &pond, &disk, &ballast, filled, mount, rng)
}

#[track_caller]
#[allow(clippy::too_many_arguments)]
fn after(
    name: &str,
    kind: Kind,
    pond: &Pond,
    disk: &Disk,
    ballast: &Path,
    mut filled: Vec<Filled>,
    mount: mount_tests::mount::Mount,
    rng: &mut Rng,
) -> Vec<Filled> {
    for filled in &mut filled {
        filled.verify(false, &format!("{name}: on the full disk"));
        filled.thin();
        filled.verify(false, &format!("{name}: after deleting"));
    }
    match kind {
        Kind::Memory => disk.change("size=128m"),
        _ => fs::remove_file(ballast).expect("remove the ballast"),
    }
    let later = file(mount.path(), "later", "there is room again");
    File::open(&later)
        .and_then(|file| file.sync_all())
        .unwrap_or_else(|error| panic!("{name}: fsync with room again: {error}"));
    mount.sync();
    let status = mount.status();
    assert!(status["read_only"].is_null(), "{name}: {status}");
    pond.check();
    let crashes = rng.below(2) == 0;
    let unsynced = file(mount.path(), "last", "may be lost in a crash");
    drop(unsynced);
    match crashes {
        true => mount.kill9(),
        false => mount.unmount(),
    }
    let mount = pond.mount();
    // All was in a version by then.
    filled
        .iter()
        .for_each(|filled| filled.verify(false, &format!("{name}: mounted again")));
    assert_eq!(
        fs::read_to_string(mount.join("later")).ok().as_deref(),
        Some("there is room again"),
        "{name}"
    );
    mount.unmount();
    pond.check();
    filled
}

/// All writers at once, and something beside them.
#[track_caller]
fn fill_all(
    pond: &Pond,
    homes: &[PathBuf],
    rng: &mut Rng,
    meanwhile: impl FnOnce(),
) -> Vec<Filled> {
    thread::scope(|scope| {
        let threads: Vec<_> = homes
            .iter()
            .map(|home| {
                let rng = rng.fork();
                scope.spawn(move || fill(home, rng))
            })
            .collect();
        meanwhile();
        threads
            .into_iter()
            .map(|thread| thread.join().expect("a writer"))
            .map(|filled| filled.unwrap_or_else(|wrong| panic!("{wrong}\n{}", pond.daemon_log())))
            .collect()
    })
}

/// A file of the others, beside the pond's own.
fn take_room(dir: &Path, name: &str, bytes: u64) -> PathBuf {
    let path = dir.join(name);
    let file = File::create_new(&path).expect("create");
    fallocate(&file, FallocateFlags::empty(), 0, bytes).expect("fallocate");
    path
}

/// Takes what is left, to the last block.
fn take_the_rest(dir: &Path) {
    let file = File::create_new(dir.join("rest")).expect("create");
    let (mut at, mut step) = (0, 1 << 20);
    while step >= 4096 {
        match fallocate(&file, FallocateFlags::empty(), at, step) {
            Ok(()) => at += step,
            Err(Errno::NOSPC) => step /= 2,
            Err(error) => panic!("fallocate: {error}"),
        }
    }
}
