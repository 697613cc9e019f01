//! A pond is made once, mounted, written, unmounted, and what was written is there again.

use std::fs;

use mount_tests::place::{file, folder};
use mount_tests::pond::{Pond, names, number};
use mount_tests::process::mounted_at;
use mount_tests::tree::Tree;

#[test]
fn what_is_written_is_there_after_unmount_and_after_the_index_is_deleted() {
    let pond = Pond::new();
    let mount = pond.mount();
    assert!(
        names(mount.path()).is_empty(),
        "a new pond is empty: {:?}",
        names(mount.path())
    );
    let dir = folder(mount.path(), "dir");
    file(&dir, "small.txt", "hello\n");
    file(&dir, "large.bin", vec![7; 5_000_000]);
    assert_eq!(
        fs::read_to_string(dir.join("small.txt")).unwrap(),
        "hello\n"
    );
    let written = Tree::of(mount.path());

    let mount = mount.remount();
    Tree::of(mount.path()).assert_equals(&written, "after a remount");
    let mount = mount.remount_without_index();
    Tree::of(mount.path()).assert_equals(&written, "after deleting index and cache");
    mount.unmount();
    pond.check();
}

#[test]
fn create_makes_a_pond_once_and_without_it_a_typo_makes_nothing() {
    let pond = Pond::missing();
    pond.try_mount(&[]).exits(10);
    assert!(
        !pond.store().exists(),
        "a failed mount has left something behind"
    );
    let mount = pond.mount_with(&["--create"]);
    file(mount.path(), "f", "kept");
    mount.unmount();
    let id = pond.status()["id"].clone();
    let mount = pond.mount_with(&["--create"]);
    assert_eq!(
        fs::read_to_string(mount.join("f")).unwrap(),
        "kept",
        "--create on an existing pond opens it"
    );
    assert_eq!(pond.status()["id"], id);
}

#[test]
fn init_does_not_touch_a_pond_that_exists() {
    let pond = Pond::new();
    let before = fs::read(pond.store().join("pond.toml")).unwrap();
    pond.run(["init"])
        .arg(pond.store())
        .outcome()
        .fails()
        .says(&["error:"]);
    assert_eq!(fs::read(pond.store().join("pond.toml")).unwrap(), before);
}

#[test]
fn a_pond_on_disk_is_what_the_format_says() {
    let pond = Pond::new();
    let mount = pond.mount();
    file(mount.path(), "f", "x");
    mount.unmount();
    let inside = names(&pond.store());
    for name in ["pond.toml", "oplog", "segments", "index"] {
        assert!(
            inside.iter().any(|found| found == name),
            "no {name} in {inside:?}"
        );
    }
    assert!(names(&pond.store().join("oplog")).contains(&"_delta_log".to_string()));
}

#[test]
fn status_tells_what_is_going_on() {
    let pond = Pond::new();
    let status = pond.status();
    assert_eq!(number(&status, "version"), 0);
    assert!(
        status["mountpoint"].is_null() && status["pid"].is_null(),
        "nothing is mounted: {status}"
    );

    let mount = pond.mount_with(&["-o", "commit=3600"]);
    file(mount.path(), "f", vec![1; 100_000]);
    let status = mount.status();
    assert_eq!(status["mountpoint"].as_str(), mount.path().to_str());
    assert_eq!(number(&status, "pid"), mount.daemon().pid() as u64);
    assert!(
        number(&status["dirty"], "entries") > 0 && status["read_only"].is_null(),
        "{status}"
    );
    assert_eq!(
        pond.status()["id"],
        status["id"],
        "asked by pond and by mountpoint"
    );

    let version = mount.sync();
    let status = mount.status();
    assert_eq!(
        (
            number(&status, "version"),
            number(&status["dirty"], "entries")
        ),
        (version, 0),
        "{status}"
    );
    let committed = status["committed"].as_str().expect("a time");
    assert!(
        committed.starts_with("20") && committed.contains('T'),
        "{committed} is not RFC 3339"
    );
}

#[test]
fn the_log_lists_versions_newest_first_with_times_and_counts() {
    let pond = Pond::new();
    let mount = pond.mount();
    file(mount.path(), "a", "1");
    let first = mount.sync();
    file(mount.path(), "b", "2");
    let second = mount.sync();
    assert!(second > first, "{second} after {first}");
    let lines = pond.ask(["log"]).json_lines();
    let versions: Vec<_> = lines.iter().map(|line| number(line, "version")).collect();
    assert_eq!(&versions[..2], &[second, first], "newest first");
    assert!(versions.is_sorted_by(|a, b| a > b), "{versions:?}");
    assert!(
        number(&lines[0], "changes") > 0 && lines[0]["committed"].is_string(),
        "{}",
        lines[0]
    );
    mount.unmount();
    assert_eq!(pond.log(), versions, "the same without a mount");
}

#[test]
fn reading_and_doing_nothing_make_no_version() {
    let pond = Pond::new();
    let mount = pond.mount();
    file(mount.path(), "f", "x");
    let version = mount.sync();
    Tree::of(mount.path());
    Tree::of(&mount.version(version));
    assert_eq!(mount.sync(), version, "after reads only");
    let mount = mount.remount();
    assert_eq!(mount.sync(), version, "after a remount");
    assert_eq!(pond.log()[0], version);
}

#[test]
fn a_version_is_made_by_itself_a_few_seconds_after_a_change() {
    let pond = Pond::new();
    let mount = pond.mount_with(&["-o", "commit=1"]);
    let before = number(&mount.status(), "version");
    file(mount.path(), "f", "x");
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(15);
    while number(&mount.status(), "version") == before {
        assert!(
            std::time::Instant::now() < deadline,
            "no version 15 s after a change with commit=1"
        );
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
}

#[test]
fn the_pond_is_found_by_the_environment_and_by_the_current_directory() {
    let pond = Pond::new();
    let mount = pond.mount();
    let id = pond.status()["id"].clone();
    let by_env = pond
        .run(["--json", "status"])
        .env("POND_STORE", pond.store())
        .ok()
        .json();
    assert_eq!(by_env["id"], id);
    let deep = folder(&folder(mount.path(), "a"), "b");
    let by_directory = pond.run(["--json", "status"]).within(&deep).ok().json();
    assert_eq!(by_directory["id"], id);
    pond.run(["sync"]).within(&deep).ok();
    pond.run(["log"]).within(&deep).ok();
    // Outside any mount, and with no name given, there is no pond to tell about.
    pond.run(["status"]).outcome().fails().says(&["error:"]);
}

#[test]
fn a_read_only_mount_reads_and_refuses_to_write() {
    let pond = Pond::new();
    let mount = pond.mount();
    file(mount.path(), "f", "x");
    mount.unmount();
    for args in [&["--read-only"][..], &["-o", "ro"]] {
        let mount = pond.mount_with(args);
        assert_eq!(fs::read_to_string(mount.join("f")).unwrap(), "x");
        let refused = fs::write(mount.join("g"), "y").unwrap_err();
        assert_eq!(
            refused.raw_os_error(),
            Some(libc::EROFS),
            "{args:?}: {refused}"
        );
        let options = mounted_at(mount.path()).unwrap().options;
        assert!(
            options.split(',').any(|option| option == "ro"),
            "{args:?}: {options}"
        );
        mount.unmount();
    }
}
