//! Splits a run of bytes into content-defined chunks, which become its extents.
//!
//! `pond` rechunks the long runs of an immutable memtable before it spills them, so that repeated
//! content has the same chunks wherever it is in a file and whatever was inserted before it.
//!
//! Invariants: chunk boundaries depend on the bytes alone, not on the parts that they come in. A
//! chunk has at most [`MAX_PIECE`] bytes.
//!
//! The algorithm is FastCDC (Xia et al., USENIX ATC 2016) in its version of 2020, from the crate
//! `fastcdc`.

use super::help::each;
use bytes::Bytes;
use fastcdc::v2020::FastCDC;

/// Runs of fewer bytes are not chunked.
pub const MIN_RUN: u64 = 64 << 10;
/// Least length of a chunk in bytes. FastCDC does not look for a boundary before it. A read
/// fetches, decompresses and verifies a whole chunk; a change of one byte stores one again.
const MIN_PIECE: usize = 64 << 10;
/// Average length of a chunk, in bytes.
const PIECE: usize = 128 << 10;
/// Greatest length of a chunk, in bytes.
pub const MAX_PIECE: usize = 512 << 10;

/// Bytes of a run that one thread chunks.
const SECTION: usize = 8 << 20;

/// Returns the chunks of a run that comes in `parts`.
pub fn cut(parts: impl IntoIterator<Item = Bytes>) -> Vec<Bytes> {
    cut_in(parts, SECTION)
}

/// Like [`cut`], with sections of `section` bytes, at least [`MAX_PIECE`]. The sections are chunked
/// in parallel, each as if the run began there. The end of a chunk depends on nothing before its
/// beginning. So once the chunks that continue from the section before meet a boundary of this
/// section, the section's other chunks are those of the whole run.
fn cut_in(parts: impl IntoIterator<Item = Bytes>, section: usize) -> Vec<Bytes> {
    let parts = sections(parts, section);
    let cut = |parts: &Vec<Bytes>| {
        let section = joined(parts);
        let lens = lens(&section);
        (section, lens)
    };
    let sections = each(&parts, parts.len() > 1, cut);
    let mut pieces = Vec::new();
    // The unfinished chunk at the end of the section before.
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
                // Only the last section can be this short.
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

/// Regroups the parts into sections of `len` bytes; the last one may be shorter.
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

/// Returns the parts as one buffer. A single part is not copied.
fn joined(parts: &[Bytes]) -> Bytes {
    match parts {
        [part] => part.clone(),
        _ => Bytes::from(parts.concat()),
    }
}

/// Returns the lengths of the chunks of `bytes`. The last may end only because the bytes do.
fn lens(bytes: &[u8]) -> Vec<usize> {
    let pieces = FastCDC::new(bytes, MIN_PIECE, PIECE, MAX_PIECE);
    pieces.map(|piece| piece.length).collect()
}

/// Returns the length of the first chunk of `bytes`, or `None` if more bytes may extend it.
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
        fn chunk_boundaries_do_not_depend_on_how_a_run_is_split(
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
