//! Looking for damage, and mending it: `check --read-data`, `check --repair`, and `scrub`.

use std::fs;
use std::time::{Duration, Instant};

use mount_tests::damage::kind::{files, flip};
use mount_tests::grow::sow;
use mount_tests::inject::{Boundary, Fault, Faulty};
use mount_tests::place::{file, folder};
use mount_tests::pond::{Pond, number};
use mount_tests::rng::Rng;
use mount_tests::tree::Tree;
use serde_json::Value;

/// `pondmount check`, with more arguments: its exit code and its answer.
fn check<const N: usize>(pond: &Pond, args: [&str; N]) -> (Option<i32>, Value) {
    let run = pond.run(["--json", "check"]).args(args);
    let outcome = run.arg(pond.store()).outcome();
    (outcome.code(), outcome.json())
}

/// The problems that were found, each a line.
fn problems(answer: &Value) -> String {
    let list = answer["problems"].as_array().expect("problems");
    let lines: Vec<_> = list.iter().filter_map(Value::as_str).collect();
    lines.join("\n")
}

#[test]
fn damage_to_what_only_the_past_needs_is_found_and_named() {
    let pond = Pond::new();
    let mount = pond.mount();
    let old = file(
        &folder(mount.path(), "d"),
        "old",
        Rng::new(1).bytes(200_000),
    );
    mount.sync();
    fs::remove_file(old).unwrap();
    mount.sync();
    mount.unmount();
    flip(
        &pond.store().join("segments/0000000000000001.seg"),
        150_000,
        0,
    );
    assert_eq!(check(&pond, []).0, Some(0), "content was not to be read");
    let (code, answer) = check(&pond, ["--read-data"]);
    assert_eq!(code, Some(4));
    assert!(
        problems(&answer).starts_with("/d/old: segment 1 is damaged"),
        "{answer}"
    );
    // A segment that is cut short or gone is seen without reading it.
    let segment = pond.store().join("segments/0000000000000001.seg");
    fs::File::options()
        .write(true)
        .open(&segment)
        .unwrap()
        .set_len(10)
        .unwrap();
    let (code, answer) = check(&pond, []);
    assert_eq!(code, Some(4));
    let said = problems(&answer);
    assert!(said.lines().count() > 0, "{answer}");
    assert!(
        said.lines()
            .all(|line| line == "/d/old: segment 1 is cut short"),
        "{answer}"
    );
    fs::remove_file(segment).unwrap();
    assert!(problems(&check(&pond, []).1).contains("/d/old: segment 1 is missing"));
}

#[test]
fn a_damaged_index_is_made_anew_and_nothing_is_lost() {
    let pond = Pond::new();
    let mount = pond.mount_with(&["-o", "commit=3600"]);
    sow(mount.path(), &mut Rng::new(3), 100);
    mount.sync();
    let promised = file(mount.path(), "promised", "in no version yet");
    fs::File::open(promised).unwrap().sync_all().unwrap();
    let before = Tree::of(mount.path());
    mount.kill9();
    let index = pond.store().join("index");
    for path in files(&index) {
        let len = fs::metadata(index.join(&path)).unwrap().len();
        fs::write(index.join(&path), vec![0x5a; len as usize]).unwrap();
    }
    let (code, answer) = check(&pond, ["--repair"]);
    assert_eq!(code, Some(0), "{answer}");
    let mount = pond.mount();
    Tree::of(mount.path()).assert_equals(&before, "with an index made anew");
    mount.unmount();
    pond.check();
}

#[test]
fn a_damaged_journal_is_refused_and_repair_keeps_what_stands_before_the_damage() {
    let pond = Pond::new();
    let mount = pond.mount_with(&["-o", "commit=3600"]);
    for name in ["first", "second"] {
        let path = file(mount.path(), name, name);
        fs::File::open(path).unwrap().sync_all().unwrap();
    }
    mount.kill9();
    let folder = pond.store().join("journal");
    let found = files(&folder);
    assert_eq!(found.len(), 1, "{found:?}");
    let journal = folder.join(&found[0]);
    // The file is longer than what was written to it.
    let bytes = fs::read(&journal).unwrap();
    let last = bytes.iter().rposition(|byte| *byte != 0).unwrap();
    flip(&journal, last as u64 - 20, 5);

    let refused = pond.try_mount(&[]);
    assert_eq!(refused.code(), Some(4));
    let said = refused.err();
    assert!(
        said.contains(".jnl is damaged at offset") && said.contains("check --repair"),
        "{said}"
    );
    let (code, answer) = check(&pond, []);
    assert_eq!(code, Some(4), "{answer}");
    assert!(
        problems(&answer).contains(".jnl is damaged at offset"),
        "{answer}"
    );

    let (code, answer) = check(&pond, ["--repair"]);
    assert_eq!(code, Some(0), "{answer}");
    assert!(
        answer["done"][0].as_str().unwrap().contains(".jnl.damaged"),
        "{answer}"
    );
    let mount = pond.mount();
    assert_eq!(fs::read_to_string(mount.join("first")).unwrap(), "first");
    assert!(!mount.join("second").exists());
    mount.unmount();
    pond.check();
}

#[test]
fn a_mounted_pond_is_not_repaired() {
    let pond = Pond::new();
    let mount = pond.mount();
    let outcome = pond.run(["check", "--repair"]).arg(pond.store()).outcome();
    assert_eq!(outcome.code(), Some(11));
    mount.unmount();
}

#[test]
fn a_scrub_reads_all_versions_beside_the_work_and_status_tells_what_it_found() {
    let pond = Pond::new();
    let mount = pond.mount();
    for round in 0..3 {
        file(mount.path(), "f", Rng::new(round).bytes(300_000));
        mount.sync();
    }
    mount.unmount();
    flip(&pond.store().join("segments/0000000000000001.seg"), 5, 1);
    let mount = pond.mount();
    let started = pond.run(["scrub"]).arg(mount.path()).outcome();
    // Whatever it has found by the time that it answers.
    assert!(matches!(started.code(), Some(0 | 4)), "{}", started.err());
    let deadline = Instant::now() + Duration::from_secs(30);
    let scrub = loop {
        let scrub = pond.status()["scrub"].clone();
        if !scrub["ended"].is_null() {
            break scrub;
        }
        assert!(Instant::now() < deadline, "the scrub does not end: {scrub}");
        file(mount.path(), "meanwhile", "x");
    };
    assert_eq!(
        (number(&scrub, "bytes"), number(&scrub, "damaged")),
        (900_000, 1),
        "{scrub}"
    );
    mount.unmount();
    // Without a daemon the command does it.
    let outcome = pond
        .run(["scrub", "--rate", "0"])
        .arg(pond.store())
        .outcome();
    assert_eq!(outcome.code(), Some(4));
}

#[test]
fn an_index_that_could_not_be_written_is_opened_anew_without_a_mount() {
    let pond = Pond::new();
    let mount = pond.mount();
    file(mount.path(), "before", "it was committed");
    mount.sync();
    mount.unmount();
    let journals = fs::read_dir(pond.store().join("index")).unwrap();
    let mut journals: Vec<_> = journals.map(|entry| entry.unwrap().path()).collect();
    journals.retain(|path| path.extension().is_some_and(|end| end == "jnl"));
    journals.sort();
    let journal = journals.last().expect("a journal of the index");

    let boundary = Boundary {
        call: "write",
        count: 1,
    };
    let faulty = Faulty::mount_within(&pond, Some(journal), boundary, Fault::Error("EIO"));
    // Versions are made by one thread, which meets the fault once.
    let latest = || {
        let status = pond.run(["--json", "status"]).arg(pond.store()).ok();
        number(&status.json(), "version")
    };
    for n in 1..4 {
        let before = latest();
        file(faulty.path(), &format!("f{n}"), "x".repeat(n));
        let asked = Instant::now();
        while latest() == before {
            assert!(asked.elapsed() < Duration::from_secs(30), "no version {n}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }
    let newest = latest();
    let seen = Tree::of(faulty.path());
    let past = Tree::of(&faulty.path().join(format!("@version/{newest}")));
    past.assert_equals(
        &seen,
        "the newest version, in the daemon that met the fault",
    );
    assert!(faulty.end(), "the fault was not met: this proved nothing");
    let mount = pond.mount();
    Tree::of(mount.path()).assert_equals(&seen, "after a new mount");
    mount.unmount();
    pond.check();
}
