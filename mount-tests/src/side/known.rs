//! Differences that are known and left out of the sequences, each with its reason. Nothing else is.

use rustix::fs::{FallocateFlags, FileType, RenameFlags};

use super::op::{Op, User};
use super::perform::Answer;

/// Whether an operation is one of those.
type Concerns = fn(User, &Op) -> bool;

const KNOWN: [(&str, Concerns); 2] = [
    // The kernel has FUSE file systems refuse it without asking them.
    ("fallocate COLLAPSE_RANGE and INSERT_RANGE", |_, op| {
        let unknown = FallocateFlags::COLLAPSE_RANGE | FallocateFlags::INSERT_RANGE;
        matches!(op, Op::Allocate(_, mode, _, _) if mode.intersects(unknown))
    }),
    // Before a write by somebody else than the owner the kernel asks for the very same, so that it cannot be refused.
    (
        "chown to nobody in particular of a file of others",
        |user, op| user != User::Root && matches!(op, Op::Chown(_, None, None)),
    ),
];

/// Writing into a pipe moves the times of its node, but the kernel does not tell FUSE file systems.
pub const TIMELESS: FileType = FileType::Fifo;

/// Whether the operation is left out.
pub fn left_out(user: User, op: &Op) -> bool {
    KNOWN.iter().any(|(_, concerns)| concerns(user, op))
}

/// Whether times may move on one side only: ext4 makes the node that is to stay behind before it refuses the rename.
pub fn times_are_open(op: &Op, answer: &Answer) -> bool {
    matches!(op, Op::Rename(_, _, flags) if flags.contains(RenameFlags::WHITEOUT))
        && answer.is_err()
}
