//! Bad input: one sentence that says what is wrong, the right exit code, and nothing changed.

use std::fs;
use std::os::unix::fs::symlink;

use mount_tests::mount::Mount;
use mount_tests::place::{file, folder};
use mount_tests::pond::{Pond, names};
use mount_tests::process::mounted_at;
use mount_tests::rng::Rng;
use mount_tests::tree::Tree;

#[test]
fn no_such_pond_is_exit_10_for_every_command() {
    let pond = Pond::missing();
    for command in ["status", "log", "sync", "check"] {
        let outcome = pond.run([command]).arg(pond.store()).outcome().exits(10);
        outcome.says(&["error:", pond.store().to_str().unwrap()]);
    }
    pond.try_mount(&[]).exits(10).says(&[
        "error:",
        pond.store().to_str().unwrap(),
        "hint:",
        "--create",
    ]);
    assert!(!pond.store().exists());
}

#[test]
fn a_directory_or_file_that_is_no_pond_is_exit_10_and_left_alone() {
    let pond = Pond::missing();
    let dir = folder(&pond.outside(""), "pond");
    file(&dir, "holiday.jpg", "not a pond");
    pond.try_mount(&[])
        .exits(10)
        .says(&["error:", "not a pond"]);
    pond.try_mount(&["--create"]).fails().says(&["error:"]);
    pond.run(["init"])
        .arg(&dir)
        .outcome()
        .fails()
        .says(&["error:"]);
    pond.run(["status"]).arg(&dir).outcome().exits(10);
    assert_eq!(
        names(&dir),
        ["holiday.jpg"],
        "a directory with other things in it is not made a pond"
    );
    let plain = file(&pond.outside(""), "file", "x");
    pond.run(["status"]).arg(&plain).outcome().exits(10);
    assert_eq!(fs::read_to_string(&plain).unwrap(), "x");
}

#[test]
fn a_newer_format_is_named_and_not_touched() {
    let pond = Pond::new();
    let path = pond.store().join("pond.toml");
    let text = fs::read_to_string(&path).unwrap();
    let newer = |line: &str| {
        if line.starts_with("format") {
            "format = 999".to_string()
        } else {
            line.to_string()
        }
    };
    let lines: Vec<_> = text.lines().map(newer).collect();
    assert!(
        lines.contains(&"format = 999".to_string()),
        "no `format = ` line in {text}"
    );
    fs::write(&path, lines.join("\n")).unwrap();
    let before = Tree::of(&pond.store());
    pond.try_mount(&[])
        .fails()
        .says(&["error:", "format", "999"]);
    pond.run(["check"])
        .arg(pond.store())
        .outcome()
        .fails()
        .says(&["format", "999"]);
    Tree::of(&pond.store()).assert_equals(&before, "the pond of a newer format");
}

#[test]
fn a_damaged_identity_is_an_error_not_a_new_pond() {
    let pond = Pond::new();
    fs::write(pond.store().join("pond.toml"), "format = \"what?\n").unwrap();
    pond.try_mount(&["--create"])
        .fails()
        .says(&["error:", "pond.toml"]);
    assert_eq!(
        fs::read_to_string(pond.store().join("pond.toml")).unwrap(),
        "format = \"what?\n"
    );
}

#[test]
fn a_mountpoint_that_is_missing_or_no_directory_is_named() {
    let pond = Pond::new();
    let mount = |at: &str| {
        pond.run(["mount"])
            .arg(pond.store())
            .arg(pond.outside(at))
            .outcome()
    };
    mount("missing").fails().says(&["error:", "missing"]);
    file(&pond.outside(""), "file", "x");
    mount("file").fails().says(&["error:", "not a directory"]);
    symlink("nowhere", pond.outside("dangling")).unwrap();
    mount("dangling").fails().says(&["error:", "dangling"]);
    assert!(
        !pond.outside("missing").exists(),
        "the mountpoint is not made"
    );
    // The failures have left no lock behind.
    pond.mount().unmount();
}

#[test]
fn a_mountpoint_that_has_a_mount_already_is_refused() {
    let (first, second) = (Pond::new(), Pond::new());
    let mount = first.mount();
    file(mount.path(), "f", "x");
    let outcome = second
        .run(["mount"])
        .arg(second.store())
        .arg(mount.path())
        .outcome();
    outcome
        .fails()
        .says(&["error:", mount.path().to_str().unwrap(), "mount"]);
    assert_eq!(
        names(mount.path()),
        ["f"],
        "the first mount is still the one that is seen"
    );
    first
        .run(["mount"])
        .arg(first.store())
        .arg(mount.path())
        .outcome()
        .fails()
        .says(&["error:"]);
}

#[test]
fn a_mountpoint_inside_the_pond_is_refused() {
    let pond = Pond::new();
    for at in [pond.store(), pond.store().join("segments")] {
        pond.run(["mount"])
            .arg(pond.store())
            .arg(&at)
            .outcome()
            .fails()
            .says(&["error:"]);
        assert_eq!(mounted_at(&at), None);
    }
}

#[test]
fn a_pond_in_the_folder_of_a_pond_is_refused() {
    let pond = Pond::new();
    let before = Tree::of(&pond.store());
    let inside = [
        pond.store().join("sub"),
        pond.store().join("segments/deep/down"),
        folder(&pond.outside(""), "beside").join("../pond/sub"),
    ];
    symlink("pond", pond.outside("link")).unwrap();
    for path in inside.iter().chain([&pond.outside("link/sub")]) {
        let words = ["error:", "in the folder of the pond", "hint:"];
        pond.run(["init"]).arg(path).outcome().exits(1).says(&words);
        let mount = pond
            .run(["mount", "--create"])
            .arg(path)
            .arg(pond.mountpoint("mnt"));
        mount.outcome().exits(1).says(&words);
    }
    assert_eq!(mounted_at(&pond.outside("mnt")), None);
    Tree::of(&pond.store()).assert_equals(&before, "the pond that was to hold another");
    // Beside it, and in the tree that it shows, there is room.
    pond.run(["init"]).arg(pond.outside("pond2")).ok();
    let mount = pond.mount();
    pond.run(["init"]).arg(mount.join("inner")).ok();
    mount.unmount();
}

#[test]
fn the_words_of_snapshot_are_not_taken_for_names() {
    let pond = Pond::new();
    let snapshot = |args: &[&str]| {
        let run = pond.run(["snapshot"]).args(args).arg("--pond");
        run.arg(pond.store()).outcome()
    };
    for args in [
        &["-m", "hi", "list"][..],
        &["--at", "0", "list"],
        &["-m", "hi", "delete"],
    ] {
        let word = args.last().unwrap();
        let usage = format!("pondmount snapshot {word}");
        snapshot(args)
            .exits(2)
            .says(&["error:", word, "hint:", &usage]);
    }
    assert_eq!(snapshot(&["list"]).ok().text(), "");
    snapshot(&["-m", "hi", "listed"]).ok();
}

#[test]
fn paths_into_the_past_are_told_in_a_sentence_with_the_path_to_use() {
    let pond = Pond::new();
    let mount = pond.mount();
    file(mount.path(), "notes.txt", "x");
    let version = mount.sync();
    let paths = [
        format!("@version/{version}/notes.txt"),
        format!("notes.txt@version/{version}"),
    ];
    let commands: [&[&str]; 7] = [
        &["log"],
        &["cat"],
        &["ls"],
        &["stat"],
        &["diff", "0"],
        &["restore", "--at", "0"],
        &["forget"],
    ];
    for (command, path) in commands
        .iter()
        .flat_map(|command| paths.iter().map(move |path| (command, path)))
    {
        let run = pond.run([]).within(mount.path()).args(*command).arg(path);
        let outcome = run.outcome().exits(2);
        let usage = format!("notes.txt@{version}");
        let outcome = outcome.says(&["path into the past", path, "hint:", &usage]);
        assert!(!outcome.err().contains("os error"), "{outcome}");
    }
    // What the hint says works.
    let cat = pond.run(["cat"]).within(mount.path());
    let text = cat.arg(format!("notes.txt@{version}")).ok().text();
    assert_eq!(text, "x");
    // Nor is any other path answered in the words of the system alone.
    for path in ["nothing/there", &"n".repeat(300), "notes.txt/below"] {
        let run = pond.run(["log"]).within(mount.path()).arg(path);
        let outcome = run.outcome().fails().says(&[path]);
        assert!(!outcome.err().contains("os error"), "{outcome}");
    }
    mount.unmount();
}

#[test]
fn a_dead_mount_is_replaced_with_a_notice() {
    let pond = Pond::new();
    let mount = pond.mount();
    let path = file(mount.path(), "f", "x");
    fs::File::open(&path).unwrap().sync_all().unwrap();
    mount.kill9_leaving_the_mount_dead();
    let dead = fs::read_dir(mount.path()).unwrap_err();
    assert_eq!(dead.raw_os_error(), Some(libc::ENOTCONN), "{dead}");
    let outcome = pond
        .run(["mount"])
        .arg(pond.store())
        .arg(mount.path())
        .outcome()
        .ok();
    assert!(
        !outcome.err().is_empty(),
        "no notice that a dead mount was replaced"
    );
    let again = Mount::adopt(&pond, mount.path().to_path_buf(), std::time::Duration::ZERO);
    assert_eq!(fs::read_to_string(again.join("f")).unwrap(), "x");
    again.unmount();
}

#[test]
fn a_dead_mount_can_be_unmounted() {
    let pond = Pond::new();
    let mount = pond.mount();
    mount.kill9_leaving_the_mount_dead();
    pond.run(["umount"]).arg(mount.path()).ok();
    assert_eq!(mounted_at(mount.path()), None);
    assert!(pond.status()["mountpoint"].is_null(), "{}", pond.status());
}

#[test]
fn umount_of_something_else_is_refused() {
    let pond = Pond::new();
    pond.run(["umount"])
        .arg(pond.mountpoint("mnt"))
        .outcome()
        .fails()
        .says(&["error:", "not"]);
    pond.run(["umount", "/proc"])
        .outcome()
        .fails()
        .says(&["error:", "/proc"]);
    assert!(mounted_at("/proc".as_ref()).is_some());
}

#[test]
fn usage_errors_are_exit_2_and_say_how_it_is_done() {
    let pond = Pond::missing();
    let cases: [&[&str]; 6] = [
        &[],
        &["no-such-command"],
        &["mount", "--no-such-flag"],
        &["mount", "only-a-pond"],
        &["umount"],
        &["init", "a", "b"],
    ];
    for args in cases {
        let outcome = pond.run([]).args(args).outcome().exits(2);
        assert!(outcome.err().contains("Usage:"), "{outcome}");
    }
    for options in ["commit=soon", "no_such_option"] {
        let pond = Pond::new();
        pond.try_mount(&["-o", options])
            .exits(2)
            .says(&["error:", options.split('=').next().unwrap_or(options)]);
    }
    pond.run(["--help"]).ok();
    pond.run(["mount", "--help"]).ok();
    pond.run(["--version"]).ok();
}

#[test]
fn failures_as_json_are_one_object_on_standard_error() {
    let pond = Pond::missing();
    let outcome = pond
        .run(["--json", "status"])
        .arg(pond.store())
        .outcome()
        .exits(10);
    assert!(outcome.stdout.is_empty(), "{outcome}");
    let error: serde_json::Value =
        serde_json::from_slice(&outcome.stderr).unwrap_or_else(|_| panic!("{outcome}"));
    assert_eq!(
        (error["type"].as_str(), error["exit"].as_u64()),
        (Some("error"), Some(10)),
        "{error}"
    );
    assert!(
        error["code"].is_string() && error["message"].is_string(),
        "{error}"
    );
    assert!(
        error["causes"].is_array() && error["hints"].is_array(),
        "{error}"
    );
}

#[test]
fn check_finds_damage_and_exits_4() {
    let pond = Pond::new();
    let mount = pond.mount();
    file(mount.path(), "f", Rng::new(3).bytes(300_000));
    mount.unmount();
    pond.check();
    let mut damaged = 0;
    for (path, entry) in Tree::of(&pond.store().join("segments")).0 {
        let path = pond.store().join("segments").join(path);
        if entry.kind == "file" && entry.size > 1000 {
            let mut bytes = fs::read(&path).unwrap();
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
            fs::write(&path, bytes).unwrap();
            damaged += 1;
        }
    }
    assert!(damaged > 0, "300 kB are in no segment");
    let outcome = pond
        .run(["--json", "check", "--read-data"])
        .arg(pond.store())
        .outcome()
        .exits(4);
    let answer = outcome.json();
    assert_eq!(answer["ok"], false);
    assert!(
        !answer["problems"].as_array().unwrap().is_empty(),
        "{answer}"
    );
    // And no wrong byte is ever returned.
    let mount = pond.mount();
    let error = fs::read(mount.join("f")).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::EIO), "{error}");
}
