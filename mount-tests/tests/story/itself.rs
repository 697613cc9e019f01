//! `.pond`: what a pond tells of itself in its own mount.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, Instant};

use mount_tests::damage::kind::flip;
use mount_tests::place::{file, on_mount};
use mount_tests::pond::{Pond, names, number};
use mount_tests::rng::Rng;
use mount_tests::run::shell;
use mount_tests::sys::{get_xattr, mode, refused};
use rustix::io::Errno;

#[test]
fn the_directory_is_not_listed_and_belongs_to_the_owner_alone() {
    on_mount(|root, _| {
        let own = root.join(".pond");
        if !own.exists() {
            // A plain directory has none.
            return;
        }
        assert_eq!(names(root), Vec::<String>::new());
        assert_eq!(names(&own), ["errors", "metrics", "status", "sync"]);
        assert_eq!((mode(&own), mode(own.join("status"))), (0o500, 0o400));
        assert_eq!(
            fs::metadata(&own).unwrap().uid(),
            rustix::process::geteuid().as_raw()
        );
        refused(fs::create_dir(&own), Errno::EXIST);
        refused(fs::remove_dir(&own), Errno::ROFS);
        refused(fs::rename(&own, root.join("elsewhere")), Errno::ROFS);
        refused(fs::write(own.join("status"), "x"), Errno::ROFS);
        refused(fs::write(own.join("new"), "x"), Errno::ROFS);
        refused(fs::rename(file(root, "f", "x"), &own), Errno::ISDIR);
        // It is found in the root only.
        fs::create_dir(root.join("d")).unwrap();
        fs::create_dir(root.join("d/.pond")).unwrap();
    });
}

#[test]
fn metrics_tell_how_long_requests_took() {
    let pond = Pond::new();
    let mount = pond.mount_with(&["-o", "commit=3600"]);
    let value = |name: &str| -> f64 {
        let text = fs::read_to_string(mount.join(".pond/metrics")).unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        let line = line.unwrap_or_else(|| panic!("{name} in {text}"));
        line.trim().parse().unwrap()
    };
    let created = "pondmount_request_seconds_count{op=\"create\"}";
    assert_eq!((value(created), value("pondmount_version")), (0.0, 0.0));
    for n in 0..10 {
        file(mount.path(), &n.to_string(), "x");
    }
    // A request is counted after its reply was sent.
    let deadline = Instant::now() + Duration::from_secs(20);
    while value(created) < 10.0 && Instant::now() < deadline {
        std::thread::yield_now();
    }
    assert_eq!(value(created), 10.0);
    assert_eq!(
        value("pondmount_request_seconds_bucket{le=\"+Inf\",op=\"create\"}"),
        10.0
    );
    let took = value("pondmount_request_seconds_sum{op=\"create\"}");
    assert!(took > 0.0 && took < 10.0, "{took} s");
    assert!(value("pondmount_uncommitted_entries") > 0.0);
    mount.sync();
    assert_eq!(
        (
            value("pondmount_uncommitted_entries"),
            value("pondmount_version")
        ),
        (0.0, 1.0)
    );
}

#[test]
fn status_is_json_and_sync_makes_a_version() {
    let pond = Pond::new();
    let mount = pond.mount_with(&["-o", "commit=3600"]);
    let read = |name: &str| fs::read_to_string(mount.join(".pond").join(name)).unwrap();
    let status = || -> serde_json::Value { serde_json::from_str(&read("status")).unwrap() };
    file(mount.path(), "f", "x");
    assert_eq!(
        (number(&status(), "version"), read("sync").as_str()),
        (0, "0\n")
    );
    assert!(number(&status()["dirty"], "entries") > 0);
    shell(r#"echo now > "$1/.pond/sync""#)
        .arg(mount.path())
        .ok();
    assert_eq!(
        (number(&status(), "version"), read("sync").as_str()),
        (1, "1\n")
    );
    assert_eq!(pond.log(), [1, 0]);
    mount.unmount();
}

#[test]
fn what_could_not_be_read_is_told_with_its_path_and_why() {
    let pond = Pond::new();
    let mount = pond.mount();
    fs::create_dir(mount.join("deep")).unwrap();
    file(&mount.join("deep"), "whole", Rng::new(7).bytes(200_000));
    let version = mount.sync();
    mount.unmount();
    flip(
        &pond.store().join("segments/0000000000000001.seg"),
        1_000,
        3,
    );

    let mount = pond.mount();
    let paths = [
        "/deep/whole".to_string(),
        format!("/@version/{version}/deep/whole"),
    ];
    for path in &paths {
        refused(fs::read(mount.join(&path[1..])), Errno::IO);
    }
    let errors = fs::read_to_string(mount.join(".pond/errors")).unwrap();
    for path in &paths {
        let line = errors
            .lines()
            .find(|line| line.contains(&format!("\t{path}\t")));
        let line = line.unwrap_or_else(|| panic!("{path} is not named in:\n{errors}"));
        assert!(line.contains("\tEIO\tsegment 1 is damaged"), "{line}");
        let reason = get_xattr(&mount.join(&path[1..]), "user.pond.error").unwrap();
        assert!(line.ends_with(&*String::from_utf8_lossy(&reason)), "{line}");
    }
    refused(
        get_xattr(&mount.join("deep"), "user.pond.error"),
        Errno::NODATA,
    );
    mount.unmount();
}

#[test]
fn limits_are_read_from_the_pond_and_shown_with_where_they_come_from() {
    let pond = Pond::new();
    let set = |table: &str| {
        let path = pond.store().join("pond.toml");
        let text = fs::read_to_string(&path).unwrap();
        let (identity, _) = text.split_once("[limits]").unwrap_or((&text, ""));
        fs::write(
            &path,
            format!("{}\n[limits]\n{table}\n", identity.trim_end()),
        )
        .unwrap();
    };
    let config = |words: &[&str]| {
        let shown = pond
            .run(["status", "--config"])
            .arg(pond.store())
            .ok()
            .text();
        for word in words {
            assert!(shown.contains(word), "no {word} in {shown}");
        }
    };
    set("resource-file = \"4 KiB\"");
    let mount = pond.mount();
    config(&["resource-file", "4 KiB  pond.toml", "256 MiB  default"]);
    // A resource of 5 KB is one by the default.
    let long = format!("# {}\nkind: Reduce\n", "-".repeat(5_000));
    fs::create_dir(mount.join("Reduce")).unwrap();
    file(&mount.join("Reduce"), "long.yaml", long);
    let status = fs::read_to_string(mount.join(".pond/status")).unwrap();
    assert!(
        status.contains("it is too long to be a resource"),
        "{status}"
    );
    set("resource-file = \"8 KiB\"");
    config(&["4 KiB  pond.toml", "8 KiB from the next mount on"]);
    mount.unmount();
    let mount = pond.mount();
    let status = fs::read_to_string(mount.join(".pond/status")).unwrap();
    assert!(!status.contains("it is too long"), "{status}");
    mount.unmount();
    set("derive-threads = 0");
    let refused = pond.try_mount(&[]).fails();
    refused.says(&["pond.toml", "`derive-threads` is 0", "from 1 to 4096"]);
    set("threads = 3");
    pond.run(["check"])
        .arg(pond.store())
        .outcome()
        .fails()
        .says(&["no limit `threads`"]);
}
