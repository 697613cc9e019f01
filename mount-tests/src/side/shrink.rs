//! Shortens a sequence that shows a difference by leaving out operations.

use super::compare::Difference;
use super::op::Sequence;

/// Leaves out operations, larger runs of them first, as long as `run` still finds a difference.
/// Returns the sequence with its difference.
pub fn shrink(
    sequence: Sequence,
    difference: Difference,
    mut run: impl FnMut(&Sequence) -> Option<Difference>,
) -> (Sequence, Difference) {
    let (mut best, mut shown) = (sequence, difference);
    best.steps.truncate(shown.after);
    for run_length in [16, 8, 4, 2, 1, 1] {
        let mut start = 0;
        while start < best.steps.len() {
            let mut shorter = best.clone();
            let end = (start + run_length).min(best.steps.len());
            shorter.steps.drain(start..end);
            match run(&shorter) {
                Some(difference) => {
                    shorter.steps.truncate(difference.after);
                    (best, shown) = (shorter, difference);
                }
                None => start += run_length,
            }
        }
    }
    (best, shown)
}
