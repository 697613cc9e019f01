//! Small disks: what was acknowledged is in a version after an unmount, however full the disk is, and what can be
//! written is what `df` says.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use mount_tests::disk::{Disk, Kind};
use mount_tests::mount::Mount;
use mount_tests::place::file;
use mount_tests::pond::{Pond, number};
use mount_tests::rng::Rng;
use mount_tests::run::tool;
use rustix::fs::{FallocateFlags, fallocate, ftruncate, statvfs};
use rustix::io::Errno;

#[test]
fn a_tmpfs_of_40_mib_keeps_all_that_was_acknowledged() {
    keeps_all(Kind::Memory, 40, 1 << 20);
}

#[test]
fn a_tmpfs_of_40_mib_keeps_small_files_too() {
    keeps_all(Kind::Memory, 40, 2_000);
    keeps_all(Kind::Memory, 40, 4_096);
}

#[test]
fn a_tmpfs_of_100_mib_keeps_all_that_was_acknowledged() {
    keeps_all(Kind::Memory, 100, 1 << 20);
}

#[test]
fn an_ext4_of_64_mib_keeps_all_that_was_acknowledged() {
    keeps_all(Kind::Ext4, 64, 1 << 20);
    keeps_all(Kind::Ext4, 64, 10_000);
}

/// Bytes that can be written, as `df` tells.
fn available(mount: &Mount) -> u64 {
    let space = statvfs(mount.path()).expect("statvfs");
    space.f_bavail * space.f_frsize
}

fn content(number: usize, len: usize) -> Vec<u8> {
    Rng::new(number as u64).bytes(len)
}

/// Writes files until the disk is full; how many were acknowledged. None is synced.
fn fill(dir: &Path, len: usize) -> usize {
    for number in 0..1_000_000 {
        let path = dir.join(format!("f{number}"));
        let written = File::create_new(&path).and_then(|mut f| f.write_all(&content(number, len)));
        if let Err(error) = written {
            assert_eq!(Errno::from_io_error(&error), Some(Errno::NOSPC), "{error}");
            match fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => panic!("unlink: {error}"),
                _ => return number,
            }
        }
    }
    panic!("the disk does not get full");
}

#[track_caller]
fn all_there(mount: &Mount, count: usize, len: usize) {
    for number in 0..count {
        let found = fs::read(mount.join(format!("f{number}"))).expect("read");
        assert!(found == content(number, len), "file {number} of {count}");
    }
}

#[track_caller]
fn keeps_all(kind: Kind, megabytes: u64, len: usize) {
    let pond = Pond::missing();
    let _disk = Disk::under(&pond, kind, megabytes);
    let mount = pond.mount();
    let promised = available(&mount);
    let status = mount.status();
    let reserved = number(&status, "reserved_bytes");
    assert!(reserved <= (megabytes << 20) / 7, "{status}");
    let count = fill(mount.path(), len);
    let written = (count * len) as u64;
    println!("{megabytes} MiB, files of {len}: df said {promised}, {written} bytes were written");
    if len >= 1 << 20 {
        assert!(
            written * 10 > promised * 8 && written < promised,
            "{written} of {promised}"
        );
    }
    let again = count / 2;
    // Its exit code tells that the last version was made.
    let mount = mount.remount();
    all_there(&mount, count, len);
    let mount = mount.remount_without_index();
    all_there(&mount, count, len);
    // Without what held them, there is room again.
    for number in 0..count {
        fs::remove_file(mount.join(format!("f{number}"))).expect("unlink on the full disk");
    }
    pond.run(["prune", "--keep-last", "1"])
        .within(mount.path())
        .ok();
    let left = available(&mount);
    assert!(
        left * 10 > promised * 7,
        "{left} of {promised} after a prune"
    );
    for number in 0..again {
        file(mount.path(), &format!("f{number}"), content(number, len));
    }
    let mount = mount.remount();
    all_there(&mount, again, len);
    mount.unmount();
    pond.check();
}

#[test]
fn a_disk_below_the_minimum_is_refused_by_init() {
    let pond = Pond::missing();
    let at = pond.mountpoint("pond");
    let small = tool("mount").args(["-t", "tmpfs", "-o", "size=8m", "pond-test"]);
    small.arg(&at).ok();
    let _guard = Bound(&at);
    let refused = pond.run(["init"]).arg(pond.store()).outcome();
    refused.fails().says(&["8388608 bytes", "at least 16 MiB"]);
    assert_eq!(fs::read_dir(pond.store()).expect("list").count(), 0);
}

#[test]
fn fallocate_of_more_than_is_free_is_refused_and_sparse_files_are_not() {
    let pond = Pond::new();
    let mount = pond.mount();
    let file = File::create_new(mount.join("f")).expect("create");
    let free = available(&mount);
    for flags in [
        FallocateFlags::empty(),
        FallocateFlags::KEEP_SIZE,
        FallocateFlags::ZERO_RANGE,
    ] {
        let refused = fallocate(&file, flags, 0, free + (64 << 20));
        assert_eq!(refused, Err(Errno::NOSPC), "{flags:?}");
    }
    assert_eq!(file.metadata().expect("stat").len(), 0);
    fallocate(&file, FallocateFlags::empty(), 0, 1 << 20).expect("what there is room for");
    ftruncate(&file, 1 << 50).expect("a sparse file");
    let punch = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
    fallocate(&file, punch, 0, 1 << 49).expect("a hole");
    drop(file);
    mount.unmount();
    pond.check();
}

#[test]
fn content_that_cannot_leave_memory_is_refused_until_it_can() {
    mount_tests::run::need_root("mounts the segments read-only");
    let pond = Pond::new();
    let mount = pond.mount_with(&["-o", "commit=3600"]);
    let segments = pond.store().join("segments");
    tool("mount")
        .arg("--bind")
        .arg(&segments)
        .arg(&segments)
        .ok();
    let guard = Bound(&segments);
    tool("mount")
        .args(["-o", "remount,bind,ro"])
        .arg(&segments)
        .ok();
    let mut written = 0;
    let refused = (0..200).find_map(|n| {
        let done = fs::write(mount.join(format!("f{n}")), content(n, 1 << 20));
        written += usize::from(done.is_ok());
        done.err()
    });
    let refused = refused.expect("200 MiB in memory");
    println!("{written} MiB were acknowledged, then: {refused}");
    assert!(written < 64, "{written} MiB in memory");
    drop(guard);
    // The first is refused, and has what waits written.
    let mut later = (0..1_000).map(|_| {
        std::thread::sleep(std::time::Duration::from_millis(10));
        fs::write(mount.join("later"), content(7, 1 << 20))
    });
    assert!(
        later.any(|done| done.is_ok()),
        "it goes on when the disk does"
    );
    let mount = mount.remount();
    all_there(&mount, written, 1 << 20);
    mount.unmount();
    pond.check();
}

/// A folder that is mounted on itself, until this is dropped.
struct Bound<'a>(&'a Path);

impl Drop for Bound<'_> {
    fn drop(&mut self) {
        tool("umount").arg(self.0).outcome();
    }
}
