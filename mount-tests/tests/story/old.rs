//! A pond that grows old: versions are forgotten by rules, a path leaves all of history, and neither files nor
//! equal content pile up.

use std::fs;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, Instant};

use mount_tests::grow::{edit, sow};
use mount_tests::mount::Mount;
use mount_tests::place::{file, folder};
use mount_tests::pond::{Pond, names, number};
use mount_tests::rng::Rng;
use mount_tests::run::{arrow, shell};
use mount_tests::tree::Tree;
use rustix::io::Errno;

/// Versions of a small tree, each with what it shows.
fn grow(mount: &Mount, rng: &mut Rng, versions: usize) -> Vec<(u64, Tree)> {
    let d = folder(mount.path(), "d");
    sow(&d, rng, 40);
    let mut grown = Vec::new();
    for _ in 0..versions {
        edit(&d, rng, 8);
        file(&d, "large", rng.bytes(200_000));
        grown.push((mount.sync(), Tree::of(&d)));
    }
    grown
}

fn blocks(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).expect("list a folder");
    let sizes = entries.map(|entry| {
        let entry = entry.expect("list a folder");
        match entry.metadata() {
            Ok(seen) if seen.is_dir() => blocks(&entry.path()),
            Ok(seen) => seen.blocks() * 512,
            Err(_) => 0,
        }
    });
    sizes.sum()
}

#[test]
fn rules_forget_versions_and_give_their_room_back() {
    let pond = Pond::new();
    let mount = pond.mount_with(&["-o", "commit=3600"]);
    let mut rng = Rng::for_test("prune");
    let grown = grow(&mount, &mut rng, 30);
    let tagged = grown[3].0;
    pond.run(["snapshot", "keep-me", "--at", &tagged.to_string()])
        .within(mount.path())
        .ok();
    let kept: Vec<&(u64, Tree)> = grown
        .iter()
        .filter(|(v, _)| *v == tagged)
        .chain(&grown[26..])
        .collect();
    // Somebody looks at a version that goes.
    let gone = mount.version(grown[10].0).join("d/large");
    let mut held = fs::File::open(&gone).expect("open the past");
    let prune = |args: &[&str]| {
        let run = pond
            .run(["--json", "prune"])
            .args(args)
            .within(mount.path());
        run.ok().json()
    };
    let before = blocks(&pond.store());
    let plan = prune(&["--keep-last", "5", "--dry-run"]);
    assert_eq!(number(&plan, "kept"), 6, "{plan}");
    assert_eq!(pond.log().len(), 32, "a dry run");
    let done = prune(&["--keep-last", "5"]);
    assert_eq!(number(&done, "kept"), 6, "{done}");
    assert_eq!(pond.log().len(), 6);
    let after = blocks(&pond.store());
    assert!(after * 2 < before, "{before} bytes before, {after} after");
    for (version, tree) in &kept {
        Tree::of(&mount.version(*version).join("d")).assert_equals(tree, "a version that is kept");
    }
    assert_eq!(
        names(&mount.join("@version")).len(),
        6 + 2,
        "the numbers, latest and the name"
    );
    let refused = held
        .read_to_end(&mut Vec::new())
        .expect_err("read what is forgotten");
    assert_eq!(Errno::from_io_error(&refused), Some(Errno::STALE));
    let error = fs::read_dir(mount.version(grown[12].0)).expect_err("list what is forgotten");
    assert_eq!(error.kind(), io::ErrorKind::NotFound);
    // It goes on as before.
    drop(held);
    edit(&mount.join("d"), &mut rng, 5);
    let now = Tree::of(&mount.join("d"));
    let mount = mount.remount_without_index();
    Tree::of(&mount.join("d")).assert_equals(&now, "from the log alone");
    for (version, tree) in kept {
        Tree::of(&mount.version(*version).join("d"))
            .assert_equals(tree, "kept, from the log alone");
    }
    mount.unmount();
    pond.check();
}

/// Whether any file of a folder has these bytes.
fn holds(folder: &Path, bytes: &[u8]) -> bool {
    fs::read_dir(folder).expect("list a folder").any(|entry| {
        let path = entry.expect("list a folder").path();
        match path.is_dir() {
            true => holds(&path, bytes),
            false => fs::read(&path)
                .is_ok_and(|found| found.windows(bytes.len()).any(|window| window == bytes)),
        }
    })
}

#[test]
fn a_secret_leaves_all_of_history() {
    let pond = Pond::new();
    let mount = pond.mount_with(&["-o", "commit=3600"]);
    let mut rng = Rng::for_test("forget");
    let (secret, small) = (rng.bytes(80_000), rng.bytes(900));
    let conf = folder(mount.path(), "conf");
    file(&conf, "key", &secret);
    file(&conf, "small", &small);
    file(mount.path(), "other", rng.bytes(50_000));
    let with = mount.sync();
    fs::rename(conf.join("key"), mount.join("moved")).unwrap();
    mount.sync();
    fs::remove_file(mount.join("moved")).unwrap();
    fs::remove_dir_all(&conf).unwrap();
    mount.sync();
    let middle = 30_000..30_100;
    assert!(holds(
        &pond.store().join("segments"),
        &secret[middle.clone()]
    ));
    let other = fs::read(mount.join("other")).unwrap();
    let told = pond.run(["forget", "conf"]).within(mount.path()).ok();
    assert!(told.err().contains("backups"), "{}", told.err());
    for bytes in [&secret[middle], &small[100..200]] {
        assert!(!holds(&pond.store(), bytes), "it is still there");
    }
    assert_eq!(names(&mount.version(with)), ["other"]);
    assert_eq!(fs::read(mount.version(with).join("other")).unwrap(), other);
    pond.run(["forget", "never-there"])
        .within(mount.path())
        .outcome()
        .exits(13);
    let mount = mount.remount_without_index();
    assert_eq!(fs::read(mount.version(with).join("other")).unwrap(), other);
    mount.unmount();
    pond.check();
}

#[test]
fn an_undo_after_forget_takes_back_only_what_the_newest_version_changed() {
    let pond = Pond::new();
    let mount = pond.mount_with(&["-o", "commit=3600"]);
    let data = folder(mount.path(), "data");
    file(&data, "x", "1\n");
    let first = mount.sync();
    file(mount.path(), "b", "a\n");
    mount.sync();
    pond.run(["forget", "data"]).within(mount.path()).ok();
    pond.check();
    let links = |path: &Path| fs::symlink_metadata(path).unwrap().nlink();
    assert_eq!(links(&mount.version(first)), 2, "a past parent");
    pond.run(["undo"]).within(mount.path()).ok();
    assert_eq!(fs::read_to_string(data.join("x")).unwrap(), "1\n");
    assert!(!mount.join("b").exists());
    assert_eq!(links(mount.path()), 3);
    pond.check();
    // And the other way: what a version without the directory shows comes back with the right counts.
    let at = first.to_string();
    pond.run(["restore", "/", "--at", &at])
        .env("POND_STORE", pond.store())
        .ok();
    assert!(!data.exists());
    assert_eq!(links(mount.path()), 2);
    pond.check();
    let mount = mount.remount_without_index();
    assert_eq!(links(mount.path()), 2);
    mount.unmount();
    pond.check();
}

#[test]
fn forget_says_what_would_go_and_asks_on_a_terminal() {
    let pond = Pond::new();
    let mount = pond.mount_with(&["-o", "commit=3600"]);
    file(mount.path(), "secret", "s");
    let with = mount.sync();
    fs::remove_file(mount.join("secret")).unwrap();
    mount.sync();
    let is_there = || mount.version(with).join("secret").exists();
    let plan = pond.run(["--json", "forget", "-n", "secret"]);
    let plan = plan.within(mount.path()).ok().json();
    assert_eq!(
        (number(&plan, "nodes"), number(&plan, "forgotten")),
        (1, 1),
        "{plan}"
    );
    assert!(is_there(), "it was only to be said");
    // script(1) gives it a terminal.
    let on_a_terminal = |answer: &str| {
        let command = format!("{} forget secret", pond.binary().display());
        let run = shell("printf '%s\\n' \"$2\" | script -qec \"$1\" /dev/null");
        run.arg(command).arg(answer).within(mount.path()).outcome()
    };
    let said = on_a_terminal("n");
    assert!(said.text().contains("[y/N]"), "{said}");
    assert!(is_there(), "no was said");
    assert_eq!(fs::read(mount.version(with).join("secret")).unwrap(), b"s");
    on_a_terminal("y");
    // Nor does the kernel show it any more, which has just read it.
    assert!(!is_there(), "yes was said");
    assert!(fs::read(mount.version(with).join("secret")).is_err());
    mount.unmount();
    pond.check();
}

#[test]
fn forgetting_can_be_killed_at_any_moment() {
    let pond = Pond::new();
    let mount = pond.mount_with(&["-o", "commit=3600"]);
    let mut rng = Rng::for_test("killed prune");
    let grown = grow(&mount, &mut rng, 40);
    let (last, tree) = grown.last().unwrap();
    mount.unmount();
    let mut unfinished = 0;
    for round in 0..12u64 {
        let mut running = pond
            .run(["prune", "--keep-last", &(38 - 3 * round).to_string()])
            .env("POND_STORE", pond.store())
            .start();
        std::thread::sleep(Duration::from_millis(20 + 25 * round));
        if !running.has_ended() {
            unfinished += 1;
            let pid = rustix::process::Pid::from_raw(running.pid()).expect("a process");
            rustix::process::kill_process(pid, rustix::process::Signal::KILL).expect("kill");
            running.wait(Duration::from_secs(10));
        }
        pond.check();
        let mount = pond.mount();
        Tree::of(&mount.version(*last).join("d")).assert_equals(tree, "the newest version");
        let there = pond.log();
        for (version, tree) in grown.iter().filter(|(version, _)| there.contains(version)) {
            Tree::of(&mount.version(*version).join("d"))
                .assert_equals(tree, "a version that is there");
        }
        mount.unmount();
    }
    assert!(unfinished > 0, "nothing was killed at its work");
}

#[test]
fn many_versions_stand_in_few_files_that_any_delta_reader_opens() {
    let pond = Pond::new();
    let mount = pond.mount_with(&["-o", "commit=3600"]);
    let mut versions = vec![0];
    for n in 0..450 {
        file(mount.path(), "f", format!("version {n}"));
        versions.push(mount.sync());
    }
    let files = || -> usize {
        let count = shell("find \"$1\" -type f | wc -l").arg(pond.store().join("oplog"));
        count.ok().text().trim().parse().expect("a number")
    };
    // Housekeeping works behind.
    let until = Instant::now() + Duration::from_secs(60);
    while files() > 480 && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(100));
    }
    assert!(files() <= 480, "{} files after 450 versions", files());
    for (n, version) in versions.iter().enumerate().skip(1).step_by(23) {
        let found = fs::read_to_string(mount.version(*version).join("f")).unwrap();
        assert_eq!(found, format!("version {}", n - 1));
    }
    // A number that only moved rows shows what the version before it shows.
    let between = (1..*versions.last().unwrap()).find(|number| !versions.contains(number));
    let between = between.expect("a merge");
    let before = versions
        .iter()
        .filter(|version| **version < between)
        .max()
        .unwrap();
    let target = fs::read_link(mount.join(format!("@version/{between}"))).unwrap();
    assert_eq!(target, Path::new(&before.to_string()));
    mount.unmount();
    let script = "import sys\nfrom deltalake import DeltaTable\n\
        table = DeltaTable(sys.argv[1]).to_pyarrow_table(columns=['version'])\n\
        print(*sorted(set(table['version'].to_pylist())))";
    let found = arrow(script).arg(pond.store().join("oplog")).ok().text();
    let found: Vec<u64> = found
        .split_whitespace()
        .map(|n| n.parse().unwrap())
        .collect();
    assert_eq!(found, versions);
    pond.check();
    pond.forget_index();
    let mount = pond.mount();
    assert_eq!(pond.log().len(), versions.len());
    mount.unmount();
    pond.check();
}

#[test]
fn content_that_comes_again_costs_nothing_and_text_takes_less_room() {
    let pond = Pond::new();
    let mount = pond.mount_with(&["-o", "commit=3600"]);
    let mut rng = Rng::for_test("again");
    let noise = rng.bytes(3_000_000);
    file(mount.path(), "a", &noise);
    mount.sync();
    let once = blocks(&pond.store().join("segments"));
    file(mount.path(), "b", &noise);
    let shifted = [&b"one line more\n"[..], &noise].concat();
    file(mount.path(), "c", &shifted);
    mount.sync();
    let thrice = blocks(&pond.store().join("segments"));
    assert!(
        thrice < once + 1_000_000,
        "{once} bytes once, {thrice} thrice"
    );
    let text: String = (0..100_000)
        .map(|n| format!("2026-11-26,{n},ok\n"))
        .collect();
    file(mount.path(), "text", &text);
    mount.sync();
    let more = blocks(&pond.store().join("segments")) - thrice;
    assert!(
        more * 3 < text.len() as u64,
        "{more} bytes for {}",
        text.len()
    );
    let mount = mount.remount();
    for (name, bytes) in [("a", &noise), ("b", &noise), ("c", &shifted)] {
        assert!(fs::read(mount.join(name)).unwrap() == *bytes, "{name}");
    }
    assert_eq!(fs::read_to_string(mount.join("text")).unwrap(), text);
    mount.unmount();
    pond.check();
}

#[test]
fn a_pond_forgets_by_its_own_rules_when_it_is_asked_without_any() {
    let pond = Pond::new();
    let mount = pond.mount_with(&["-o", "commit=3600"]);
    for n in 0..8 {
        file(mount.path(), "f", format!("{n}"));
        mount.sync();
    }
    let identity = pond.store().join("pond.toml");
    let plain = fs::read_to_string(&identity).unwrap();
    fs::write(
        &identity,
        format!("{plain}\n[prune]\nkeep-last = 2\nkeep-within = \"1h\"\n"),
    )
    .unwrap();
    pond.run(["prune"]).within(mount.path()).ok();
    assert_eq!(pond.log().len(), 9, "all of them are of the last hour");
    fs::write(&identity, format!("{plain}\n[prune]\nkeep-last = 2\n")).unwrap();
    pond.run(["prune"]).within(mount.path()).ok();
    assert_eq!(pond.log().len(), 2);
    fs::write(&identity, format!("{plain}\n[prune]\nkeep-lats = 2\n")).unwrap();
    let said = pond.run(["prune"]).within(mount.path()).outcome().fails();
    assert!(said.err().contains("keep-lats"), "{}", said.err());
    pond.run(["prune", "--keep-within", "3x"])
        .outcome()
        .exits(2);
    fs::write(&identity, plain).unwrap();
    mount.unmount();
    pond.check();
}
