//! Locks between processes: whole files by `flock`, ranges by `fcntl`.

use std::fs::{File, OpenOptions};
use std::os::fd::AsRawFd;
use std::path::Path;

use mount_tests::place::{file, on_both};
use mount_tests::run::tool;
use mount_tests::sys::{in_another_process, try_record_lock};
use rustix::fs::{FlockOperation, flock};

fn open(path: &Path) -> File {
    OpenOptions::new()
        .read(true)
        .write(true)
        .open(path)
        .unwrap()
}

/// Whether another program gets an flock of this kind without waiting.
fn other_gets(path: &Path, kind: &str) -> bool {
    tool("flock")
        .args(["-n", kind])
        .arg(path)
        .arg("true")
        .outcome()
        .succeeded()
}

#[test]
fn flock_excludes_other_processes() {
    on_both(|root| {
        let path = file(root, "f", "x");
        let f = open(&path);
        flock(&f, FlockOperation::LockExclusive).unwrap();
        assert!(
            !other_gets(&path, "-x") && !other_gets(&path, "-s"),
            "exclusive"
        );
        flock(&f, FlockOperation::LockShared).unwrap();
        assert!(
            !other_gets(&path, "-x") && other_gets(&path, "-s"),
            "shared"
        );
        flock(&f, FlockOperation::Unlock).unwrap();
        assert!(other_gets(&path, "-x"), "unlocked");
        flock(&f, FlockOperation::LockExclusive).unwrap();
        drop(f);
        assert!(other_gets(&path, "-x"), "closing lets go");
    });
}

#[test]
fn record_locks_exclude_other_processes_where_they_overlap() {
    on_both(|root| {
        let path = file(root, "f", [0; 100]);
        let f = open(&path);
        let fd = f.as_raw_fd();
        assert!(try_record_lock(fd, libc::F_WRLCK, 10, 20));
        let other = |kind, start, len| in_another_process(|| try_record_lock(fd, kind, start, len));
        assert!(
            !other(libc::F_WRLCK, 25, 10) && !other(libc::F_RDLCK, 10, 1),
            "overlapping"
        );
        assert!(
            other(libc::F_WRLCK, 30, 10) && other(libc::F_RDLCK, 0, 10),
            "beside it"
        );
        assert!(try_record_lock(fd, libc::F_RDLCK, 10, 20), "downgraded");
        assert!(
            other(libc::F_RDLCK, 10, 20) && !other(libc::F_WRLCK, 10, 20),
            "shared"
        );
        assert!(try_record_lock(fd, libc::F_UNLCK, 0, 0));
        assert!(other(libc::F_WRLCK, 0, 0), "unlocked");
    });
}

#[test]
fn a_record_lock_goes_with_the_process_that_held_it() {
    on_both(|root| {
        let f = open(&file(root, "f", [0; 100]));
        let fd = f.as_raw_fd();
        assert!(in_another_process(|| try_record_lock(
            fd,
            libc::F_WRLCK,
            0,
            0
        )));
        assert!(
            try_record_lock(fd, libc::F_WRLCK, 0, 0),
            "its holder has ended"
        );
    });
}
