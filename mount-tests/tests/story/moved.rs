//! The folder of a mounted pond, one above it or the mountpoint is moved, removed or replaced, or
//! the mount is bound to a second place. Nothing acknowledged is lost without an error, and every
//! command finds the pond.

use std::fs;
use std::path::{Path, PathBuf};

use mount_tests::mount::{LEAVING, Mount};
use mount_tests::place::{file, folder};
use mount_tests::pond::{Pond, number};
use mount_tests::process::mounted_at;
use mount_tests::rng::Rng;
use mount_tests::run::{KEEP_ONLY, need_root, tool};
use mount_tests::stacked::Stacked;
use mount_tests::tree::Tree;
use rustix::process::Signal;
use serde_json::Value;

/// `pondmount --json status PATH`.
#[track_caller]
fn status(pond: &Pond, path: &Path) -> Value {
    pond.run(["--json", "status"]).arg(path).ok().json()
}

/// Writes small and large content, some of it before a version and some after.
fn work(mount: &Mount<'_>, name: &str) {
    let dir = folder(mount.path(), name);
    file(&dir, "small", name);
    file(&dir, "large", Rng::new(7).bytes(3_000_000));
    fs::File::open(dir.join("large"))
        .unwrap()
        .sync_all()
        .unwrap();
    mount.sync();
    file(&dir, "later", Rng::new(8).bytes(200_000));
}

/// The same tree from the oplog alone, in the pond at `store`.
#[track_caller]
fn expect(pond: &Pond, store: &Path, expected: &Tree) {
    pond.run(["check", "--read-data"]).arg(store).ok();
    fs::remove_dir_all(store.join("index")).unwrap();
    let at = pond.mountpoint("again");
    pond.run(["mount"]).arg(store).arg(&at).ok();
    Tree::of(&at).assert_equals(expected, "the pond at its new place");
    pond.run(["umount"]).arg(&at).ok();
}

#[test]
fn a_pond_that_is_moved_while_mounted_goes_on_and_loses_nothing() {
    let pond = Pond::new();
    let mount = pond.mount();
    work(&mount, "before");
    let moved = pond.outside("moved");
    fs::rename(pond.store(), &moved).unwrap();
    work(&mount, "after");
    // What is in no version yet when it is unmounted.
    file(mount.path(), "last", "hello");
    let tree = Tree::of(mount.path());
    mount.unmount();
    assert!(
        !pond.store().exists(),
        "something was made at the old place"
    );
    expect(&pond, &moved, &tree);
}

#[test]
fn a_pond_survives_a_new_name_of_a_folder_above_it() {
    let pond = Pond::missing();
    let above = folder(&pond.outside(""), "above");
    let (store, at) = (above.join("pond"), pond.mountpoint("mnt"));
    pond.run(["mount", "--create"]).arg(&store).arg(&at).ok();
    let renamed = pond.outside("renamed");
    fs::rename(&above, &renamed).unwrap();
    file(&at, "f", Rng::new(9).bytes(500_000));
    let report = status(&pond, &at);
    assert_eq!(report["pond"], renamed.join("pond").to_str().unwrap());
    let tree = Tree::of(&at);
    pond.run(["umount"]).arg(&at).ok();
    assert_eq!(mounted_at(&at), None);
    expect(&pond, &renamed.join("pond"), &tree);
}

#[test]
fn commands_find_a_moved_pond_by_its_mountpoint_and_by_both_of_its_paths() {
    let pond = Pond::new();
    let mount = pond.mount();
    file(mount.path(), "f", "x");
    let moved = pond.outside("moved");
    fs::rename(pond.store(), &moved).unwrap();
    for path in [mount.path(), &moved, &pond.store(), &mount.join("f")] {
        let report = status(&pond, path);
        assert_eq!(report["pond"], moved.to_str().unwrap(), "by {path:?}");
        assert_eq!(report["mountpoint"], mount.path().to_str().unwrap());
        assert_eq!(number(&report, "pid"), mount.daemon().pid() as u64);
        for command in ["sync", "log", "check"] {
            pond.run([command]).arg(path).ok();
        }
    }
    let list = pond.run(["mount"]).ok().text();
    let line = format!("{} on {}\n", moved.display(), mount.path().display());
    assert!(list.contains(&line), "{list}");
    let at = mount.path().to_str().unwrap();
    // No command reports that the pond is missing or not mounted.
    for store in [pond.store(), moved.clone()] {
        let second = pond
            .run(["mount"])
            .arg(&store)
            .arg(pond.mountpoint("other"));
        if store == moved {
            second.outcome().exits(11).says(&["in use", at]);
        } else {
            second
                .outcome()
                .fails()
                .says(&[at, moved.to_str().unwrap()]);
        }
        pond.run(["umount"])
            .arg(&store)
            .outcome()
            .fails()
            .says(&["mounted at", at]);
        pond.run(["check", "--repair"])
            .arg(&store)
            .outcome()
            .exits(11)
            .says(&["in use", at]);
    }
    mount.unmount();
    pond.run(["status"]).arg(&moved).ok();
    pond.run(["status"]).arg(pond.store()).outcome().exits(10);
}

#[test]
fn another_pond_in_the_place_of_a_moved_one_is_not_taken_for_it() {
    let pond = Pond::new();
    let mount = pond.mount();
    file(mount.path(), "f", "of the first");
    let first = mount.status()["id"].clone();
    let moved = pond.outside("moved");
    fs::rename(pond.store(), &moved).unwrap();
    pond.run(["init"]).arg(pond.store()).ok();
    let second = pond.status()["id"].clone();
    assert_ne!(first, second);
    assert_eq!(mount.status()["id"], first);
    file(mount.path(), "g", "of the first too");
    mount.sync();
    // The second one is served as well.
    let other = pond.mountpoint("other");
    pond.run(["mount"]).arg(pond.store()).arg(&other).ok();
    assert_eq!(mount.status()["id"], first);
    assert_eq!(pond.status()["id"], second);
    assert_eq!(status(&pond, &other)["id"], second);
    let tree = Tree::of(mount.path());
    mount.unmount();
    assert_eq!(fs::read_dir(&other).unwrap().count(), 0);
    pond.run(["umount"]).arg(&other).ok();
    pond.check();
    expect(&pond, &moved, &tree);
}

#[test]
fn a_pond_whose_folder_was_removed_is_not_unmounted_without_a_word() {
    let pond = Pond::new();
    let mut mount = pond.mount();
    let content = Rng::new(3).bytes(100_000);
    file(mount.path(), "f", &content);
    // A flush, a commit or the clean-up of either may be writing meanwhile.
    while fs::remove_dir_all(pond.store()).is_err() {}
    let at = mount.path().to_str().unwrap();
    for command in ["status", "sync", "log", "umount"] {
        pond.run([command])
            .arg(mount.path())
            .outcome()
            .exits(1)
            .says(&["removed", at, "--force"]);
    }
    assert!(mounted_at(mount.path()).is_some(), "it stays mounted");
    // What was acknowledged is there to be copied.
    assert!(fs::read(mount.join("f")).unwrap() == content);
    pond.run(["umount", "--force"]).arg(mount.path()).ok();
    mount.expect_gone(LEAVING);
    assert!(!pond.store().exists());
}

#[test]
fn a_pond_without_its_socket_is_unmounted_with_its_last_version_or_told() {
    let pond = Pond::new();
    let mount = pond.mount_with(&["-o", "commit=3600"]);
    file(mount.path(), "f", "x");
    fs::remove_file(pond.store().join("control.sock")).unwrap();
    mount.unmount();
    pond.forget_index();
    let mount = pond.mount_with(&["-o", "commit=3600"]);
    assert_eq!(fs::read_to_string(mount.join("f")).unwrap(), "x");
    file(mount.path(), "g", "y");
    fs::remove_file(pond.store().join("control.sock")).unwrap();
    // What a commit is added to.
    fs::remove_dir_all(pond.store().join("oplog")).unwrap();
    pond.run(["umount"])
        .arg(mount.path())
        .outcome()
        .exits(1)
        .says(&["last version"]);
    assert_eq!(mounted_at(mount.path()), None);
}

#[test]
fn a_pond_that_is_mounted_twice_is_served_until_it_is_unmounted_twice() {
    let pond = Pond::new();
    let mut mount = pond.mount();
    let bound = Stacked::bind(mount.path(), &pond.outside("bound"));
    file(bound.path(), "f", "x");
    let by_the_other = number(&status(&pond, bound.path()), "pid");
    assert_eq!(by_the_other, number(&mount.status(), "pid"));
    // Unmounting one of them returns at once, and says what is left.
    pond.run(["umount"])
        .arg(mount.path())
        .ok()
        .says(&["still mounted at", bound.path().to_str().unwrap()]);
    assert!(number(&pond.status(), "version") > 0);
    assert_eq!(pond.status()["mountpoint"], bound.path().to_str().unwrap());
    file(bound.path(), "g", "y");
    pond.run(["umount"]).arg(bound.path()).ok();
    mount.expect_gone(LEAVING);
    drop(bound);
    let again = pond.mount();
    assert_eq!(fs::read_to_string(again.join("g")).unwrap(), "y");
    again.unmount();
}

#[test]
fn a_mountpoint_that_is_moved_with_the_folder_above_it_is_still_the_mount() {
    let pond = Pond::new();
    for signal in [None, Some(Signal::TERM)] {
        let above = folder(&pond.outside(""), "above");
        let old = folder(&above, "mnt");
        let mount = Mount::new(&pond, old, &[]);
        let renamed = pond.outside("renamed");
        fs::rename(&above, &renamed).unwrap();
        let at = renamed.join("mnt");
        file(&at, "f", "x");
        let at_now = at.to_str().unwrap();
        assert_eq!(pond.status()["mountpoint"], at_now);
        assert_eq!(status(&pond, &at)["mountpoint"], at_now);
        pond.try_mount(&[]).exits(11).says(&["mounted at", at_now]);
        match signal {
            None => drop(pond.run(["umount"]).arg(&at).ok()),
            Some(signal) => mount.daemon().signal(signal),
        }
        assert!(mount.daemon().ended(LEAVING));
        assert_eq!(mounted_at(&at), None, "a dead mount is left");
        pond.check();
        fs::remove_dir_all(&renamed).unwrap();
    }
}

#[test]
fn a_pond_below_a_bind_mount_is_found_by_either_path() {
    let pond = Pond::missing();
    let real = folder(&pond.outside(""), "real");
    let bound = Stacked::bind(&real, &pond.outside("bound"));
    let (through, direct): (PathBuf, PathBuf) = (bound.join("pond"), real.join("pond"));
    let at = pond.mountpoint("mnt");
    pond.run(["mount", "--create"]).arg(&through).arg(&at).ok();
    file(&at, "f", "x");
    let pid = number(&status(&pond, &at), "pid");
    for path in [&through, &direct] {
        assert_eq!(number(&status(&pond, path), "pid"), pid);
    }
    fs::rename(&direct, real.join("moved")).unwrap();
    file(&at, "g", "y");
    assert_eq!(number(&status(&pond, &at), "pid"), pid);
    pond.run(["umount"]).arg(&at).ok();
    bound.unmount();
    pond.run(["check"]).arg(real.join("moved")).ok();
}

#[test]
fn a_pond_that_another_mount_namespace_holds_is_named_with_its_process() {
    need_root("makes a mount namespace");
    let pond = Pond::new();
    let mut mount = pond.mount();
    file(mount.path(), "f", "x");
    // As a container does that was started meanwhile.
    let script = format!(r#"{KEEP_ONLY} keep_only "$1"; exec sleep 300"#);
    let container = tool("unshare")
        .args([
            "--mount",
            "--propagation",
            "private",
            "bash",
            "-c",
            &script,
            "bash",
        ])
        .arg(mount.path())
        .start();
    let holds = || {
        let table = fs::read_to_string(format!("/proc/{}/mountinfo", container.pid()));
        let ours = fs::read_to_string("/proc/self/mountinfo").unwrap();
        table.is_ok_and(|table| !table.is_empty() && table != ours)
    };
    while !holds() {
        std::thread::yield_now();
    }
    pond.run(["umount"])
        .arg(mount.path())
        .ok()
        .says(&["another mount namespace", "process"]);
    assert!(number(&pond.status(), "version") > 0);
    drop(container);
    mount.expect_gone(LEAVING);
    pond.check();
}
