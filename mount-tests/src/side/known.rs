//! Differences that are known and left out of the sequences, each with its reason. Nothing else is.

use rustix::fs::FallocateFlags;

use super::op::Op;

/// Whether an operation is one of those.
type Concerns = fn(&Op) -> bool;

const KNOWN: [(&str, Concerns); 1] = [
    // The kernel has FUSE file systems refuse it without asking them.
    ("fallocate COLLAPSE_RANGE and INSERT_RANGE", |op| {
        let unknown = FallocateFlags::COLLAPSE_RANGE | FallocateFlags::INSERT_RANGE;
        matches!(op, Op::Allocate(_, mode, _, _) if mode.intersects(unknown))
    }),
];

/// Whether the operation is left out.
pub fn left_out(op: &Op) -> bool {
    KNOWN.iter().any(|(_, concerns)| concerns(op))
}
