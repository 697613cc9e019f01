//! Size-tiered compaction: decides when adjacent small pieces are merged into one.
//!
//! `content` merges the extents that appends leave behind, `oplog` merges small data files. Once
//! enough pieces of one size class are at the end, they and the smaller ones behind them become one
//! piece of a greater class. So each byte is rewritten at most once per class, however slowly the
//! whole grows, and few pieces of each class remain.

use std::cmp::Ordering;

/// Returns the index of the first piece to merge; the merge takes all pieces from there to the end.
/// Returns `None` if no class has `fanout` pieces. Each class is `fanout` times the one below.
/// `sizes` are in the order of the pieces.
pub fn first_to_join(sizes: &[u64], fanout: u64) -> Option<usize> {
    let mut best = None;
    let (mut class, mut in_class) = (0, 0);
    for (n, size) in sizes.iter().enumerate().rev() {
        let own = size.checked_ilog(fanout).unwrap_or(0);
        match own.cmp(&class) {
            Ordering::Less => {}
            Ordering::Equal => in_class += 1,
            Ordering::Greater => (class, in_class) = (own, 1),
        }
        if in_class >= fanout {
            best = Some(n);
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_stay_few_and_rewrites_are_bounded() {
        let (mut pieces, mut rewritten) = (Vec::new(), 0);
        for n in 0..100_000u64 {
            pieces.push(60 + n % 40);
            if let Some(first) = first_to_join(&pieces, 16) {
                let joined: u64 = pieces.drain(first..).sum();
                rewritten += joined;
                pieces.push(joined);
            }
            assert!(pieces.len() <= 16 * 6, "{pieces:?}");
        }
        assert_eq!(first_to_join(&pieces, 16), None);
        let whole: u64 = pieces.iter().sum();
        assert!(rewritten < whole * 6, "{rewritten} of {whole}");
    }
}
