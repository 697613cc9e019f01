//! Going to the past: versions by time, age and name, of directories and of files; and what was, brought back.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::thread;
use std::time::Duration;

use mount_tests::grow::{edit, sow};
use mount_tests::mount::Mount;
use mount_tests::place::{file, folder};
use mount_tests::pond::{Pond, names};
use mount_tests::rng::Rng;
use mount_tests::run::shell;
use mount_tests::tree::Tree;
use rustix::io::Errno;

/// What a command of the pond prints.
fn says<const N: usize>(pond: &Pond, args: [&str; N]) -> String {
    let run = pond.run(args).env("POND_STORE", pond.store());
    run.ok().text()
}

fn target(path: impl AsRef<Path>) -> String {
    let path = path.as_ref();
    let target = fs::read_link(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    target.display().to_string()
}

fn errno<T: std::fmt::Debug>(done: std::io::Result<T>) -> Option<Errno> {
    Errno::from_io_error(&done.expect_err("it was allowed"))
}

/// `d/a.csv` in three versions: made, changed, and changed by an editor; `e` in version 2 alone.
fn edited(mount: &Mount) {
    let d = folder(mount.path(), "d");
    file(&d, "a.csv", "one");
    mount.sync();
    file(&d, "a.csv", "one, two");
    folder(mount.path(), "e");
    mount.sync();
    file(mount.path(), "other", "x");
    mount.sync();
    file(&d, ".a.csv.new", "three");
    fs::rename(d.join(".a.csv.new"), d.join("a.csv")).unwrap();
    mount.sync();
}

#[test]
fn a_directory_lists_the_versions_that_changed_something_below_it() {
    let pond = Pond::new();
    let mount = pond.mount();
    edited(&mount);
    assert_eq!(
        names(&mount.join("@version")),
        ["0", "1", "2", "3", "4", "latest"]
    );
    assert_eq!(names(&mount.join("d/@version")), ["1", "2", "4", "latest"]);
    assert_eq!(names(&mount.join("e/@version")), ["2", "latest"]);
    assert_eq!(target(mount.join("d/@version/latest")), "4");
    assert_eq!(target(mount.join("d/@version/latest~1")), "2");
    // What is not listed is there all the same.
    assert_eq!(
        fs::read(mount.join("d/@version/3/a.csv")).unwrap(),
        b"one, two"
    );
    assert_eq!(
        errno(fs::metadata(mount.join("e/@version/1"))),
        Some(Errno::NOENT)
    );
    // After a new index as well.
    let mount = mount.remount_without_index();
    assert_eq!(names(&mount.join("d/@version")), ["1", "2", "4", "latest"]);
    mount.unmount();
    pond.check();
}

#[test]
fn a_file_has_its_own_versions_even_when_it_is_gone() {
    let pond = Pond::new();
    let mount = pond.mount();
    edited(&mount);
    let of = mount.join("d/a.csv@version");
    let listed = ["1.csv", "2.csv", "4.csv", "latest.csv"];
    assert_eq!(names(&of), listed);
    assert_eq!(fs::read(of.join("1.csv")).unwrap(), b"one");
    assert_eq!(
        fs::read(of.join("3")).unwrap(),
        b"one, two",
        "a bare number, of a version between"
    );
    assert_eq!(target(of.join("latest.csv")), "4.csv");
    assert_eq!(fs::read(of.join("latest~1.csv")).unwrap(), b"one, two");
    fs::remove_file(mount.join("d/a.csv")).unwrap();
    mount.sync();
    assert_eq!(names(&of), listed);
    assert_eq!(fs::read(of.join("latest.csv")).unwrap(), b"three");
    assert_eq!(errno(File::create(of.join("9.csv"))), Some(Errno::ROFS));
    assert_eq!(
        errno(fs::metadata(mount.join("d/never@version"))),
        Some(Errno::NOENT)
    );
    assert_eq!(
        errno(File::create(mount.join("d/x@version"))),
        Some(Errno::INVAL)
    );
    // A past directory shows its files' past up to then.
    assert_eq!(
        names(&mount.join("@version/2/d/a.csv@version")),
        ["1.csv", "2.csv", "latest.csv"]
    );
    mount.unmount();
}

#[test]
fn files_with_names_of_255_bytes_have_their_versions_too() {
    let pond = Pond::new();
    let mount = pond.mount();
    let long = |stem: &str, end: &str| stem.repeat((255 - end.len()) / stem.len()) + end;
    let all = [
        (long("b", ".csv"), ".csv"),
        (long("\u{6f22}", ""), ""),
        // No ending that would make the names of its versions longer than names are.
        (format!("x.{}", "y".repeat(253)), ""),
    ];
    for (name, _) in &all {
        assert!((253..=255).contains(&name.len()));
        file(mount.path(), name, "one");
    }
    mount.sync();
    for (name, _) in &all {
        file(mount.path(), name, "two");
    }
    mount.sync();
    for (name, end) in &all {
        let of = mount.join(format!("{name}@version"));
        let listed = ["1", "2", "latest"].map(|name| format!("{name}{end}"));
        assert_eq!(names(&of), listed);
        assert_eq!(fs::read(of.join(format!("1{end}"))).unwrap(), b"one");
        assert_eq!(fs::read(of.join("latest~1")).unwrap(), b"one");
        let past = mount.version(2).join(format!("{name}@version/1{end}"));
        assert_eq!(fs::read(past).unwrap(), b"one");
    }
    let too_long = |name: &str| errno(fs::metadata(mount.join(name)));
    assert_eq!(too_long(&"z".repeat(256)), Some(Errno::NAMETOOLONG));
    let none = format!("{}@version", "z".repeat(256));
    assert_eq!(too_long(&none), Some(Errno::NAMETOOLONG));
    assert_eq!(too_long(&none[1..]), Some(Errno::NOENT));
    mount.unmount();
}

#[test]
fn a_time_and_an_age_lead_to_the_last_version_until_then() {
    let pond = Pond::new();
    let mount = pond.mount();
    file(mount.path(), "f", "1");
    mount.sync();
    thread::sleep(Duration::from_millis(2100));
    file(mount.path(), "f", "2");
    mount.sync();
    let at = |name: &str| target(mount.join("@version").join(name));
    assert_eq!(at("1s-ago"), "1");
    assert_eq!(at("2100-01-01"), "2");
    let log = pond
        .run(["--json", "log"])
        .arg(pond.store())
        .ok()
        .json_lines();
    for row in &log {
        let committed = row["committed"].as_str().unwrap();
        assert_eq!(at(committed), row["version"].to_string(), "{committed}");
        // Without a zone it is UTC.
        assert_eq!(
            at(committed.trim_end_matches('Z')),
            row["version"].to_string()
        );
    }
    for none in ["1999", "1000w-ago", "1999-12-31", "x", "01"] {
        let seen = fs::symlink_metadata(mount.join("@version").join(none));
        assert_eq!(errno(seen), Some(Errno::NOENT), "{none}");
    }
    mount.unmount();
}

#[test]
fn a_version_gets_a_name_and_loses_it() {
    let pond = Pond::new();
    let mount = pond.mount();
    edited(&mount);
    let version = mount.join("@version");
    fs::create_dir(version.join("good")).unwrap();
    assert_eq!(target(version.join("good")), "4");
    assert_eq!(
        errno(fs::create_dir(version.join("good"))),
        Some(Errno::EXIST)
    );
    assert_eq!(
        errno(fs::create_dir(version.join("9lives"))),
        Some(Errno::INVAL)
    );
    assert_eq!(
        errno(fs::create_dir(mount.join("d/@version/x"))),
        Some(Errno::PERM)
    );
    says(&pond, ["snapshot", "early", "--at", "1", "-m", "as it was"]);
    assert_eq!(
        fs::read(mount.join("d/@version/early/a.csv")).unwrap(),
        b"one"
    );
    assert_eq!(
        fs::read(mount.join("d/a.csv@version/early.csv")).unwrap(),
        b"one"
    );
    assert!(names(&mount.join("d/@version")).contains(&"good".to_string()));
    assert!(!names(&mount.join("e/@version")).contains(&"early".to_string()));
    // Names survive everything, and are the same without a mount.
    let mount = mount.remount_without_index();
    let list = says(&pond, ["snapshot", "list"]);
    assert!(
        list.contains("early  as it was") && list.contains("good"),
        "{list}"
    );
    shell("rmdir \"$1\"").arg(mount.join("@version/good")).ok();
    fs::remove_file(mount.join("@version/early")).unwrap();
    mount.unmount();
    assert_eq!(says(&pond, ["snapshot", "list"]), "");
    pond.check();
}

/// The name of a version is a link to all but those who remove it as a directory, at the same moment.
#[test]
fn rmdir_of_a_version_name_beside_readers_changes_nothing_for_them() {
    let pond = Pond::new();
    let mount = pond.mount_with(&["--allow-other"]);
    file(mount.path(), "f", "text");
    mount.sync();
    let named = |n: u32| mount.join(format!("@version/name{n}"));
    let done = std::sync::atomic::AtomicBool::new(false);
    fs::create_dir(named(0)).unwrap();
    thread::scope(|scope| {
        let reader = || {
            let mut looks = 0;
            while !done.load(std::sync::atomic::Ordering::Relaxed) {
                assert_eq!(target(named(0)), "1");
                assert_eq!(fs::read(named(0).join("f")).unwrap(), b"text");
                looks += 1;
            }
            looks
        };
        let readers = [scope.spawn(reader), scope.spawn(reader)];
        let removed = scope.spawn(|| {
            for n in 1..30 {
                fs::create_dir(named(n)).unwrap();
                // A user without permission gets the usual errno.
                let refused = mount_tests::sys::as_nobody(|| fs::remove_dir(named(n)));
                let refused = errno(refused);
                assert!(
                    matches!(refused, Some(Errno::ACCESS | Errno::NOTDIR)),
                    "{refused:?}"
                );
                assert!(target(named(n)).parse::<u64>().is_ok());
                fs::remove_dir(named(n)).unwrap();
                assert_eq!(errno(fs::symlink_metadata(named(n))), Some(Errno::NOENT));
            }
        });
        let removed = removed.join();
        done.store(true, std::sync::atomic::Ordering::Relaxed);
        removed.unwrap();
        for reader in readers {
            assert!(reader.join().unwrap() > 0);
        }
    });
    fs::remove_file(named(0)).unwrap();
    mount.unmount();
}

#[test]
fn a_past_version_is_mounted_as_the_root() {
    let pond = Pond::new();
    let mount = pond.mount();
    edited(&mount);
    let then = Tree::of(&mount.version(2));
    mount.unmount();
    let at = pond.mountpoint("past");
    pond.run(["mount", "--at", "2"])
        .arg(pond.store())
        .arg(&at)
        .ok();
    let past = Mount::adopt(&pond, at, Duration::ZERO);
    Tree::of(past.path()).assert_equals(&then, "the mount of version 2");
    assert_eq!(errno(File::create(past.join("new"))), Some(Errno::ROFS));
    assert_eq!(names(&past.join("@version")), ["0", "1", "2", "latest"]);
    past.unmount();
    let refused = pond
        .run(["mount", "--at", "77"])
        .arg(pond.store())
        .arg(pond.mountpoint("none"));
    assert_eq!(refused.outcome().code(), Some(13));
}

#[test]
fn what_was_comes_back_in_its_place() {
    let pond = Pond::new();
    let mount = pond.mount();
    let d = folder(mount.path(), "d");
    let mut rng = Rng::for_test("restore");
    sow(&d, &mut rng, 60);
    fs::hard_link(file(&d, "linked", "a link"), d.join("other")).unwrap();
    let before = Tree::of(&d);
    let old = mount.sync();
    for _ in 0..5 {
        edit(&d, &mut rng, 12);
    }
    fs::remove_file(d.join("linked")).ok();
    let later = Tree::of(&d);
    let late = mount.sync();

    let restore = |path: &str, at: u64| {
        let path = mount.join(path);
        pond.run(["restore", "--at", &at.to_string()])
            .arg(path)
            .ok();
    };
    restore("d", old);
    Tree::of(&d).assert_equals(&before, "the directory as it was");
    restore("d", late);
    Tree::of(&d).assert_equals(&later, "the directory as it was later");
    fs::remove_dir_all(&d).unwrap();
    restore("d", old);
    Tree::of(&d).assert_equals(&before, "the directory that was gone");
    // A removed file that somebody still has open, and one within a past directory.
    let name = "linked";
    let open = File::open(d.join(name)).unwrap();
    fs::remove_file(d.join(name)).unwrap();
    restore("d/linked", old);
    assert_eq!(fs::read(d.join(name)).unwrap(), b"a link");
    drop(open);
    let newest = mount.sync();
    let now = Tree::of(mount.path());
    assert!(says(&pond, ["diff", &newest.to_string()]).is_empty());
    // All of it, and back.
    says(&pond, ["restore", "/", "--at", "0"]);
    assert!(names(mount.path()).is_empty());
    // To name a version is no change of the tree.
    says(&pond, ["snapshot", "empty"]);
    says(&pond, ["undo"]);
    Tree::of(mount.path()).assert_equals(&now, "after the undo");
    let mount = mount.remount_without_index();
    Tree::of(mount.path()).assert_equals(&now, "from the log alone");
    mount.unmount();
    pond.check();
}

#[test]
fn differences_are_told_by_path_and_by_line() {
    let pond = Pond::new();
    let mount = pond.mount();
    let d = folder(mount.path(), "d");
    file(&d, "a", "1\n2\n3\n");
    file(&d, "gone", "x\n");
    file(&d, "moved", "same\n");
    file(&d, "mode", "m\n");
    mount.sync();
    file(&d, "a", "1\nTWO\n3\n");
    fs::remove_file(d.join("gone")).unwrap();
    fs::rename(d.join("moved"), mount.join("here")).unwrap();
    shell("chmod 600 \"$1\"").arg(d.join("mode")).ok();
    folder(mount.path(), "new");
    mount.sync();
    let stat = says(&pond, ["diff", "1", "2", "--stat"]);
    let lines: Vec<Vec<&str>> = stat
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    let first: Vec<_> = lines.iter().map(|line| line[..2].join(" ")).collect();
    assert_eq!(
        first,
        [
            "modified d/a",
            "removed d/gone",
            "attributes d/mode",
            "moved d/moved",
            "added new/"
        ],
        "{stat}"
    );
    let lines = says(&pond, ["diff", "1", "2", "d/a"]);
    assert_eq!(
        lines,
        "--- a/d/a\n+++ b/d/a\n@@ -1,3 +1,3 @@\n 1\n-2\n+TWO\n 3\n"
    );
    assert_eq!(says(&pond, ["diff", "2"]), "");
    // Without a mount the same, and backwards too.
    mount.unmount();
    assert_eq!(says(&pond, ["diff", "1", "2", "--stat"]), stat);
    assert!(says(&pond, ["diff", "2", "1", "--name-only"]).contains("d/gone"));
    assert_eq!(says(&pond, ["cat", "d/gone@1"]), "x\n");
    assert_eq!(says(&pond, ["ls", "d@1"]), "a\ngone\nmode\nmoved\n");
    assert!(says(&pond, ["stat", "d/a@1"]).contains("size       6"));
}

#[test]
fn thousands_of_differences_and_entries_are_told_once_each() {
    let pond = Pond::new();
    // No version is made in the middle of it.
    let mount = pond.mount_with(&["-o", "commit=3600"]);
    folder(mount.path(), "d");
    mount.sync();
    let mut expected = Vec::new();
    for n in 0..1_200 {
        // Names that sort otherwise as text than by what is in them.
        file(&folder(mount.path(), &format!("d/x{n}")), "f", "");
        file(mount.path(), &format!("d/x{n}.txt"), "");
        expected.extend([
            format!("d/x{n}"),
            format!("d/x{n}/f"),
            format!("d/x{n}.txt"),
        ]);
    }
    mount.sync();
    let told = says(&pond, ["diff", "1", "2", "--name-only"]);
    let mut told: Vec<String> = told.lines().map(str::to_owned).collect();
    told.sort();
    expected.sort();
    assert_eq!(told, expected);
    assert_eq!(says(&pond, ["ls", "d@2"]).lines().count(), 2_400);
    mount.unmount();
}

#[test]
fn the_log_of_a_path_follows_it() {
    let pond = Pond::new();
    let mount = pond.mount();
    edited(&mount);
    fs::rename(mount.join("d/a.csv"), mount.join("b.csv")).unwrap();
    mount.sync();
    file(mount.path(), "b.csv", "four");
    mount.sync();
    fs::remove_file(mount.join("b.csv")).unwrap();
    mount.sync();
    let rows = |path: &str| -> Vec<String> {
        let text = says(&pond, ["log", path]);
        let row = |line: &str| {
            let words: Vec<_> = line.split_whitespace().collect();
            format!("{} {} {}", words[0], words[2], words[words.len() - 1])
        };
        text.lines().map(row).collect()
    };
    assert_eq!(
        rows("b.csv"),
        [
            "7 removed b.csv",
            "6 changed b.csv",
            "5 moved b.csv",
            "4 changed d/a.csv",
            "2 changed d/a.csv",
            "1 made d/a.csv"
        ]
    );
    assert_eq!(
        rows("d"),
        ["5 changed d", "4 changed d", "2 changed d", "1 made d"]
    );
    mount.unmount();
}

#[test]
fn a_version_never_holds_half_of_a_save() {
    let pond = Pond::new();
    let mount = pond.mount_with(&["-o", "commit=1"]);
    file(mount.path(), "f", "old");
    mount.sync();
    let mut half = File::create(mount.join("f")).unwrap();
    half.write_all(b"first half, ").unwrap();
    // Others go on, and versions would be made.
    for n in 0..8 {
        file(mount.path(), "other", n.to_string());
        thread::sleep(Duration::from_millis(500));
    }
    half.write_all(b"second half").unwrap();
    drop(half);
    mount.sync();
    let of = mount.join("f@version");
    let mut seen = Vec::new();
    for name in names(&of) {
        seen.push(fs::read_to_string(of.join(name)).unwrap());
    }
    seen.dedup();
    assert_eq!(seen, ["old", "first half, second half"]);
    mount.unmount();
}

#[test]
fn without_an_interval_every_close_is_a_version() {
    let pond = Pond::new();
    let mount = pond.mount_with(&["-o", "commit=0"]);
    for n in 1..=5 {
        file(mount.path(), "f", n.to_string());
    }
    let of = mount.join("f@version");
    let contents: Vec<_> = names(&of)
        .iter()
        .filter(|name| *name != "latest")
        .map(|name| fs::read_to_string(of.join(name)).unwrap())
        .collect();
    let mut contents: Vec<_> = contents
        .into_iter()
        .filter(|text| !text.is_empty())
        .collect();
    contents.sort();
    contents.dedup();
    assert_eq!(contents, ["1", "2", "3", "4", "5"]);
    // Of what was synced before it was closed, too.
    let newest = || fs::read_link(mount.join("f@version/latest")).unwrap();
    let before = newest();
    let mut synced = File::create(mount.join("f")).unwrap();
    synced.write_all(b"synced").unwrap();
    synced.sync_all().unwrap();
    drop(synced);
    assert_ne!(newest(), before);
    assert_eq!(fs::read(mount.join("f@version/latest")).unwrap(), b"synced");
    mount.unmount();
}
