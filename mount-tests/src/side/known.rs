//! Differences that are known and left out of the sequences, each with its reason. Nothing else is.

use rustix::fs::{FallocateFlags, FileType, RenameFlags, XattrFlags};

use super::op::Op;
use super::perform::Answer;

/// Whether an operation is one of those.
type Concerns = fn(&Op) -> bool;

const KNOWN: [(&str, Concerns); 5] = [
    // The kernel has FUSE file systems refuse it without asking them.
    ("fallocate COLLAPSE_RANGE and INSERT_RANGE", |op| {
        let unknown = FallocateFlags::COLLAPSE_RANGE | FallocateFlags::INSERT_RANGE;
        matches!(op, Op::Allocate(_, mode, _, _) if mode.intersects(unknown))
    }),
    ("fallocate that changes no byte moves no time", |op| {
        let idle = [FallocateFlags::empty(), FallocateFlags::KEEP_SIZE];
        matches!(op, Op::Allocate(_, mode, _, _) if idle.contains(mode))
    }),
    (
        "chown to nobody moves no time and drops no set-id bit",
        |op| matches!(op, Op::Chown(_, None, None)),
    ),
    // The protocol of FUSE has it dropped only with the group's right to execute.
    (
        "set-group-id without group execution stays when another group writes",
        |op| match op {
            Op::Open(_, _, bits, _) | Op::Mknod(_, bits, _) => bits.0 & 0o2000 != 0,
            Op::Chmod(_, bits) => bits.0 & 0o2010 == 0o2000,
            _ => false,
        },
    ),
    (
        "setxattr CREATE and REPLACE at once",
        |op| matches!(op, Op::SetXattr(.., flags) if *flags == XattrFlags::CREATE | XattrFlags::REPLACE),
    ),
];

/// Writing into a pipe moves the times of its node, but the kernel does not tell FUSE file systems.
pub const TIMELESS: FileType = FileType::Fifo;

/// Whether the operation is left out.
pub fn left_out(op: &Op) -> bool {
    KNOWN.iter().any(|(_, concerns)| concerns(op))
}

/// Whether times may move on one side only: ext4 makes the node that is to stay behind before it refuses the rename.
pub fn times_are_open(op: &Op, answer: &Answer) -> bool {
    matches!(op, Op::Rename(_, _, flags) if flags.contains(RenameFlags::WHITEOUT))
        && answer.is_err()
}
