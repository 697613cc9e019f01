//! Where a run of bytes is cut into extents.
//!
//! Role: have content that comes again be cut in the same places, wherever in the file it stands and whatever
//! was inserted before it. In: bytes that were written as one run, in any parts. Out: the same bytes in pieces. Holds
//! always: the cuts depend on the bytes alone; a piece is no longer than [`MAX_PIECE`].
//!
//! The algorithm is FastCDC (Xia et al., USENIX ATC 2016) in its form of 2020, by the library of that name.

use super::help::each;
use bytes::Bytes;
use fastcdc::v2020::FastCDC;

/// Runs below this length are left in one piece.
pub const MIN_RUN: u64 = 64 << 10;
/// The length of a piece: at least, on the average, at most. A read fetches, unpacks and verifies one; a
/// change of one byte costs one. What lies before the least is not even looked at.
const MIN_PIECE: usize = 64 << 10;
const PIECE: usize = 128 << 10;
/// The longest piece.
pub const MAX_PIECE: usize = 512 << 10;

/// Bytes of a run that one thread cuts.
const SECTION: usize = 8 << 20;

/// The pieces of a run that comes in parts.
pub fn cut(parts: impl IntoIterator<Item = Bytes>) -> Vec<Bytes> {
    cut_in(parts, SECTION)
}

/// The same, in sections of at least [`MAX_PIECE`] bytes. Each is cut as if the run began there, all at once.
/// Where a piece ends depends on nothing before it: so from the first of a section's pieces on that the pieces before it
/// come to, the rest of them are those of the run.
fn cut_in(parts: impl IntoIterator<Item = Bytes>, section: usize) -> Vec<Bytes> {
    let parts = sections(parts, section);
    let cut = |parts: &Vec<Bytes>| {
        let section = joined(parts);
        let lens = lens(&section);
        (section, lens)
    };
    let sections = each(&parts, parts.len() > 1, cut);
    let mut pieces = Vec::new();
    // What came before this section and may go on in it.
    let mut open = Bytes::new();
    for (section, lens) in sections {
        let mut at = 0;
        if !open.is_empty() {
            let more = section.len().min(MAX_PIECE);
            let around = Bytes::from([&open[..], &section[..more]].concat());
            while at < open.len()
                && let Some(len) = first_cut(&around[at..])
            {
                pieces.push(around.slice(at..at + len));
                at += len;
            }
            if at < open.len() {
                // Only a last section is so short.
                open = around.slice(at..);
                continue;
            }
            at -= open.len();
        }
        let mut known = lens.iter().scan(0, |start, len| {
            *start += len;
            Some((*start - len, *len))
        });
        let mut next = known.next();
        loop {
            while let Some((start, _)) = next
                && start < at
            {
                next = known.next();
            }
            let len = match next {
                Some((start, len)) if start == at => Some(len),
                _ => first_cut(&section[at..]),
            };
            let Some(len) = len.filter(|len| at + len < section.len()) else {
                break;
            };
            pieces.push(section.slice(at..at + len));
            at += len;
        }
        open = section.slice(at..);
    }
    if !open.is_empty() {
        pieces.push(open);
    }
    pieces
}

/// The parts, in stretches of `len` bytes, but for the last.
fn sections(parts: impl IntoIterator<Item = Bytes>, len: usize) -> Vec<Vec<Bytes>> {
    let (mut sections, mut room) = (Vec::new(), 0);
    for mut part in parts {
        while !part.is_empty() {
            if room == 0 {
                sections.push(Vec::new());
                room = len;
            }
            let piece = part.split_to(part.len().min(room));
            room -= piece.len();
            if let Some(section) = sections.last_mut() {
                section.push(piece);
            }
        }
    }
    sections
}

/// The bytes of the parts as one; those of a single part are not copied.
fn joined(parts: &[Bytes]) -> Bytes {
    match parts {
        [part] => part.clone(),
        _ => Bytes::from(parts.concat()),
    }
}

/// The lengths of the pieces of `bytes`, the last of which may only end where the bytes do.
fn lens(bytes: &[u8]) -> Vec<usize> {
    let pieces = FastCDC::new(bytes, MIN_PIECE, PIECE, MAX_PIECE);
    pieces.map(|piece| piece.length).collect()
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
            section in MAX_PIECE..3_000_000,
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
            let pieces = cut_in(parts, section);
            prop_assert_eq!(pieces.concat(), &whole[..]);
            prop_assert_eq!(pieces.iter().map(Bytes::len).collect::<Vec<_>>(), library);
        }
    }
}
