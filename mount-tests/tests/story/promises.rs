//! What `fsync` promises, and what becomes of a writer that cannot keep it: one whose disk fails, one whose
//! pond was taken over, one that is not alone.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use mount_tests::inject::{Boundary, Fault, Faulty};
use mount_tests::place::file;
use mount_tests::pond::{Pond, names};
use mount_tests::run::tool;
use mount_tests::sys::refused;
use rustix::io::Errno;
use serde_json::Value;

fn promise(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

fn reason(status: &Value) -> String {
    status["read_only"].as_str().unwrap_or_default().to_owned()
}

#[test]
fn fsync_of_a_file_makes_its_name_durable_too() {
    let pond = Pond::new();
    let mount = pond.mount_with(&["-o", "commit=3600"]);
    fs::create_dir_all(mount.join("a/b")).unwrap();
    promise(&file(&mount.join("a/b"), "f", "x")).unwrap();
    mount.kill9();
    let mount = pond.mount();
    assert_eq!(fs::read_to_string(mount.join("a/b/f")).unwrap(), "x");
    mount.unmount();
}

#[test]
fn with_sync_commit_every_fsync_is_a_version() {
    for args in [
        &["--sync", "commit", "-o", "commit=3600"][..],
        &["-o", "commit=3600,sync=commit"],
    ] {
        let pond = Pond::new();
        let mount = pond.mount_with(args);
        for n in 1..=3 {
            promise(&file(mount.path(), "f", format!("{n}"))).unwrap();
            assert_eq!(pond.log()[0], n);
        }
        mount.kill9();
        // Not even the journal is needed.
        pond.forget_index();
        fs::remove_dir_all(pond.store().join("journal")).unwrap();
        let mount = pond.mount();
        assert_eq!(fs::read_to_string(mount.join("f")).unwrap(), "3");
        mount.unmount();
        pond.check();
    }
}

#[test]
fn a_failed_sync_is_told_to_all_and_never_made_good() {
    let pond = Pond::new();
    let mount = pond.mount();
    file(mount.path(), "before", "x");
    mount.unmount();
    // The sync of the first flush fails, whichever file that is of.
    let mut met = 0;
    for count in 1..12 {
        let boundary = Boundary {
            call: "fdatasync",
            count,
        };
        let faulty = Faulty::mount(&pond, boundary, Fault::Error("EIO"));
        let path = faulty.path().join(format!("f{count}"));
        let failed = fs::write(&path, "x").and_then(|()| promise(&path)).is_err();
        if failed {
            met += 1;
            for _ in 0..3 {
                assert!(
                    promise(&faulty.path().join("before")).is_err(),
                    "a failed sync was made good"
                );
            }
            refused(fs::write(faulty.path().join("later"), "x"), Errno::ROFS);
            assert_eq!(
                fs::read_to_string(faulty.path().join("before")).unwrap(),
                "x"
            );
            assert!(reason(&pond.status()).contains("sync"), "{}", pond.status());
            let own = fs::read_to_string(faulty.path().join(".pond/errors")).unwrap();
            assert!(own.contains("fsync"), "{own}");
        }
        faulty.end();
    }
    assert!(met > 0, "no sync of a flush was met: this proved nothing");
    let mount = pond.mount();
    assert!(names(mount.path()).contains(&"before".to_string()));
    mount.unmount();
    pond.check();
}

#[test]
fn a_writer_whose_lock_was_stolen_takes_no_more_changes() {
    let pond = Pond::new();
    let mount = pond.mount_with(&["-o", "commit=3600"]);
    file(mount.path(), "mine", "x");
    mount.sync();
    // As another machine leaves it that does not see the first one's lock.
    let thief = r#"{"pid":7,"host":"elsewhere","mountpoint":null,"token":"6a2f41a6-c54c-4d0c-8a3e-0a4f3f6f2d11"}"#;
    fs::write(pond.store().join("lock"), thief).unwrap();
    file(mount.path(), "late", "z");
    let late = fs::write(mount.join(".pond/sync"), "now");
    assert!(late.is_err(), "a version was made behind the other's back");
    refused(fs::write(mount.join("more"), "x"), Errno::ROFS);
    let status = fs::read_to_string(mount.join(".pond/status")).unwrap();
    let told = "taken over by process 7 on elsewhere";
    assert!(status.contains(told), "{status}");
    mount.kill9();
    let mount = pond.mount();
    assert_eq!(names(mount.path()), ["mine"]);
    mount.unmount();
    pond.check();
}

#[test]
fn a_copied_pond_is_one_of_its_own() {
    let pond = Pond::new();
    let mount = pond.mount();
    file(mount.path(), "common", "x");
    mount.sync();
    let copy = pond.outside("copy");
    tool("cp").arg("-a").arg(pond.store()).arg(&copy).ok();
    let at = pond.mountpoint("copied");
    pond.run(["mount"]).arg(&copy).arg(&at).ok();
    file(&at, "there", "y");
    file(mount.path(), "here", "z");
    mount.sync();
    pond.run(["umount"]).arg(&at).ok();
    assert_eq!(names(mount.path()), ["common", "here"]);
    mount.unmount();
    pond.check();
    let answer = pond.run(["--json", "check"]).arg(&copy).ok().json();
    assert_eq!(answer["ok"], true);
}
