//! Crashes under load: nothing that was fsynced is lost, and the tree is the state after a prefix of what was
//! acknowledged. In [`kills`] the daemon dies, in [`power`] the disk under it too; in [`boundaries`] it meets a
//! fault at each of its system calls. In [`housekeeping`] either happens within operations on the history.

mod boundaries;
mod housekeeping;
mod kills;
mod power;

use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use mount_tests::disk::{Disk, Kind};
use mount_tests::load::{Proof, Signals, publish, script};
use mount_tests::mount::Mount;
use mount_tests::place::{folder, plain_only};
use mount_tests::pond::{Pond, scratch};
use mount_tests::rng::Rng;
use mount_tests::setting;

/// Runs one writer in a directory until the end; the answer holds the tree against its journal.
type Check = Box<dyn Fn(&Path) -> Result<Proof, String> + Send>;
type Writer = fn(&Path, usize, Rng, &Signals) -> Check;

/// What a crash is.
#[derive(Clone, Copy, Debug)]
enum Crash {
    /// `kill -9` of the daemon.
    Kill,
    /// The disk under the pond loses its power, and the daemon is gone.
    PowerCut(Kind),
}

fn small_operations(dir: &Path, _: usize, rng: Rng, signals: &Signals) -> Check {
    let journal = script::write_until_end(dir, rng, signals);
    Box::new(move |dir| journal.verify(dir))
}

fn whole_files(dir: &Path, number: usize, _: Rng, signals: &Signals) -> Check {
    let journal = publish::write_until_end(dir, number as u64, signals);
    Box::new(move |dir| journal.verify(dir))
}

/// Crashes, remounts and checks, as often as asked; every round writes in directories of its own, and at the end
/// those of all rounds must still be right.
#[track_caller]
fn crash_loop(name: &str, crash: Crash, writers: &[Writer], meanwhile: fn(&Pond, &Signals)) {
    let crashes = match crash {
        Crash::Kill => setting("POND_TEST_KILLS", 10),
        Crash::PowerCut(_) => setting("POND_TEST_CUTS", 5),
    };
    let limit = setting("POND_TEST_REMOUNT_MS", 2000);
    let mut rng = Rng::for_test(name);
    if plain_only() {
        let plain = scratch();
        let checks = round(plain.path(), 0, writers, &mut rng, |_| {}, || {});
        return report(name, &verify(&checks), Duration::ZERO);
    }
    let pond = Pond::missing();
    let disk = match crash {
        Crash::Kill => {
            pond.run(["init"]).arg(pond.store()).ok();
            None
        }
        Crash::PowerCut(kind) => Some(Disk::under(&pond, kind, 4096)),
    };
    let (mut history, mut slowest) = (Vec::new(), Duration::ZERO);
    let mut total = Proof::default();
    let mut mount = pond.mount();
    for number in 0..crashes {
        let root = mount.path().to_path_buf();
        let killed = std::cell::Cell::new(Some(mount));
        let crash = || {
            let mount = killed.take().expect("one crash a round");
            if let Some(disk) = &disk {
                disk.cut_power();
                mount.kill9();
                disk.power_up();
            } else {
                mount.kill9();
            }
        };
        let checks = round(
            &root,
            number,
            writers,
            &mut rng,
            |signals| meanwhile(&pond, signals),
            crash,
        );
        mount = pond.mount();
        slowest = slowest.max(mount.took);
        assert!(
            mount.took < Duration::from_millis(limit),
            "{name}, crash {number}: the remount took {:?}",
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
    crash: impl FnOnce(),
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
        crash();
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
        "nothing was fsynced before the crash: this round proved nothing"
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
