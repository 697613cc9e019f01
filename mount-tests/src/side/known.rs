//! The known differences, which are left out of the sequences, each with its reason.

use rustix::fs::{FallocateFlags, FileType, RenameFlags};

use super::op::{Op, User};
use super::perform::Answer;

/// Returns whether an operation has a known difference.
type Concerns = fn(User, &Op) -> bool;

const KNOWN: [(&str, Concerns); 2] = [
    // The kernel refuses it on FUSE file systems without a request.
    ("fallocate COLLAPSE_RANGE and INSERT_RANGE", |_, op| {
        let unknown = FallocateFlags::COLLAPSE_RANGE | FallocateFlags::INSERT_RANGE;
        matches!(op, Op::Allocate(_, mode, _, _) if mode.intersects(unknown))
    }),
    // The kernel sends the same request before a write by another user than the owner, so that it
    // cannot be refused.
    (
        "chown to nobody in particular of a file of others",
        |user, op| user != User::Root && matches!(op, Op::Chown(_, None, None)),
    ),
];

/// A write to a pipe changes the times of its node, but the kernel does not send them to FUSE.
pub const TIMELESS: FileType = FileType::Fifo;

/// Returns whether the operation is left out.
pub fn left_out(user: User, op: &Op) -> bool {
    KNOWN.iter().any(|(_, concerns)| concerns(user, op))
}

/// Returns whether times may change on one side only: ext4 creates the whiteout before it refuses
/// the rename.
pub fn times_are_open(op: &Op, answer: &Answer) -> bool {
    matches!(op, Op::Rename(_, _, flags) if flags.contains(RenameFlags::WHITEOUT))
        && answer.is_err()
}
