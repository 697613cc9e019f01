//! Random operations side by side on a mount and on a plain directory: after each the answer is the same, and so
//! is all that can be seen; and what is on the mount is still there when it was mounted again.

use std::fs;
use std::path::{Path, PathBuf};

use mount_tests::mount::Mount;
use mount_tests::pond::Pond;
use mount_tests::rng::Rng;
use mount_tests::side::choose::sequence;
use mount_tests::side::compare::{Difference, run};
use mount_tests::side::op::Sequence;
use mount_tests::side::plain::Plain;
use mount_tests::side::shrink::shrink;
use mount_tests::tree::Tree;

const STEPS: usize = 60;
/// How many sequences one mount serves.
const BATCH: usize = 50;
const MOUNT: [&str; 3] = ["--allow-other", "-o", "commit=1"];

/// A fresh directory on each side, again and again.
struct Sides {
    mount: PathBuf,
    plain: PathBuf,
    used: usize,
}

impl Sides {
    fn compare(&mut self, sequence: &Sequence) -> Option<Difference> {
        self.used += 1;
        let fresh = |root: &Path| {
            let path = root.join(format!("s{:06}", self.used));
            fs::create_dir(&path).expect("mkdir");
            path
        };
        run(sequence, &fresh(&self.mount), &fresh(&self.plain))
    }

    /// Runs one sequence and fails with the shortest one that shows a difference, if there is any.
    fn check(&mut self, number: usize, sequence: Sequence) {
        let Some(first) = self.compare(&sequence) else {
            return;
        };
        let whole = told(&sequence, &first);
        let (short, difference) = shrink(sequence, first, |shorter| self.compare(shorter));
        panic!(
            "sequence {number}:\n{whole}\nThe same, shorter:\n{}",
            told(&short, &difference)
        );
    }
}

fn told(sequence: &Sequence, difference: &Difference) -> String {
    let steps = sequence.steps[..difference.after].iter().enumerate();
    let steps: String = steps
        .map(|(index, step)| format!("{:3} {step}\n", index + 1))
        .collect();
    let lines = difference.lines.join("\n  ");
    format!("{steps}after that (found | expected):\n  {lines}")
}

#[test]
fn random_operations_do_the_same_as_on_a_plain_directory() {
    mount_tests::run::need_root("acts as several users");
    let sequences = mount_tests::setting("POND_TEST_SEQUENCES", 100);
    let mut rng = Rng::for_test("side by side");
    let (plain, pond) = (Plain::new(), Pond::new());
    let mut mount = pond.mount_with(&MOUNT);
    let mut sides = Sides {
        mount: mount.path().into(),
        plain: plain.path().into(),
        used: 0,
    };
    for number in 0..sequences {
        sides.check(number, sequence(&mut rng, STEPS));
        if (number + 1) % BATCH == 0 || number + 1 == sequences {
            mount = mounted_again(&pond, mount, (number / BATCH) % 2 == 1);
            empty(mount.path());
            empty(plain.path());
        }
    }
    mount.unmount();
    pond.check();
}

/// The mount after it was taken down, and its index perhaps deleted: it shows the same.
fn mounted_again<'p>(pond: &'p Pond, mount: Mount<'p>, without_index: bool) -> Mount<'p> {
    let before = Tree::of(mount.path());
    mount.unmount();
    if without_index {
        pond.forget_index();
    }
    let mount = pond.mount_with(&MOUNT);
    Tree::of(mount.path()).assert_equals(&before, "mounted again");
    mount
}

fn empty(dir: &Path) {
    for entry in fs::read_dir(dir).expect("readdir") {
        fs::remove_dir_all(entry.expect("readdir").path()).expect("remove a tree");
    }
}
