//! Files of a pond that are cut short, emptied, lost or exchanged. Each outcome is a line of `docs/durability.md`.

use std::fs;
use std::path::{Path, PathBuf};

use mount_tests::damage::garden::{Garden, QUIET};
use mount_tests::damage::verdict::{Verdict, judge};
use mount_tests::mount::Mount;
use mount_tests::pond::number;
use mount_tests::tree::Tree;
use serde_json::Value;

/// A commit that the checkpoint holds.
const OLD: u64 = 50;

/// A version between the checkpoint and the newest one: it and the next one are no merges of data files.
fn recent() -> u64 {
    let store = Garden::closed().store();
    let is_version = |number: u64| {
        let text = fs::read_to_string(store.join(log(number))).expect("read a commit");
        !text.contains("\"merge-")
    };
    (101..latest())
        .find(|number| is_version(*number) && is_version(number + 1))
        .expect("two versions in a row")
}

// The newest commit.

#[test]
fn the_newest_commit_cut_short_is_refused_and_named() {
    let name = commit(latest());
    refused(4, &[&name], |pond| cut(&pond.join(log(latest()))));
}

#[test]
fn the_newest_commit_emptied_is_refused_and_named() {
    let name = commit(latest());
    refused(4, &[&name, "empty"], |pond| {
        empty(&pond.join(log(latest())))
    });
}

#[test]
fn the_newest_commit_lost_is_refused_and_its_version_named() {
    let (last, before) = (latest().to_string(), (latest() - 1).to_string());
    refused(4, &[&last, &before], |pond| lose(&pond.join(log(latest()))));
}

#[test]
fn the_newest_commit_cut_short_without_an_index_is_set_aside() {
    set_aside(|pond| cut(&pond.join(log(latest()))));
}

#[test]
fn the_newest_commit_emptied_without_an_index_is_set_aside() {
    set_aside(|pond| empty(&pond.join(log(latest()))));
}

// Commits that no checkpoint holds.

#[test]
fn a_recent_commit_cut_short_is_refused_and_named() {
    refused(4, &[&commit(recent())], |pond| {
        cut(&pond.join(log(recent())))
    });
}

#[test]
fn a_recent_commit_emptied_is_refused_and_named() {
    refused(4, &[&commit(recent()), "empty"], |pond| {
        empty(&pond.join(log(recent())));
    });
}

#[test]
fn a_recent_commit_lost_is_refused_and_named() {
    refused(4, &[&commit(recent()), "missing"], |pond| {
        lose(&pond.join(log(recent())));
    });
}

#[test]
fn recent_commits_exchanged_say_the_same() {
    whole(|pond| exchange(&pond.join(log(recent())), &pond.join(log(recent() + 1))));
}

#[test]
fn recent_commits_exchanged_say_the_same_without_an_index() {
    whole(|pond| {
        exchange(&pond.join(log(recent())), &pond.join(log(recent() + 1)));
        lose_folder(&pond.join("index"));
    });
}

// Commits that a checkpoint holds.

#[test]
fn an_old_commit_is_not_needed_while_there_is_a_checkpoint_and_check_names_it() {
    for act in [cut, empty, lose] {
        reported(|pond| {
            act(&pond.join(log(OLD)));
            commit(OLD)
        });
    }
}

#[test]
fn an_old_commit_lost_with_the_checkpoint_is_refused_and_named() {
    refused(4, &[&commit(OLD), "missing"], |pond| {
        lose(&pond.join(log(OLD)));
        lose(&checkpoint(pond));
    });
}

// Checkpoints.

#[test]
fn a_checkpoint_lost_or_cut_short_is_not_missed() {
    for act in [cut, empty, lose] {
        whole(|pond| act(&checkpoint(pond)));
        whole(|pond| {
            act(&checkpoint(pond));
            lose_folder(&pond.join("index"));
        });
    }
}

#[test]
fn what_names_the_newest_checkpoint_may_be_lost_or_garbage() {
    let texts: [&[u8]; 4] = [b"", b"garbage", b"{\"version\":7,\"size\":3}", &[255; 100]];
    for text in texts {
        whole(|pond| fs::write(pond.join(LAST), text).expect("write"));
    }
    whole(|pond| lose(&pond.join(LAST)));
}

// Data files.

#[test]
fn a_data_file_lost_or_cut_short_is_found_by_check_and_named() {
    for act in [cut, empty, lose] {
        let mut name = String::new();
        reported(|pond| {
            let path = needed_file(pond);
            name = path.file_name().expect("a name").to_string_lossy().into();
            act(&path);
            name.clone()
        });
    }
}

#[test]
fn a_data_file_lost_without_an_index_is_refused_and_named() {
    for act in [cut, empty, lose] {
        let garden = Garden::closed();
        let path = needed_file(&garden.store());
        let name = path
            .file_name()
            .expect("a name")
            .to_string_lossy()
            .into_owned();
        refused(4, &[&name], |pond| {
            act(&needed_file(pond));
            lose_folder(&pond.join("index"));
        });
    }
}

#[test]
fn the_newest_data_file_lost_is_refused_and_its_commit_named() {
    refused(4, &[&commit(latest()), ".parquet"], |pond| {
        lose(&data_file(pond, latest()));
    });
}

#[test]
fn an_oplog_lost_is_refused_and_named() {
    refused(4, &["oplog"], |pond| lose_folder(&pond.join("oplog")));
}

// Segments.

#[test]
fn a_segment_lost_or_cut_short_is_an_error_of_its_files_alone() {
    for act in [cut, empty, lose] {
        let said = unreadable(|pond| act(&pond.join(SEGMENT)));
        assert!(said.contains("segment"), "{said}");
    }
    unreadable(|pond| lose_folder(&pond.join("segments")));
}

// The index, and what is left.

#[test]
fn an_index_lost_is_made_anew() {
    whole(|pond| lose_folder(&pond.join("index")));
}

#[test]
fn an_index_lost_in_part_is_made_anew() {
    let garden = Garden::closed();
    // The parts of the index, and what holds them together.
    let parts = (0..=7).map(|part| format!("keyspaces/{part}/current"));
    let files = ["index/version", "index/lock", "keyspaces/1/tables/0"];
    for end in parts.chain(files.map(String::from)) {
        let path = garden.file(&end);
        whole(|pond| lose(&pond.join(path)));
    }
}

#[test]
fn without_its_identity_a_folder_is_no_pond() {
    refused(10, &["pond.toml"], |pond| lose(&pond.join("pond.toml")));
}

#[test]
fn an_identity_cut_short_is_refused_and_named() {
    for act in [cut, empty] {
        refused(4, &["pond.toml"], |pond| act(&pond.join("pond.toml")));
    }
}

#[test]
fn the_lock_file_holds_nothing_that_is_needed() {
    for act in [cut, empty, lose] {
        whole(|pond| act(&pond.join("lock")));
    }
}

// What is done.

const LAST: &str = "oplog/_delta_log/_last_checkpoint";
const SEGMENT: &str = "segments/0000000000000001.seg";

fn latest() -> u64 {
    Garden::closed().latest
}

fn commit(version: u64) -> String {
    format!("{version:020}.json")
}

fn log(version: u64) -> String {
    format!("oplog/_delta_log/{}", commit(version))
}

fn checkpoint(pond: &Path) -> PathBuf {
    pond.join(Garden::closed().file(".checkpoint.parquet"))
}

/// The data file that a version added.
fn data_file(pond: &Path, version: u64) -> PathBuf {
    let text = fs::read_to_string(pond.join(log(version))).expect("read a commit");
    let actions = text
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    let mut path = actions.filter_map(|action| Some(action["add"]["path"].as_str()?.to_owned()));
    pond.join("oplog").join(
        path.next_back()
            .expect("it adds a file")
            .replace("%3D", "="),
    )
}

/// The oldest data file that no other was put in the place of.
fn needed_file(pond: &Path) -> PathBuf {
    let mut files = Vec::new();
    for number in 0..=latest() {
        let text = fs::read_to_string(pond.join(log(number))).expect("read a commit");
        for line in text.lines() {
            let action: Value = serde_json::from_str(line).expect("JSON");
            let path = |of: &str| Some(action[of]["path"].as_str()?.replace("%3D", "="));
            files.extend(path("add"));
            if let Some(removed) = path("remove") {
                files.retain(|file| *file != removed);
            }
        }
    }
    pond.join("oplog").join(&files[0])
}

fn cut(path: &Path) {
    let file = fs::File::options().write(true).open(path).expect("open");
    let len = file.metadata().expect("stat").len();
    file.set_len(len * 2 / 3).expect("truncate");
}

fn empty(path: &Path) {
    let file = fs::File::options().write(true).open(path).expect("open");
    file.set_len(0).expect("truncate");
}

fn lose(path: &Path) {
    fs::remove_file(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
}

fn lose_folder(path: &Path) {
    fs::remove_dir_all(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
}

fn exchange(one: &Path, other: &Path) {
    let [first, second] = [one, other].map(|path| fs::read(path).expect("read"));
    fs::write(one, second).expect("write");
    fs::write(other, first).expect("write");
}

// What comes of it.

/// Everything is as it was, and `check` finds nothing.
#[track_caller]
fn whole(act: impl FnOnce(&Path)) {
    let garden = Garden::closed();
    let pond = garden.copy();
    act(&pond.store());
    assert_eq!(judge(&garden, &pond), Verdict::Harmless);
}

/// Everything reads as it was, and `check` exits with 4 and says what `act` answers.
#[track_caller]
fn reported(act: impl FnOnce(&Path) -> String) {
    let garden = Garden::closed();
    let pond = garden.copy();
    let name = act(&pond.store());
    match judge(&garden, &pond) {
        Verdict::Reported(said) => assert!(said.contains(&name), "{name} is not named: {said}"),
        other => panic!("{other:?}"),
    }
    pond.run(["check"]).arg(pond.store()).outcome().exits(4);
}

/// Some of it cannot be read, nothing is wrong, and `check --read-data` exits with 4; answers what it says.
#[track_caller]
fn unreadable(act: impl FnOnce(&Path)) -> String {
    let garden = Garden::closed();
    let pond = garden.copy();
    act(&pond.store());
    let said = match judge(&garden, &pond) {
        Verdict::Unreadable(said) => said,
        other => panic!("{other:?}"),
    };
    let check = pond.run(["check", "--read-data"]).arg(pond.store());
    check.outcome().exits(4);
    said
}

/// Neither mounted nor checked: both exit with this code and name this.
#[track_caller]
fn refused(code: i32, names: &[&str], act: impl FnOnce(&Path)) {
    let garden = Garden::closed();
    let pond = garden.copy();
    act(&pond.store());
    pond.try_mount(&QUIET).exits(code).says(names);
    let check = pond.run(["check", "--read-data"]).arg(pond.store());
    check.outcome().exits(code).says(names);
}

/// Where nothing else knows of the newest version, it is taken for one that was never acknowledged: the one before
/// is the present, and the file is kept under another name.
#[track_caller]
fn set_aside(act: impl FnOnce(&Path)) {
    let garden = Garden::closed();
    let pond = garden.copy();
    act(&pond.store());
    lose_folder(&pond.store().join("index"));
    let mount: Mount = pond.mount_with(&QUIET);
    assert_eq!(number(&mount.status(), "version"), garden.latest - 1);
    let (at, tree) = &garden.trees[2];
    Tree::of(&mount.join(at)).assert_equals(tree, "an older version");
    assert!(
        pond.daemon_log().contains("set aside"),
        "{}",
        pond.daemon_log()
    );
    mount.unmount();
    let kept = format!("{}.torn-1", log(garden.latest));
    assert!(pond.store().join(kept).exists());
    pond.check();
}
