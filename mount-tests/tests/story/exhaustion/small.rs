//! Small disks: what was acknowledged is in a version after an unmount, however full the disk is, and what can be
//! written is what `df` says.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::thread;
use std::time::Duration;

use mount_tests::disk::{Disk, Kind};
use mount_tests::mount::Mount;
use mount_tests::place::file;
use mount_tests::pond::{Pond, number};
use mount_tests::rng::Rng;
use mount_tests::run::tool;
use rustix::fs::{FallocateFlags, XattrFlags, fallocate, fsetxattr, ftruncate, getxattr, statvfs};
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
fn a_tmpfs_of_40_mib_keeps_attributes_and_targets_too() {
    let pond = Pond::missing();
    let _disk = Disk::under(&pond, Kind::Memory, 40);
    let mount = pond.mount();
    let value = |n: usize| content(n, 60_000);
    let mut count = 0;
    let refused = loop {
        let path = mount.join(format!("f{count}"));
        let target = "t".repeat(4_000);
        let made = symlink(&target, mount.join(format!("l{count}"))).map_err(|e| errno(&e));
        let made = made.and_then(|()| File::create_new(&path).map_err(|e| errno(&e)));
        let made =
            made.and_then(|file| fsetxattr(&file, "user.a", &value(count), XattrFlags::CREATE));
        match made {
            Ok(()) => count += 1,
            Err(error) => break error,
        }
        assert!(count < 10_000, "the disk does not get full");
    };
    assert_eq!(refused, Errno::NOSPC);
    println!("40 MiB: {count} attributes of 60,000 bytes and links of 4,000 were made");
    assert!(count > 20);
    let mount = mount.remount();
    for number in 0..count {
        let mut found = vec![0; 60_001];
        let len = getxattr(mount.join(format!("f{number}")), "user.a", &mut found[..]);
        assert_eq!(len, Ok(60_000), "attribute {number} of {count}");
        assert!(found[..60_000] == value(number), "{number} of {count}");
        let target = fs::read_link(mount.join(format!("l{number}"))).expect("readlink");
        assert_eq!(target.as_os_str().len(), 4_000);
    }
    mount.unmount();
    pond.check();
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
    let guard = Bound::read_only(&segments);
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
    wait_until("it goes on when the disk does", || {
        fs::write(mount.join("later"), content(7, 1 << 20)).is_ok()
    });
    let mount = mount.remount();
    all_there(&mount, written, 1 << 20);
    mount.unmount();
    pond.check();
}

#[test]
fn records_that_no_version_can_hold_are_refused_until_one_can() {
    mount_tests::run::need_root("mounts the oplog read-only");
    let pond = Pond::new();
    let mount = pond.mount_with(&["-o", "commit=1"]);
    let oplog = pond.store().join("oplog");
    let guard = Bound::read_only(&oplog);
    file(mount.path(), "first", "before the first failure");
    wait_until("the failure is in the status", || {
        mount.status()["commit_failed"].is_string()
    });
    let value = |n: usize| content(n, 60_000);
    let set = |n: usize| {
        let file = File::create(mount.join(format!("f{n}"))).map_err(|error| errno(&error))?;
        fsetxattr(&file, "user.a", &value(n), XattrFlags::empty())
    };
    let refused = (0..6_000).find_map(|n| set(n).err().map(|error| (n, error)));
    let (made, error) = refused.expect("360 MB of records in memory");
    println!("{made} attributes of 60,000 bytes were acknowledged, then: {error}");
    assert_eq!(error, Errno::IO);
    assert!(
        (1_000..2_400).contains(&made),
        "{made} attributes in memory"
    );
    let why = mount.status()["commit_failed"].to_string();
    assert!(why.contains("Read-only file system"), "{why}");
    fs::remove_file(mount.join("first")).expect("what removes something goes on for longer");
    drop(guard);
    wait_until("operations go on", || set(made).is_ok());
    wait_until("the failure is over", || {
        mount.status()["commit_failed"].is_null()
    });
    let mount = mount.remount();
    for number in 0..=made {
        let mut found = vec![0; 60_001];
        let len = getxattr(mount.join(format!("f{number}")), "user.a", &mut found[..]);
        assert_eq!(len, Ok(60_000), "attribute {number} of {made}");
        assert!(found[..60_000] == value(number), "{number} of {made}");
    }
    mount.unmount();
    pond.check();
}

#[track_caller]
fn wait_until(what: &str, holds: impl Fn() -> bool) {
    for _ in 0..6_000 {
        if holds() {
            return;
        }
        thread::sleep(Duration::from_millis(10));
    }
    panic!("not within a minute: {what}");
}

fn errno(error: &io::Error) -> Errno {
    Errno::from_io_error(error).expect("an error number")
}

/// A folder that is mounted on itself, until this is dropped.
struct Bound<'a>(&'a Path);

impl Bound<'_> {
    #[track_caller]
    fn read_only(dir: &Path) -> Bound<'_> {
        tool("mount").arg("--bind").args([dir, dir]).ok();
        let guard = Bound(dir);
        let options = tool("mount").args(["-o", "remount,bind,ro"]);
        options.arg(dir).ok();
        guard
    }
}

impl Drop for Bound<'_> {
    fn drop(&mut self) {
        tool("umount").arg(self.0).outcome();
    }
}
