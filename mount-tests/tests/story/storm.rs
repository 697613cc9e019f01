//! Many workers at once in the same directories: the same storm on a mount and on a plain directory, compared at the
//! end; and one in which all fight for the same names, after which the tree must be one that can be.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use mount_tests::mount::Mount;
use mount_tests::pond::Pond;
use mount_tests::rng::Rng;
use mount_tests::side::op::Op;
use mount_tests::side::plain::Plain;
use mount_tests::side::storm::{Names, beaten, run, work};
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

/// What the caches of the kernel show is what the pond holds, and what it can rebuild.
fn same_after_all(pond: &Pond, mount: Mount<'_>) {
    let before = Tree::of(mount.path());
    let root: PathBuf = mount.path().into();
    let mount = mount.remount_without_index();
    Tree::of(&root).assert_equals(&before, "mounted again, without the index");
    mount.unmount();
    pond.check();
}
