//! Draws random sequences.
//!
//! In: a random generator. Out: a sequence, chosen without looking at any tree: few names and few
//! slots make its operations interact. It begins with operations that create a small tree for the
//! others.

mod calls;
pub mod parts;

use rustix::fs::{AtFlags, OFlags, XattrFlags};

use super::known;
use super::op::{Base, Data, Octal, Op, Place, Sequence, Step, Target, Text, User};
use super::world::{ALICE, BOB, CLUB};
use crate::rng::Rng;

/// Returns a sequence of `len` operations.
pub fn sequence(rng: &mut Rng, len: usize) -> Sequence {
    let mut steps = beginning(rng);
    let users: &[User] = match rng.below(2) {
        0 => &[User::Root],
        _ => &[User::Root, User::Alice, User::Bob],
    };
    while steps.len() < len {
        let user = *rng.pick(users);
        let op = calls::op(rng);
        if !known::left_out(user, &op) {
            steps.push(Step { user, op });
        }
    }
    let look_every = *rng.pick(&[1, 1, 1, 7, 60]);
    Sequence { steps, look_every }
}

/// Returns operations that create a small tree in a directory of some owner and mode, and open
/// files, all as root; sometimes a part is missing.
fn beginning(rng: &mut Rng) -> Vec<Step> {
    let top = |path: &str| Place {
        base: Base::Root,
        path: Text(path.into()),
    };
    let path = |path: &str| Target::Path(top(path));
    let owner = Some(*rng.pick(&[0, 0, ALICE, BOB]));
    let group = Some(*rng.pick(&[0, ALICE, CLUB]));
    let bits = Octal(*rng.pick(&[0o755, 0o777, 0o777, 0o1777, 0o2777, 0o3777, 0o2775]));
    let reads = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let writes = OFlags::RDWR | OFlags::CREATE | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let appends = writes | *rng.pick(&[OFlags::APPEND, OFlags::empty()]);
    let file_bits = Octal(*rng.pick(&[0o644, 0o666, 0o4755, 0o6777, 0o2666]));
    let data = Data {
        len: *rng.pick(&[0, 10, 5000]),
        seed: 1,
    };
    let ops = [
        Op::Chown(path("."), owner, group),
        Op::Chmod(path("."), bits),
        Op::Umask(Octal(*rng.pick(&[0, 0o022, 0o077]))),
        Op::Mkdir(top("a"), bits),
        Op::Chown(path("a"), owner, group),
        Op::Chmod(path("a"), bits),
        Op::Mkdir(top("b"), Octal(0o777)),
        Op::Mkdir(top("a/b"), Octal(0o777)),
        Op::Open(top("c"), writes, file_bits, 0),
        Op::Chown(Target::Slot(0), Some(*rng.pick(&[0, ALICE, BOB])), group),
        Op::Chmod(Target::Slot(0), file_bits),
        Op::Write(0, data),
        Op::SetXattr(
            path(rng.pick::<&str>(&["a", "c"])),
            Text(b"user.one".to_vec()),
            Data { len: 20, seed: 2 },
            XattrFlags::empty(),
        ),
        Op::Open(top("e"), appends, Octal(0o666), 1),
        Op::Open(
            top(rng.pick::<&str>(&["a", "b", "a/b"])),
            reads,
            Octal(0),
            2,
        ),
        Op::Symlink(parts::link_target(rng), top("d")),
        Op::Link(top("c"), top("a/c"), AtFlags::empty()),
    ];
    let missing = rng.below(2 * ops.len());
    let mut steps = Vec::new();
    for (index, op) in ops.into_iter().enumerate() {
        if index != missing && !known::left_out(User::Root, &op) {
            steps.push(Step {
                user: User::Root,
                op,
            });
        }
    }
    steps
}
