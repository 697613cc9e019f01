//! `@version`: the past is a directory in every directory, hidden, read-only, and the same for ever.

use std::fs::{self, File, OpenOptions};
use std::io::Read;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use mount_tests::mount::Mount;
use mount_tests::place::{file, folder};
use mount_tests::pond::{Pond, names};
use mount_tests::run::shell;
use mount_tests::sys::{refused, remove_xattr, rename_with, set_times, set_xattr};
use mount_tests::tree::Tree;
use rustix::fs::{CWD, FileType, Mode, RenameFlags, UTIME_NOW, XattrFlags, mkfifoat};
use rustix::io::Errno;

/// A pond with three versions of `dir/f`: "one", "two", and gone.
fn three_versions(mount: &Mount) -> [u64; 3] {
    let dir = folder(mount.path(), "dir");
    file(&dir, "f", "one");
    let first = mount.sync();
    file(&dir, "f", "two");
    file(mount.path(), "g", "new");
    let second = mount.sync();
    fs::remove_file(dir.join("f")).unwrap();
    [first, second, mount.sync()]
}

#[test]
fn version_directory_lists_numbers_and_latest() {
    let pond = Pond::new();
    let mount = pond.mount();
    let versions = three_versions(&mount);
    let listed = names(&mount.join("@version"));
    for version in versions {
        assert!(
            listed.contains(&version.to_string()),
            "no {version} in {listed:?}"
        );
    }
    assert!(listed.contains(&"latest".to_string()), "{listed:?}");
    assert!(
        listed
            .iter()
            .all(|name| name == "latest" || name.parse::<u64>().is_ok()),
        "{listed:?}"
    );
    let latest = fs::read_link(mount.join("@version/latest")).unwrap();
    assert_eq!(latest, Path::new(&versions[2].to_string()));
    shell(r#"cd "$1/@version/latest" && test "$(cat g)" = new"#)
        .arg(mount.path())
        .ok();
}

#[test]
fn each_version_shows_what_was_there() {
    let pond = Pond::new();
    let mount = pond.mount();
    let [first, second, third] = three_versions(&mount);
    let read = |version, path| fs::read_to_string(mount.version(version).join(path));
    assert_eq!(read(first, "dir/f").unwrap(), "one");
    assert_eq!(read(second, "dir/f").unwrap(), "two");
    refused(read(third, "dir/f"), Errno::NOENT);
    refused(read(first, "g"), Errno::NOENT);
    assert!(
        names(&mount.version(0)).is_empty(),
        "version 0 is the empty tree"
    );
    refused(fs::read_dir(mount.version(third + 1000)), Errno::NOENT);
    refused(fs::read_dir(mount.join("@version/nonsense")), Errno::NOENT);
}

#[test]
fn every_directory_has_its_own_past() {
    let pond = Pond::new();
    let mount = pond.mount();
    let [first, second, _] = three_versions(&mount);
    let past = mount.join("dir/@version");
    assert_eq!(
        fs::read_to_string(past.join(format!("{first}/f"))).unwrap(),
        "one"
    );
    assert_eq!(
        fs::read_to_string(past.join(format!("{second}/f"))).unwrap(),
        "two"
    );
    assert!(names(&past).contains(&"latest".to_string()));
    refused(fs::read_dir(past.join("0")), Errno::NOENT);
    // What differs between then and now, with the tools of every day.
    let diff = shell(r#"cd "$1/dir"; diff -r "@version/$2" ."#);
    let difference = diff
        .arg(mount.path())
        .arg(second.to_string())
        .outcome()
        .exits(1)
        .text();
    assert_eq!(difference, format!("Only in @version/{second}: f\n"));
}

#[test]
fn the_version_directory_is_not_listed_and_its_name_cannot_be_taken() {
    let pond = Pond::new();
    let mount = pond.mount();
    let dir = folder(mount.path(), "dir");
    let f = file(&dir, "f", "x");
    assert_eq!(
        (names(mount.path()), names(&dir)),
        (vec!["dir".to_string()], vec!["f".to_string()])
    );
    // The kernel finds the name before it asks to create it, so mostly it is the kernel that says that it exists.
    let taken = |result: std::io::Result<()>| {
        let error = result.map_err(|error| Errno::from_io_error(&error));
        assert!(
            matches!(error, Err(Some(Errno::INVAL | Errno::EXIST | Errno::ISDIR))),
            "{error:?}"
        );
    };
    for parent in [mount.path(), &dir] {
        let reserved = parent.join("@version");
        taken(File::create_new(&reserved).map(drop));
        taken(File::create(&reserved).map(drop));
        taken(fs::create_dir(&reserved));
        taken(symlink("f", &reserved));
        taken(fs::hard_link(&f, &reserved));
        taken(fs::rename(&f, &reserved));
        taken(mkfifoat(CWD, &reserved, Mode::RUSR).map_err(Into::into));
        assert!(
            fs::remove_dir(&reserved).is_err() && fs::rename(&reserved, parent.join("x")).is_err()
        );
    }
    assert_eq!(names(mount.path()), ["dir"]);
}

#[test]
fn the_past_cannot_be_written() {
    let pond = Pond::new();
    let mount = pond.mount();
    let [first, ..] = three_versions(&mount);
    let before = Tree::of(&mount.version(first));
    let dir = mount.version(first).join("dir");
    let f = dir.join("f");
    refused(File::create(&f), Errno::ROFS);
    refused(OpenOptions::new().append(true).open(&f), Errno::ROFS);
    refused(File::create_new(dir.join("new")), Errno::ROFS);
    refused(fs::create_dir(dir.join("new")), Errno::ROFS);
    refused(symlink("x", dir.join("new")), Errno::ROFS);
    refused(fs::hard_link(&f, dir.join("new")), Errno::ROFS);
    refused(fs::remove_file(&f), Errno::ROFS);
    refused(fs::remove_dir(&dir), Errno::ROFS);
    refused(fs::rename(&f, dir.join("new")), Errno::ROFS);
    refused(
        rename_with(&f, &dir.join("new"), RenameFlags::NOREPLACE),
        Errno::ROFS,
    );
    refused(
        fs::set_permissions(&f, PermissionsExt::from_mode(0o600)),
        Errno::ROFS,
    );
    refused(std::os::unix::fs::chown(&f, Some(1), None), Errno::ROFS);
    let now = rustix::fs::Timespec {
        tv_sec: 0,
        tv_nsec: UTIME_NOW,
    };
    refused(set_times(&f, now, now), Errno::ROFS);
    refused(
        set_xattr(&f, "user.a", b"", XattrFlags::empty()),
        Errno::ROFS,
    );
    refused(remove_xattr(&f, "user.a"), Errno::ROFS);
    refused(
        rustix::fs::mknodat(CWD, dir.join("new"), FileType::Fifo, Mode::RUSR, 0),
        Errno::ROFS,
    );
    Tree::of(&mount.version(first)).assert_equals(&before, "after all that was refused");
    // From the past into the present goes neither a rename nor a hard link, but a copy.
    assert!(
        fs::rename(&f, mount.join("taken")).is_err()
            && fs::hard_link(&f, mount.join("taken")).is_err()
    );
    fs::copy(&f, mount.join("restored")).unwrap();
    assert_eq!(fs::read_to_string(mount.join("restored")).unwrap(), "one");
}

#[test]
fn a_version_stays_the_same_while_the_present_goes_on() {
    let pond = Pond::new();
    let mount = pond.mount();
    let big = file(mount.path(), "big", vec![b'1'; 3_000_000]);
    let version = mount.sync();
    let mut then = File::open(mount.version(version).join("big")).unwrap();
    let mut start = vec![0; 1000];
    then.read_exact(&mut start).unwrap();
    fs::write(&big, "changed").unwrap();
    mount.sync();
    fs::remove_file(&big).unwrap();
    mount.sync();
    let mut rest = Vec::new();
    then.read_to_end(&mut rest).unwrap();
    assert!(start.len() + rest.len() == 3_000_000 && rest.iter().all(|byte| *byte == b'1'));
}

#[test]
fn changes_that_no_version_holds_yet_are_not_in_latest() {
    let pond = Pond::new();
    let mount = pond.mount_with(&["-o", "commit=3600"]);
    let f = file(mount.path(), "f", "committed");
    let version = mount.sync();
    fs::write(&f, "not yet").unwrap();
    let latest = mount.join("@version/latest/f");
    assert_eq!(fs::read_to_string(&latest).unwrap(), "committed");
    assert_eq!(fs::read_to_string(&f).unwrap(), "not yet");
    assert!(mount.sync() > version);
    assert_eq!(
        fs::read_to_string(&latest).unwrap(),
        "not yet",
        "latest moves with the commit"
    );
}

#[test]
fn inode_numbers_of_the_past_are_not_those_of_the_present() {
    use std::os::unix::fs::MetadataExt;
    let pond = Pond::new();
    let mount = pond.mount();
    let [first, second, _] = three_versions(&mount);
    let inode = |path: &Path| fs::metadata(path).unwrap().ino();
    let (then, later) = (
        mount.version(first).join("dir/f"),
        mount.version(second).join("dir/f"),
    );
    // Programs such as diff and tar take equal numbers for equal files.
    assert_ne!(inode(&then), inode(&later));
    assert_ne!(
        inode(&mount.version(second).join("g")),
        inode(&mount.join("g"))
    );
    assert_eq!(inode(&then), inode(&then));
}
