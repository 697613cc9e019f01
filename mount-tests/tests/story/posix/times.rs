//! Times: nanoseconds, before 1970 and after 2038, and who changes which.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::time::{Duration, SystemTime};

use mount_tests::place::{file, folder, on_both};
use mount_tests::sys::{instant, lstat, set_times};
use rustix::fs::{Timespec, UTIME_NOW, UTIME_OMIT};

fn mtime(path: &Path) -> (i64, i64) {
    let meta = lstat(path);
    (meta.mtime(), meta.mtime_nsec())
}

/// Runs the act and tells whether (mtime, ctime) of the path moved.
fn moved(path: &Path, act: impl FnOnce()) -> (bool, bool) {
    let stamp = || {
        let meta = lstat(path);
        (
            (meta.mtime(), meta.mtime_nsec()),
            (meta.ctime(), meta.ctime_nsec()),
        )
    };
    let before = stamp();
    // The kernel's clock for file times ticks every 1 to 10 ms.
    std::thread::sleep(Duration::from_millis(20));
    act();
    let after = stamp();
    (before.0 != after.0, before.1 != after.1)
}

#[test]
fn nanoseconds_before_1970_and_after_2038_are_kept() {
    on_both(|root| {
        let instants = [
            (0, 1),
            (-1, 999_999_999),
            (-1_000_000_000, 5),
            (4_000_000_000, 123_456_789),
            (9_000_000_000, 0),
        ];
        for (number, (seconds, nanos)) in instants.into_iter().enumerate() {
            let path = file(root, &format!("f{number}"), "x");
            set_times(&path, instant(seconds, nanos), instant(seconds, nanos)).unwrap();
            let meta = lstat(&path);
            assert_eq!(mtime(&path), (seconds, nanos));
            assert_eq!((meta.atime(), meta.atime_nsec()), (seconds, nanos));
        }
        let (dir, link) = (folder(root, "dir"), root.join("link"));
        symlink("f0", &link).unwrap();
        for path in [&dir, &link] {
            set_times(path, instant(5, 6), instant(7, 8)).unwrap();
            assert_eq!(mtime(path), (7, 8));
        }
        assert_eq!(
            mtime(&root.join("f0")),
            (0, 1),
            "the target of the symlink is not touched"
        );
    });
}

#[test]
fn omit_leaves_a_time_and_now_is_now() {
    on_both(|root| {
        let path = file(root, "f", "x");
        let special = |nsec| Timespec {
            tv_sec: 0,
            tv_nsec: nsec,
        };
        set_times(&path, instant(10, 1), instant(20, 2)).unwrap();
        set_times(&path, instant(30, 3), special(UTIME_OMIT)).unwrap();
        assert_eq!((lstat(&path).atime(), mtime(&path)), (30, (20, 2)));
        set_times(&path, special(UTIME_OMIT), special(UTIME_NOW)).unwrap();
        assert_eq!(lstat(&path).atime(), 30);
        let age = SystemTime::now()
            .duration_since(lstat(&path).modified().unwrap())
            .unwrap_or_default();
        assert!(age < Duration::from_secs(5), "now is {age:?} ago");
    });
}

#[test]
fn what_changes_a_file_moves_its_times() {
    on_both(|root| {
        let path = file(root, "f", "text");
        let f = OpenOptions::new().append(true).open(&path).unwrap();
        assert_eq!(
            moved(&path, || (&f).write_all(b"more").unwrap()),
            (true, true),
            "write"
        );
        assert_eq!(
            moved(&path, || f.set_len(2).unwrap()),
            (true, true),
            "ftruncate"
        );
        assert_eq!(
            moved(&path, || drop(File::create(&path).unwrap())),
            (true, true),
            "O_TRUNC"
        );
        let chmod = || fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).unwrap();
        assert_eq!(moved(&path, chmod), (false, true), "chmod");
        assert_eq!(
            moved(&path, || fs::hard_link(&path, root.join("g")).unwrap()),
            (false, true),
            "link"
        );
        assert_eq!(
            moved(&path, || fs::remove_file(root.join("g")).unwrap()),
            (false, true),
            "unlink"
        );
    });
}

#[test]
fn what_changes_a_directory_moves_its_times() {
    on_both(|root| {
        let dir = folder(root, "dir");
        let f = dir.join("f");
        assert_eq!(
            moved(&dir, || fs::write(&f, "x").unwrap()),
            (true, true),
            "create"
        );
        assert_eq!(
            moved(&dir, || fs::write(&f, "y").unwrap()),
            (false, false),
            "writing a file inside"
        );
        assert_eq!(
            moved(&dir, || fs::rename(&f, dir.join("g")).unwrap()),
            (true, true),
            "rename"
        );
        assert_eq!(
            moved(&dir, || fs::remove_file(dir.join("g")).unwrap()),
            (true, true),
            "unlink"
        );
        assert_eq!(
            moved(&dir, || fs::create_dir(dir.join("d")).unwrap()),
            (true, true),
            "mkdir"
        );
        assert_eq!(
            moved(&dir, || symlink("x", dir.join("s")).unwrap()),
            (true, true),
            "symlink"
        );
        assert_eq!(
            moved(&dir, || assert_eq!(fs::read_dir(&dir).unwrap().count(), 2)),
            (false, false),
            "readdir"
        );
    });
}
