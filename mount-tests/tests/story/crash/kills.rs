//! `kill -9` of the daemon at random moments.

use mount_tests::load::Signals;
use mount_tests::place::folder;
use mount_tests::pond::Pond;
use mount_tests::rng::Rng;
use mount_tests::tree::Tree;

use super::{Crash, Writer, crash_loop, small_operations, whole_files};

#[test]
fn one_writer_finds_an_exact_prefix_of_its_operations() {
    crash_loop("one writer", Crash::Kill, &[small_operations], |_, _| {});
}

#[test]
fn several_writers_each_find_an_exact_prefix() {
    crash_loop(
        "four writers",
        Crash::Kill,
        &[small_operations as Writer; 4],
        |_, _| {},
    );
}

#[test]
fn published_files_are_whole_and_none_is_lost() {
    crash_loop(
        "publishers",
        Crash::Kill,
        &[whole_files, whole_files, whole_files],
        |_, _| {},
    );
}

#[test]
fn a_commit_under_way_is_no_worse_a_moment_to_be_killed() {
    // Syncs all the time, so that most kills meet a commit.
    let commits = |pond: &Pond, signals: &Signals| {
        while !signals.ended() {
            pond.run(["sync"]).arg(pond.store()).outcome();
        }
    };
    crash_loop(
        "committing",
        Crash::Kill,
        &[small_operations, whole_files],
        commits,
    );
}

#[test]
fn what_a_version_holds_survives_a_crash_and_the_loss_of_the_index() {
    let pond = Pond::new();
    let mut rng = Rng::for_test("crash and lost index");
    for round in 0..3 {
        let mount = pond.mount_with(&["-o", "commit=3600"]);
        let dir = folder(mount.path(), &format!("round{round}"));
        mount_tests::grow::sow(&dir, &mut rng, 100);
        let version = mount.sync();
        let committed = Tree::of(mount.path());
        mount_tests::place::file(mount.path(), "uncommitted", "may be lost with the index");
        mount.kill9();
        pond.forget_index();
        let mount = pond.mount();
        Tree::of(&mount.version(version)).assert_equals(&committed, "the version after the crash");
        Tree::of(mount.path()).assert_equals(&committed, "the present after the crash");
        mount.unmount();
        pond.check();
    }
}
