//! `kill -9` of the daemon at random moments, under load: nothing that was fsynced is lost, and the tree is the
//! state after a prefix of what was acknowledged.

use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use mount_tests::load::{Proof, Signals, publish, script};
use mount_tests::mount::Mount;
use mount_tests::place::{folder, plain_only};
use mount_tests::pond::{Pond, scratch};
use mount_tests::rng::Rng;
use mount_tests::setting;
use mount_tests::tree::Tree;

/// Runs one writer in a directory until the end; the answer holds the tree against its journal.
type Check = Box<dyn Fn(&Path) -> Result<Proof, String> + Send>;
type Writer = fn(&Path, usize, Rng, &Signals) -> Check;

#[test]
fn one_writer_finds_an_exact_prefix_of_its_operations() {
    kill_loop("one writer", &[small_operations], |_, _| {});
}

#[test]
fn several_writers_each_find_an_exact_prefix() {
    kill_loop("four writers", &[small_operations as Writer; 4], |_, _| {});
}

#[test]
fn published_files_are_whole_and_none_is_lost() {
    kill_loop(
        "publishers",
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
    kill_loop("committing", &[small_operations, whole_files], commits);
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

fn small_operations(dir: &Path, _: usize, rng: Rng, signals: &Signals) -> Check {
    let journal = script::write_until_end(dir, rng, signals);
    Box::new(move |dir| journal.verify(dir))
}

fn whole_files(dir: &Path, number: usize, _: Rng, signals: &Signals) -> Check {
    let journal = publish::write_until_end(dir, number as u64, signals);
    Box::new(move |dir| journal.verify(dir))
}

/// Kills, remounts and checks, as often as asked; every round writes in directories of its own, and at the end
/// those of all rounds must still be right.
#[track_caller]
fn kill_loop(name: &str, writers: &[Writer], meanwhile: fn(&Pond, &Signals)) {
    let (kills, limit) = (
        setting("POND_TEST_KILLS", 10),
        setting("POND_TEST_REMOUNT_MS", 2000),
    );
    let mut rng = Rng::for_test(name);
    if plain_only() {
        let plain = scratch();
        let checks = round(plain.path(), 0, writers, &mut rng, |_| {}, || {});
        return report(name, &verify(&checks), Duration::ZERO);
    }
    let pond = Pond::new();
    let (mut history, mut slowest) = (Vec::new(), Duration::ZERO);
    let mut total = Proof::default();
    let mut mount = pond.mount();
    for number in 0..kills {
        let root = mount.path().to_path_buf();
        let killed = std::cell::Cell::new(Some(mount));
        let kill = || killed.take().expect("one kill a round").kill9();
        let checks = round(
            &root,
            number,
            writers,
            &mut rng,
            |signals| meanwhile(&pond, signals),
            kill,
        );
        mount = pond.mount();
        slowest = slowest.max(mount.took);
        assert!(
            mount.took < Duration::from_millis(limit),
            "{name}, kill {number}: the remount took {:?}",
            mount.took
        );
        total += verify(&checks);
        history.extend(checks);
        pond.check();
    }
    verify(&history);
    let mount: Mount = mount.remount();
    verify(&history);
    mount.unmount();
    pond.check();
    report(name, &total, slowest);
}

/// Starts the writers, waits until they have proved something, and ends them at a random moment.
#[track_caller]
fn round(
    root: &Path,
    number: usize,
    writers: &[Writer],
    rng: &mut Rng,
    meanwhile: impl Fn(&Signals) + Send,
    kill: impl FnOnce(),
) -> Vec<(PathBuf, Check)> {
    let signals = Signals::default();
    let homes: Vec<_> = (0..writers.len())
        .map(|writer| folder(root, &format!("round{number}-writer{writer}")))
        .collect();
    thread::scope(|scope| {
        let signals = &signals;
        let threads: Vec<_> = writers
            .iter()
            .zip(&homes)
            .enumerate()
            .map(|(index, (writer, home))| {
                let rng = rng.fork();
                scope.spawn(move || writer(home, index, rng, signals))
            })
            .collect();
        scope.spawn(move || meanwhile(signals));
        signals.await_synced(writers.len() as u64);
        thread::sleep(Duration::from_millis(rng.below(400) as u64));
        signals.end();
        kill();
        let checks = threads
            .into_iter()
            .map(|thread| thread.join().expect("a writer"));
        homes.iter().cloned().zip(checks).collect()
    })
}

/// A round in which nothing was durable has proved nothing, and fails.
#[track_caller]
fn verify(checks: &[(PathBuf, Check)]) -> Proof {
    let mut total = Proof::default();
    for (home, check) in checks {
        let name = home.display();
        total += check(home).unwrap_or_else(|wrong| panic!("{name}: {wrong}"));
    }
    assert!(
        total.durable > 0,
        "nothing was fsynced before the kill: this round proved nothing"
    );
    total
}

fn report(name: &str, proof: &Proof, slowest: Duration) {
    let Proof {
        durable,
        acknowledged,
        found,
    } = proof;
    println!(
        "{name}: {acknowledged} acknowledged, {durable} durable, {found} found; slowest remount {slowest:?}"
    );
}
