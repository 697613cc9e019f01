//! Trouble from outside: a full disk, a read-only disk, no `/dev/fuse`.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use mount_tests::disk::{Disk, Kind};
use mount_tests::place::file;
use mount_tests::pond::Pond;
use mount_tests::process::mounted_at;
use mount_tests::rng::Rng;
use mount_tests::run::{need_root, shell};
use rustix::io::Errno;

/// Writes files of 1 MiB with fsync until the disk is full; the paths of those that succeeded.
fn fill(dir: &Path, prefix: &str) -> (Vec<PathBuf>, io::Error) {
    let mut done = Vec::new();
    loop {
        let path = dir.join(format!("{prefix}{}", done.len()));
        let write = || {
            let mut file = fs::File::create_new(&path)?;
            file.write_all(&content(done.len()))?;
            file.sync_all()
        };
        match write() {
            Ok(()) => done.push(path),
            Err(error) => return (done, error),
        }
        assert!(done.len() < 10_000, "the disk does not get full");
    }
}

fn content(number: usize) -> Vec<u8> {
    Rng::new(number as u64).bytes(1 << 20)
}

#[track_caller]
fn all_there(files: &[PathBuf], when: &str) {
    for (number, path) in files.iter().enumerate() {
        let bytes =
            fs::read(path).unwrap_or_else(|error| panic!("{when}: {}: {error}", path.display()));
        assert!(
            bytes == content(number),
            "{when}: {} is not what was fsynced",
            path.display()
        );
    }
}

#[test]
fn a_full_disk_is_told_to_the_writer_and_loses_nothing() {
    let pond = Pond::missing();
    let disk = Disk::under(&pond, Kind::Memory, 200);
    let mount = pond.mount();
    let (mut kept, error) = fill(mount.path(), "f");
    assert_eq!(Errno::from_io_error(&error), Some(Errno::NOSPC), "{error}");
    assert!(
        kept.len() > 20,
        "only {} files of 1 MiB fit on a disk of 200",
        kept.len()
    );
    all_there(&kept, "on the full disk");
    // Deleting works even now; what was committed stays in the history, so it need not free anything.
    fs::remove_file(kept.pop().unwrap()).unwrap();
    all_there(&kept, "after a deletion");

    disk.change("size=400m");
    let later = file(mount.path(), "later", "there is room again");
    fs::File::open(&later).unwrap().sync_all().unwrap();
    mount.sync();
    let mount = mount.remount_without_index();
    all_there(&kept, "after a remount");
    assert_eq!(
        fs::read_to_string(mount.join("later")).unwrap(),
        "there is room again"
    );
    mount.unmount();
    pond.check();
}

#[test]
fn a_crash_on_a_full_disk_loses_nothing_either() {
    let pond = Pond::missing();
    let disk = Disk::under(&pond, Kind::Memory, 150);
    let mount = pond.mount();
    let (kept, _) = fill(mount.path(), "f");
    mount.kill9();
    disk.change("size=400m");
    let mount = pond.mount();
    all_there(&kept, "after the crash");
    mount.unmount();
    pond.check();
}

#[test]
fn a_read_only_disk_is_named() {
    let pond = Pond::missing();
    let disk = Disk::under(&pond, Kind::Memory, 100);
    let mount = pond.mount();
    file(mount.path(), "f", "x");
    mount.unmount();
    disk.change("ro");
    pond.try_mount(&[]).fails().says(&["error:", "read-only"]);
    assert_eq!(mounted_at(&pond.outside("mnt")), None);
    disk.change("rw");
    let mount = pond.mount();
    assert_eq!(fs::read_to_string(mount.join("f")).unwrap(), "x");
}

#[test]
fn without_dev_fuse_the_reason_is_given() {
    need_root("hides /dev/fuse in a mount namespace of its own");
    let pond = Pond::new();
    let at = pond.mountpoint("mnt");
    for hide in [
        "mount --bind /dev/null /dev/fuse",
        "mount -t tmpfs none /dev",
    ] {
        let script = format!(r#"exec unshare -m bash -c '{hide}; exec "$@"' bash "$@""#);
        let outcome = shell(&script)
            .arg(pond.binary())
            .arg("mount")
            .arg(pond.store())
            .arg(&at)
            .outcome();
        outcome.fails().says(&["error:", "/dev/fuse"]);
        assert_eq!(mounted_at(&at), None);
    }
    // The failures have left no lock behind.
    pond.mount().unmount();
}
