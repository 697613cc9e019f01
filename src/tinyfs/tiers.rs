//! When many small pieces in a row become one: what is appended to files, and to the log.
//!
//! Each time enough pieces of one class of size stand at the end, they and what is smaller and later become
//! one piece of a greater class. So a byte is rewritten as often as there are classes, however slowly the
//! whole grows, and what is left is a few pieces of each class.

use std::cmp::Ordering;

/// The first of the last pieces that are to become one, if there are `fanout` of one class. A class is
/// `fanout` times the one below. `sizes` are in the order of the pieces.
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
    fn pieces_stay_few_and_bytes_are_seldom_rewritten() {
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
