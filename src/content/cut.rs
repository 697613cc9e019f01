//! Where a run of bytes is cut into extents.
//!
//! Role: have content that comes again be cut in the same places, wherever in the file it stands and whatever
//! was inserted before it. In: bytes that were written as one run. Out: lengths. Holds always: the cuts depend
//! on the bytes alone; a piece is no longer than [`MAX_PIECE`].
//!
//! The algorithm is FastCDC (Xia et al., USENIX ATC 2016) in its form of 2020, by the library of that name.

use fastcdc::v2020::FastCDC;

/// Runs below this length are left in one piece.
pub const MIN_RUN: u64 = 64 << 10;
/// The length of a piece: at least, on the average, at most. A read fetches, unpacks and verifies one; a
/// change of one byte costs one.
const MIN_PIECE: usize = 32 << 10;
const PIECE: usize = 128 << 10;
/// The longest piece.
pub const MAX_PIECE: usize = 512 << 10;

/// The lengths of the pieces that `bytes` are cut into.
pub fn pieces(bytes: &[u8]) -> impl Iterator<Item = usize> {
    FastCDC::new(bytes, MIN_PIECE, PIECE, MAX_PIECE).map(|chunk| chunk.length)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn an_insertion_changes_the_pieces_around_it_only() {
        let mut bytes = vec![0; 8 << 20];
        blake3::Hasher::new().finalize_xof().fill(&mut bytes);
        let hashes = |bytes: &[u8]| {
            let mut at = 0;
            let mut found = HashSet::new();
            for len in pieces(bytes) {
                assert!(len <= MAX_PIECE);
                found.insert(blake3::hash(&bytes[at..at + len]));
                at += len;
            }
            assert_eq!(at, bytes.len());
            found
        };
        let before = hashes(&bytes);
        assert!((30..130).contains(&before.len()), "{}", before.len());
        bytes.splice(3_000_000..3_000_000, *b"one line more\n");
        let after = hashes(&bytes);
        assert!(after.difference(&before).count() <= 3);
    }
}
