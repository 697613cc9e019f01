//! How a mount begins and ends: ready when the command returns, committed when it is gone, one writer at a time.

use std::fs;
use std::time::{Duration, Instant};

use mount_tests::mount::{LEAVING, Mount};
use mount_tests::place::file;
use mount_tests::pond::{Pond, number};
use mount_tests::process::mounted_at;
use mount_tests::run::{shell, tool};
use rustix::process::Signal;

#[test]
fn the_mount_is_ready_when_the_command_returns() {
    let pond = Pond::new();
    let at = pond.mountpoint("mnt");
    // The first system call after `mount` finds the pond, twenty times in a row.
    for round in 0..20 {
        pond.run(["mount"]).arg(pond.store()).arg(&at).ok();
        let mount = if round == 0 {
            fs::write(at.join("f"), "ready").unwrap();
            Mount::adopt(&pond, at.clone(), Duration::ZERO)
        } else {
            assert_eq!(
                fs::read_to_string(at.join("f")).unwrap(),
                "ready",
                "round {round}"
            );
            Mount::adopt(&pond, at.clone(), Duration::ZERO)
        };
        mount.unmount();
    }
}

#[test]
fn a_background_mount_lets_go_of_the_terminal_and_of_the_directory() {
    let pond = Pond::new();
    let at = pond.mountpoint("mnt");
    // `cat` ends only when nobody holds the pipe open any more.
    let script = r#"cd "$4"; "$1" mount "$2" "$3" 2>&1 | cat"#;
    let outside = pond.mountpoint("elsewhere");
    let binary = pond.binary();
    let run = shell(script)
        .arg(binary)
        .arg(pond.store())
        .arg(&at)
        .arg(&outside);
    run.limit(Duration::from_secs(20)).ok();
    let mount = Mount::adopt(&pond, at, Duration::ZERO);
    let here = fs::read_link(format!("/proc/{}/cwd", mount.daemon().pid())).unwrap();
    assert_ne!(
        here, outside,
        "the daemon keeps the directory busy that it was started in"
    );
    mount.unmount();
}

#[test]
fn a_foreground_mount_stays_until_sigterm_then_commits_and_exits_0() {
    let pond = Pond::new();
    let at = pond.mountpoint("mnt");
    let daemon = pond
        .run(["mount", "--foreground"])
        .arg(pond.store())
        .arg(&at)
        .start();
    wait_until("the mount", || {
        mounted_at(&at).is_some() && fs::read_dir(&at).is_ok()
    });
    file(&at, "f", "before the signal");
    let process = mount_tests::process::Process::open(daemon.pid()).unwrap();
    process.signal(Signal::TERM);
    daemon.finish(LEAVING).ok();
    assert_eq!(mounted_at(&at), None);
    assert!(number(&pond.status(), "version") > 0, "SIGTERM commits");
    let mount = pond.mount();
    assert_eq!(
        fs::read_to_string(mount.join("f")).unwrap(),
        "before the signal"
    );
}

#[test]
fn sigterm_and_sigint_end_a_background_mount_in_order() {
    let pond = Pond::new();
    for (name, signal) in [("term", Signal::TERM), ("int", Signal::INT)] {
        let mut mount = pond.mount_with(&["-o", "commit=3600"]);
        file(mount.path(), name, name);
        mount.daemon().signal(signal);
        mount.expect_gone(LEAVING);
        drop(mount);
        pond.forget_index();
        let mount = pond.mount();
        assert_eq!(
            fs::read_to_string(mount.join(name)).unwrap(),
            name,
            "lost on {signal:?}"
        );
        mount.unmount();
    }
}

#[test]
fn umount_and_fusermount_commit_like_our_own_umount() {
    let pond = Pond::new();
    for (name, args) in [("umount", &[][..]), ("fusermount3", &["-u"])] {
        let mut mount = pond.mount_with(&["-o", "commit=3600"]);
        let path = file(mount.path(), name, name);
        drop(path);
        tool(name).args(args).arg(mount.path()).ok();
        mount.expect_gone(LEAVING);
        drop(mount);
        pond.forget_index();
        let mount = pond.mount();
        assert_eq!(
            fs::read_to_string(mount.join(name)).unwrap(),
            name,
            "lost on {name}"
        );
        mount.unmount();
    }
}

#[test]
fn umount_releases_the_lock_before_it_returns() {
    let pond = Pond::new();
    for round in 0..10 {
        let mount = pond.mount();
        file(mount.path(), "f", format!("{round}"));
        // The next mount comes at once: were the lock still held, it would exit with 11.
        mount.unmount();
    }
}

#[test]
fn umount_refuses_while_somebody_is_inside_and_nothing_is_lost() {
    let pond = Pond::new();
    let mount = pond.mount();
    let path = file(mount.path(), "f", "x");
    let open = fs::File::open(&path).unwrap();
    pond.run(["umount"])
        .arg(mount.path())
        .outcome()
        .fails()
        .says(&["error:", "busy"]);
    file(mount.path(), "g", "still writable");
    drop(open);
    mount.unmount();
}

#[test]
fn a_second_mount_of_the_same_pond_is_told_who_has_it() {
    let pond = Pond::new();
    let mount = pond.mount();
    let second = pond
        .run(["mount"])
        .arg(pond.store())
        .arg(pond.mountpoint("other"))
        .outcome();
    let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    second
        .exits(11)
        .says(&["error:", &mount.daemon().pid().to_string(), host.trim()]);
    assert_eq!(mounted_at(&pond.outside("other")), None);
    file(mount.path(), "f", "the first one is not disturbed");
}

#[test]
fn two_ponds_are_mounted_side_by_side() {
    let (first, second) = (Pond::new(), Pond::new());
    let (a, b) = (first.mount(), second.mount());
    file(a.path(), "f", "a");
    file(b.path(), "f", "b");
    fs::copy(a.join("f"), b.join("from-a")).unwrap();
    assert_eq!(fs::read_to_string(b.join("from-a")).unwrap(), "a");
    assert_ne!(a.status()["id"], b.status()["id"]);
    a.unmount();
    assert_eq!(fs::read_to_string(b.join("f")).unwrap(), "b");
    b.unmount();
}

#[test]
fn the_kernel_knows_the_mount_as_pondmount_without_devices_and_setuid() {
    let pond = Pond::new();
    let mount = pond.mount();
    let seen = mounted_at(mount.path()).unwrap();
    assert_eq!(seen.kind, "fuse.pondmount");
    for option in ["nosuid", "nodev", "default_permissions"] {
        assert!(
            seen.options.split(',').any(|found| found == option),
            "no {option} in {}",
            seen.options
        );
    }
}

#[track_caller]
fn wait_until(what: &str, ready: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !ready() {
        assert!(Instant::now() < deadline, "{what} is not there after 20 s");
        std::thread::sleep(Duration::from_millis(5));
    }
}
