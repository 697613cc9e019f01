//! Descriptors: a daemon that may open few files serves many, and one that may open none at all for a while says so
//! and goes on when it may.

use std::fs::{self, File};
use std::io::{self, Read};
use std::thread;
use std::time::Duration;

use mount_tests::mount::Mount;
use mount_tests::place::file;
use mount_tests::pond::Pond;
use mount_tests::rng::Rng;
use mount_tests::run::shell;
use rustix::io::Errno;
use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};

/// What the daemon may have open.
const FEW: u64 = 64;
/// What the test has open on its mount.
const MANY: usize = 500;

#[test]
fn few_descriptors_serve_many_open_files() {
    let pond = Pond::new();
    let at = pond.mountpoint("mnt");
    shell(r#"ulimit -n "$1"; shift; exec "$@""#)
        .arg(FEW.to_string())
        .arg(pond.binary())
        .arg("mount")
        .arg(pond.store())
        .arg(&at)
        .without_env("POND_STORE")
        .ok();
    let mount = Mount::adopt(&pond, at, Duration::ZERO);
    let content = |n: usize| Rng::new(n as u64).bytes(9_000);
    for n in 0..MANY {
        file(mount.path(), &format!("f{n}"), content(n));
    }
    mount.sync();
    let open = |n| File::open(mount.join(format!("f{n}"))).expect("open");
    let mut files: Vec<File> = (0..MANY).map(open).collect();
    thread::scope(|scope| {
        for files in files.chunks_mut(MANY / 10).enumerate() {
            scope.spawn(move || {
                for (n, file) in files.1.iter_mut().enumerate() {
                    let mut bytes = Vec::new();
                    file.read_to_end(&mut bytes).expect("read");
                    assert!(bytes == content(files.0 * (MANY / 10) + n));
                    file.sync_all().expect("fsync");
                }
            });
        }
    });
    let open = mount.daemon().descriptors().unwrap_or(0);
    println!("{MANY} files are open on the mount, {open} in its daemon");
    drop(files);
    mount.unmount();
    pond.check();
}

#[test]
fn no_descriptor_at_all_is_told_and_nothing_is_lost() {
    let pond = Pond::new();
    let mut mount = pond.mount();
    let content = |n: usize| Rng::new(n as u64).bytes(30_000);
    // Each run has a segment of its own, which is not open in the last one.
    for n in 0..5 {
        file(mount.path(), &format!("f{n}"), content(n));
        mount = mount.remount();
    }
    let kept = file(mount.path(), "kept", "fsynced before");
    let sync = |path| File::open(path).and_then(|file| file.sync_all());
    sync(&kept).expect("fsync");

    // As many as it has open, so that there is none for anything new.
    let before = limit(&mount, mount.daemon().descriptors());
    let mut told = Vec::new();
    let mut note = |what: &str, done: io::Result<()>| match done {
        Ok(()) => told.push(format!("{what} works")),
        Err(error) => {
            let errno = Errno::from_io_error(&error);
            let honest = [Errno::MFILE, Errno::NFILE, Errno::IO];
            assert!(
                errno.is_some_and(|errno| honest.contains(&errno)),
                "{what}: {error}\n{}",
                pond.daemon_log()
            );
            told.push(format!("{what}: {error}"));
        }
    };
    for n in 0..5 {
        let read = fs::read(mount.join(format!("f{n}")));
        note(
            "read",
            read.map(|bytes| assert!(bytes == content(n), "wrong bytes")),
        );
    }
    let small = mount.join("small");
    note("write", fs::write(&small, "small"));
    note("fsync", sync(&small));
    let large = mount.join("large");
    note("write of more", fs::write(&large, content(9)));
    note("fsync of more", sync(&large));
    // Names may have to be looked up in a file that is not open.
    note("unlink", fs::remove_file(mount.join("f4")));
    limit(&mount, before);
    println!("without a descriptor: {}", told.join(", "));

    if mount.join("f4").exists() {
        fs::remove_file(mount.join("f4")).expect("unlink");
    }
    for n in 0..4 {
        assert!(fs::read(mount.join(format!("f{n}"))).expect("read") == content(n));
    }
    assert_eq!(fs::read_to_string(&kept).expect("read"), "fsynced before");
    let later = file(mount.path(), "later", "written after");
    sync(&later).expect("fsync when there are descriptors again");
    mount.sync();
    assert!(mount.status()["read_only"].is_null(), "{}", mount.status());
    let mount = mount.remount_without_index();
    assert_eq!(
        fs::read_to_string(mount.join("later")).expect("read"),
        "written after"
    );
    assert_eq!(
        fs::read_to_string(mount.join("small")).expect("read"),
        "small"
    );
    assert!(!mount.join("f4").exists());
    mount.unmount();
    pond.check();
}

/// How many files the daemon may have open from now on; answers how many it might.
fn limit(mount: &Mount, current: Option<u64>) -> Option<u64> {
    // It was started by this process and has its hard limit.
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    let (pid, new) = (
        Pid::from_raw(mount.daemon().pid()),
        Rlimit { current, maximum },
    );
    prlimit(pid, Resource::Nofile, new)
        .expect("prlimit")
        .current
}
