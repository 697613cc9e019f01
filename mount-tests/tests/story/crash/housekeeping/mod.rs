//! Crashes within `prune`, `forget`, `restore`, `undo` and `apply`, beside writers.
//!
//! A round makes a [`scene`]: something that the operation changes as a whole, and writers beside it. The command is
//! started, and the daemon is killed, or the disk loses its power, at a random moment between the command's connection
//! to the daemon and its answer. Then the pond is mounted again: the operation took place as a whole or not at all,
//! every acknowledged write is there (in the present, or in the version that holds what the operation replaced),
//! versions that must stay are what they were, and `check` finds nothing.
//!
//! A crash counts only if the command was running right before it and got no answer. The first crash
//! of a run comes right after the answer: it measures the operation, and checks that an answered
//! operation is durable.

mod scene;

use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use mount_tests::disk::{Disk, Kind};
use mount_tests::load::{Proof, Signals};
use mount_tests::mount::Mount;
use mount_tests::place::plain_only;
use mount_tests::pond::Pond;
use mount_tests::rng::Rng;
use mount_tests::run::Started;
use mount_tests::setting;
use rustix::process::Signal;

use scene::{Came, Scene};

/// How many rounds a pond lives, before there is a new one.
const ROUNDS: usize = 10;
/// How many rounds there may be for each crash that counts, and how many more.
const TRIES: usize = 4;
const MORE_TRIES: usize = 10;
/// How long a command may take. A `restore` waits up to a minute for a moment between saves.
const LONGEST: Duration = Duration::from_secs(100);

/// After what time a daemon that was killed is one that the kernel holds.
const STUCK: Duration = Duration::from_secs(2);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operation {
    Prune,
    Forget,
    Restore,
    Undo,
    Apply,
}

#[test]
fn a_kill_within_a_prune_loses_nothing() {
    crash_within(Operation::Prune, false);
}

#[test]
fn a_kill_within_a_forget_loses_nothing() {
    crash_within(Operation::Forget, false);
}

#[test]
fn a_kill_within_a_restore_loses_nothing() {
    crash_within(Operation::Restore, false);
}

#[test]
fn a_kill_within_an_undo_loses_nothing() {
    crash_within(Operation::Undo, false);
}

#[test]
fn a_kill_within_an_apply_loses_nothing() {
    crash_within(Operation::Apply, false);
}

#[test]
fn a_power_cut_within_a_prune_loses_nothing() {
    crash_within(Operation::Prune, true);
}

#[test]
fn a_power_cut_within_a_forget_loses_nothing() {
    crash_within(Operation::Forget, true);
}

#[test]
fn a_power_cut_within_a_restore_loses_nothing() {
    crash_within(Operation::Restore, true);
}

#[test]
fn a_power_cut_within_an_undo_loses_nothing() {
    crash_within(Operation::Undo, true);
}

#[test]
fn a_power_cut_within_an_apply_loses_nothing() {
    crash_within(Operation::Apply, true);
}

/// What all rounds of one test have shown.
struct Tally {
    operation: Operation,
    rng: Rng,
    /// How long the operation took, from the connection to the answer, where it was not cut short.
    took: Vec<Duration>,
    tries: usize,
    /// Crashes within the operation.
    hits: usize,
    /// Among them those after which the operation had taken place.
    whole: usize,
    /// Daemons that the kernel held after they were killed, until `umount --force`.
    stuck: usize,
    proof: Proof,
    slowest: Duration,
}

impl Tally {
    /// When the next crash is to come; after the answer if nobody knows how long the operation takes.
    fn moment(&mut self) -> Option<Duration> {
        let last: Vec<_> = self.took.iter().rev().take(3).collect();
        let mean = last.iter().copied().sum::<Duration>() / last.len().max(1) as u32;
        let within = self.rng.below(mean.as_micros() as usize) as u64;
        (!last.is_empty()).then(|| Duration::from_micros(within))
    }
}

/// What a crash met.
struct Met {
    /// The operation was at work.
    within: bool,
    /// It had said that it is done.
    answered: bool,
}

/// What is left of a round, to be looked at again.
struct Round {
    scene: Scene,
    checks: Vec<Check>,
    came: Came,
}

/// Holds what one writer wrote against its journal; a path is that of the scene in the version that holds what was
/// replaced.
type Check = Box<dyn Fn(Option<&Path>) -> Result<Proof, String> + Send>;

/// Crashes within an operation as often as asked.
fn crash_within(operation: Operation, power: bool) {
    if plain_only() {
        return;
    }
    let wanted = setting("POND_TEST_HOUSEKEEPING", 2);
    let crash = ["kills", "power cuts"][usize::from(power)];
    let name = format!("{crash} within {operation:?}").to_lowercase();
    let mut tally = Tally {
        operation,
        rng: Rng::for_test(&name),
        took: Vec::new(),
        tries: 0,
        hits: 0,
        whole: 0,
        stuck: 0,
        proof: Proof::default(),
        slowest: Duration::ZERO,
    };
    let mut kinds = [Kind::Ext4, Kind::Xfs];
    kinds.rotate_left(tally.rng.below(2));
    let mut kinds = kinds.into_iter().cycle();
    while tally.hits < wanted {
        live(&mut tally, wanted, kinds.next().filter(|_| power));
    }
    let Tally {
        tries,
        hits,
        whole,
        stuck,
        proof,
        slowest,
        ..
    } = tally;
    println!(
        "{name}: {hits} in {tries} rounds, {whole} of them left it as it was to be and {} as it was; \
         {} acknowledged, {} durable, {} found; it took {:?}; slowest remount {slowest:?}; {stuck} daemons were freed by \
         umount --force",
        hits - whole,
        proof.acknowledged,
        proof.durable,
        proof.found,
        tally.took.iter().max(),
    );
}

/// The life of one pond.
fn live(tally: &mut Tally, wanted: usize, kind: Option<Kind>) {
    let pond = Pond::missing();
    let disk = kind.map(|kind| Disk::under(&pond, kind, 2048));
    if disk.is_none() {
        pond.run(["init"]).arg(pond.store()).ok();
    }
    // What an undo or a restore replaces is to be in no version before.
    let options = match tally.operation {
        Operation::Restore | Operation::Undo => "commit=3600",
        _ => "commit=1",
    };
    let mount_again = || pond.mount_with(&["-o", options]);
    let mut mount = mount_again();
    let mut rounds: Vec<Round> = Vec::new();
    while rounds.len() < ROUNDS && tally.hits < wanted {
        tally.tries += 1;
        assert!(
            tally.tries <= TRIES * wanted + MORE_TRIES,
            "{} of {} crashes met the operation: this proves too little",
            tally.hits,
            tally.tries
        );
        let number = rounds.len();
        let mut scene = Scene::set(tally.operation, &pond, &mount, number, &mut tally.rng);
        let (checks, met) = strike(tally, &pond, mount, disk.as_ref(), &mut scene);
        mount = mount_again();
        tally.slowest = tally.slowest.max(mount.took);
        mount.sync();
        let came = scene.judge(&pond, &mount);
        let when = format!("round {number}, {:?}", tally.operation);
        assert!(
            !met.answered || came != Came::NotAtAll,
            "{when}: it was answered, and did not take place"
        );
        tally.hits += usize::from(met.within);
        tally.whole += usize::from(met.within && came != Came::NotAtAll);
        let round = Round {
            scene,
            checks,
            came,
        };
        tally.proof += round.verify(&mount);
        rounds.push(round);
        pond.check();
    }
    for round in &rounds {
        round.verify(&mount);
        let again = round.scene.judge(&pond, &mount);
        // A later prune does what an earlier one did not.
        assert!(again == round.came || tally.operation == Operation::Prune);
    }
    mount.unmount();
    pond.check();
}

impl Round {
    #[track_caller]
    fn verify(&self, mount: &Mount) -> Proof {
        let replaced: Option<PathBuf> = match self.came {
            Came::InVersion { replaced } => Some(mount.version(replaced).join(&self.scene.name)),
            Came::Whole | Came::NotAtAll => None,
        };
        let mut total = Proof::default();
        for check in &self.checks {
            let proof = check(replaced.as_deref());
            total += proof.unwrap_or_else(|wrong| panic!("{}: {wrong}", self.scene.name));
        }
        assert!(
            total.durable > 0,
            "nothing was fsynced before the crash: this round proved nothing"
        );
        total
    }
}

/// Runs the operation of a scene beside its writers, and crashes.
fn strike(
    tally: &mut Tally,
    pond: &Pond,
    mount: Mount<'_>,
    disk: Option<&Disk>,
    scene: &mut Scene,
) -> (Vec<Check>, Met) {
    let signals = Signals::default();
    let writers = std::mem::take(&mut scene.writers);
    thread::scope(|scope| {
        let signals = &signals;
        let count = writers.len() as u64;
        let threads: Vec<_> = writers
            .into_iter()
            .map(|writer| {
                let rng = tally.rng.fork();
                scope.spawn(move || writer(rng, signals))
            })
            .collect();
        signals.await_synced(count);
        let command = pond.run([]).args(&scene.command);
        let mut command = command.env("POND_STORE", pond.store()).start();
        await_connection(&mut command);
        let (since, moment) = (Instant::now(), tally.moment());
        let is_early = || moment.is_none_or(|moment| since.elapsed() < moment);
        while !command.has_ended() && is_early() {
            assert!(since.elapsed() < LONGEST, "{:?}", scene.command);
            thread::sleep(Duration::from_micros(200));
        }
        if command.has_ended() {
            tally.took.push(since.elapsed());
        }
        signals.end();
        let at_work = !command.has_ended();
        if let Some(disk) = disk {
            disk.cut_power();
        }
        // The command would open the pond by itself when its daemon is gone.
        mount.daemon().signal(Signal::KILL);
        command.kill9();
        if !mount.daemon().ended(STUCK) {
            // Its thread waits in the kernel, to drop a name, for the lock of a directory; a request that will have no
            // answer holds the lock.
            tally.stuck += 1;
            let free = pond.run(["umount", "--force"]).arg(mount.path());
            free.limit(LONGEST).ok();
        }
        mount.kill9();
        let outcome = command.finish(LONGEST);
        let has_succeeded = outcome.succeeded();
        assert!(at_work || has_succeeded, "before the crash: {outcome}");
        let checks = threads
            .into_iter()
            .map(|thread| thread.join().expect("a writer"))
            .collect();
        if let Some(disk) = disk {
            disk.power_up();
        }
        let met = Met {
            within: at_work && !has_succeeded,
            // What a disk without power says is worth nothing.
            answered: has_succeeded && (!at_work || disk.is_none()),
        };
        (checks, met)
    })
}

/// Waits until a command has reached the daemon, or has ended.
fn await_connection(command: &mut Started) {
    let since = Instant::now();
    while !command.has_a_socket() && !command.has_ended() {
        assert!(since.elapsed() < LONGEST, "no connection to the daemon");
        thread::sleep(Duration::from_micros(200));
    }
}
