//! Many workers at once in the same directories: the same storm on a mount and on a plain directory, compared at the
//! end; one in which all fight for the same names, after which the tree must be one that can be; and one under a
//! watchdog, in which no operation may keep another from returning.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use mount_tests::mount::Mount;
use mount_tests::pond::Pond;
use mount_tests::rng::Rng;
use mount_tests::side::op::Op;
use mount_tests::side::plain::Plain;
use mount_tests::side::storm::{Names, beaten, run, work};
use mount_tests::stall::actors::{self, Actor, Stage, User};
use mount_tests::stall::dump::Connection;
use mount_tests::stall::watch::Watch;
use mount_tests::tree::Tree;

const WORKERS: usize = 8;
const MOUNT: [&str; 3] = ["--allow-other", "-o", "commit=1"];

fn workers(name: &str, names: impl Fn(usize) -> Names) -> Vec<Vec<Op>> {
    mount_tests::run::need_root("gives each worker a root of its own");
    let steps = mount_tests::setting("POND_TEST_STORM", 1000);
    let mut rng = Rng::for_test(name);
    let one = |worker| work(&mut rng, names(worker), steps);
    (0..WORKERS).map(one).collect()
}

#[test]
fn workers_with_names_of_their_own_leave_what_they_leave_on_a_plain_directory() {
    let workers = workers("storm, own names", Names::Own);
    let (plain, pond) = (Plain::new(), Pond::new());
    let mount = pond.mount_with(&MOUNT);
    let found = run(mount.path(), &workers);
    let expected = run(plain.path(), &workers);
    for (worker, ops) in workers.iter().enumerate() {
        for (step, op) in ops.iter().enumerate() {
            let (found, expected) = (&found[worker][step], &expected[worker][step]);
            assert_eq!(found, expected, "worker {worker}, step {step}: {op:?}");
        }
    }
    let expected = Tree::of(plain.path()).without_times();
    let found = Tree::of(mount.path()).without_times();
    found.assert_equals(&expected, "after the storm");
    same_after_all(&pond, mount);
}

#[test]
fn workers_that_fight_for_the_same_names_leave_a_tree_that_can_be() {
    let workers = workers("storm, the same names", |_| Names::Everybodys);
    let pond = Pond::new();
    let mount = pond.mount_with(&MOUNT);
    let answers = run(mount.path(), &workers);
    for (ops, answers) in workers.iter().zip(&answers) {
        for (op, answer) in ops.iter().zip(answers) {
            let refused = answer.as_ref().err();
            assert!(
                refused.is_none_or(|error| beaten(op, *error)),
                "{op:?}: {answer:?}"
            );
        }
    }
    let tree = Tree::of(mount.path());
    let mut names: HashMap<&Path, u64> = HashMap::new();
    for (path, entry) in &tree.0 {
        *names
            .entry(entry.same_as.as_ref().unwrap_or(path))
            .or_default() += 1;
    }
    for (path, names) in names {
        let links = tree.0[path].links.max(1);
        assert_eq!(links, names, "{path:?} says it has {links} names");
    }
    same_after_all(&pond, mount);
}

#[test]
fn no_operation_stalls_whatever_runs_beside_it() {
    let seconds: u64 = mount_tests::setting("POND_TEST_STORM_SECONDS", 15);
    let limit = Duration::from_millis(mount_tests::setting("POND_TEST_STALL_MS", 30_000));
    let mut rng = Rng::for_test("storm, under a watchdog");
    let pond = Pond::new();
    let mount = pond.mount_with(&MOUNT);
    actors::prepare(&mount);
    let connection = Connection::of(mount.path());
    let daemon = mount.daemon().pid();
    let watch = Watch::new(limit, daemon, connection, mount.join(".pond/status"));
    thread::scope(|scope| {
        scope.spawn(|| watch.guard());
        let all = actors::ALL;
        let third = Duration::from_secs(seconds) / 3;
        let mut pairs: Vec<[Actor; 2]> = Vec::new();
        for (n, one) in all.iter().enumerate() {
            pairs.extend(all[n..].iter().map(|other| [*one, *other]));
        }
        let each = third / pairs.len() as u32;
        let until = Instant::now() + third;
        while !pairs.is_empty() && Instant::now() < until {
            let pair = pairs.swap_remove(rng.below(pairs.len()));
            act(&pond, &mount, &watch, &mut rng, &pair, each);
        }
        // What two cannot do to each other, three can.
        let until = Instant::now() + third;
        while Instant::now() < until {
            let mut three: Vec<Actor> = (0..2).map(|_| *rng.pick(all)).collect();
            three.push(*rng.pick(actors::DERIVED));
            act(&pond, &mount, &watch, &mut rng, &three, third / 10);
        }
        act(&pond, &mount, &watch, &mut rng, all, third);
        watch.end();
    });
    print!("{}", watch.figures("storm"));
    if let Some(stall) = watch.stall() {
        panic!("{}", stall.lines().next().unwrap_or_default());
    }
    mount.unmount();
    pond.check();
}

/// Runs actors beside each other for some time.
fn act(
    pond: &Pond,
    mount: &Mount<'_>,
    watch: &Watch,
    rng: &mut Rng,
    actors: &[Actor],
    time: Duration,
) {
    let until = Instant::now() + time;
    thread::scope(|scope| {
        for actor in actors {
            let rng = rng.fork();
            scope.spawn(move || {
                if actor.user == User::Nobody {
                    mount_tests::sys::become_nobody();
                }
                let root = mount.path();
                let clock = watch.clock(actor.name);
                let mut stage = Stage {
                    root,
                    pond,
                    clock,
                    rng,
                };
                loop {
                    (actor.round)(&mut stage);
                    if stage.clock.ended() || Instant::now() >= until {
                        break;
                    }
                }
            });
        }
    });
}

/// What the caches of the kernel show is what the pond holds, and what it can rebuild.
fn same_after_all(pond: &Pond, mount: Mount<'_>) {
    let before = Tree::of(mount.path());
    let root: PathBuf = mount.path().into();
    let mount = mount.remount_without_index();
    Tree::of(&root).assert_equals(&before, "mounted again, without the index");
    mount.unmount();
    pond.check();
}
