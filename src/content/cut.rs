//! Where a run of bytes is cut into extents.
//!
//! Role: have content that comes again be cut in the same places, wherever in the file it stands and whatever
//! was inserted before it. In: bytes that were written as one run, in any parts. Out: the same bytes in pieces. Holds
//! always: the cuts depend on the bytes alone; a piece is no longer than [`MAX_PIECE`].
//!
//! The algorithm is FastCDC (Xia et al., USENIX ATC 2016) in its form of 2020, by the library of that name.

use bytes::{Bytes, BytesMut};
use fastcdc::v2020::FastCDC;

/// Runs below this length are left in one piece.
pub const MIN_RUN: u64 = 64 << 10;
/// The length of a piece: at least, on the average, at most. A read fetches, unpacks and verifies one; a
/// change of one byte costs one. What lies before the least is not even looked at.
const MIN_PIECE: usize = 64 << 10;
const PIECE: usize = 128 << 10;
/// The longest piece.
pub const MAX_PIECE: usize = 512 << 10;

/// The pieces of a run that comes in parts. They share the bytes of the parts, where they do not reach over two.
pub fn cut(parts: impl IntoIterator<Item = Bytes>) -> Vec<Bytes> {
    let mut pieces = Vec::new();
    // The end of the parts so far, in which there is no cut.
    let mut open = BytesMut::new();
    for mut part in parts {
        while !open.is_empty() && !part.is_empty() {
            // No more than it takes, most likely.
            let before = open.len();
            let more = part.len().min(PIECE).min(MAX_PIECE - before);
            open.extend_from_slice(&part[..more]);
            let Some(len) = first_cut(&open) else {
                part = part.slice(more..);
                continue;
            };
            // There was none in what went before.
            part = part.slice(len.saturating_sub(before)..);
            let piece = open.split_to(len).freeze();
            open.truncate(before.saturating_sub(len));
            pieces.push(piece);
        }
        while let Some(len) = first_cut(&part) {
            pieces.push(part.split_to(len));
        }
        open.extend_from_slice(&part);
    }
    if !open.is_empty() {
        pieces.push(open.freeze());
    }
    pieces
}

/// Where the first piece of `bytes` ends, unless more bytes have to tell.
fn first_cut(bytes: &[u8]) -> Option<usize> {
    let first = FastCDC::new(bytes, MIN_PIECE, PIECE, MAX_PIECE).next()?;
    (first.length < bytes.len() || first.length == MAX_PIECE).then_some(first.length)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashSet;

    #[test]
    fn an_insertion_changes_the_pieces_around_it_only() {
        let mut bytes = vec![0; 8 << 20];
        blake3::Hasher::new().finalize_xof().fill(&mut bytes);
        let hashes = |bytes: &[u8]| {
            let pieces = cut([Bytes::copy_from_slice(bytes)]);
            assert!(pieces.iter().all(|piece| piece.len() <= MAX_PIECE));
            assert_eq!(pieces.concat(), bytes);
            let found: HashSet<_> = pieces.iter().map(|piece| blake3::hash(piece)).collect();
            found
        };
        let before = hashes(&bytes);
        assert!((30..130).contains(&before.len()), "{}", before.len());
        bytes.splice(3_000_000..3_000_000, *b"one line more\n");
        let after = hashes(&bytes);
        assert!(after.difference(&before).count() <= 3);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn in_which_parts_a_run_comes_does_not_matter(
            seed in any::<u64>(),
            noise in 0usize..3_000_000,
            zeros in 0usize..2_000_000,
            ends in proptest::collection::vec(any::<proptest::sample::Index>(), 0..30),
        ) {
            let mut bytes = vec![0; noise + zeros];
            blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof().fill(&mut bytes[..noise]);
            let whole = Bytes::from(bytes);
            let library: Vec<usize> = FastCDC::new(&whole, MIN_PIECE, PIECE, MAX_PIECE)
                .map(|chunk| chunk.length)
                .collect();
            let mut ends: Vec<usize> = ends.iter().map(|end| end.index(whole.len() + 1)).collect();
            ends.extend([0, whole.len()]);
            ends.sort_unstable();
            let parts = ends.windows(2).map(|ends| whole.slice(ends[0]..ends[1]));
            let pieces = cut(parts);
            prop_assert_eq!(pieces.concat(), &whole[..]);
            prop_assert_eq!(pieces.iter().map(Bytes::len).collect::<Vec<_>>(), library);
        }
    }
}
