//! Splits a file of lines into pieces, at positions that an append does not move.
//!
//! Piece `n` contains the lines that begin in the `n`-th [`PIECE`] bytes of the file.

use super::{Part, Piece};
use crate::query::blob::{Blob, Hash, WINDOW};
use crate::query::keep::{Keep, key};
use serde::{Deserialize, Serialize};
use std::io;

/// Distance in bytes at which pieces begin; a multiple of the window of blob identities.
pub(super) const PIECE: u64 = 4 * WINDOW;
/// Number of bytes that are read at a time to find a line end.
const LOOK: u64 = 64 << 10;

/// Returns the pieces of a file whose lines begin at `body`, or one piece if it cannot be split.
/// Where a file with the same start was split is cached in `keep`, so that after an append only the
/// end is read.
pub(super) fn pieces(
    blob: &dyn Blob,
    body: u64,
    splits: bool,
    keep: &dyn Keep,
) -> io::Result<Vec<Piece>> {
    let (len, head) = (blob.len(), blob.read(0..body)?);
    if !splits {
        let all = || Ok(piece((body, len, identity(blob, &[], &head, body, len)?)));
        return (body < len).then(all).into_iter().collect();
    }
    // An append does not change whole pieces, but for the last one if a line reaches beyond it.
    let whole = len / PIECE;
    let windows = (0..whole * PIECE / WINDOW).map(|n| blob.window(n));
    let windows = windows.collect::<io::Result<Vec<Hash>>>()?;
    let beginnings = beginnings(&head, &windows);
    let kept = beginnings.iter().rev().find_map(|key| keep.get(key));
    let kept = kept.and_then(|kept| serde_json::from_slice(&kept).ok());
    let mut cuts = kept.unwrap_or(Cuts {
        next: body / PIECE,
        start: body,
        pieces: Vec::new(),
    });
    let (known, mut settled) = (cuts.pieces.len(), None);
    while cuts.start < len {
        let end = line_from(blob, (cuts.next + 1) * PIECE)?;
        if end > cuts.start {
            let id = identity(blob, &windows, &head, cuts.start, end)?;
            cuts.pieces.push((cuts.start, end, id));
        }
        cuts.start = cuts.start.max(end);
        cuts.next += 1;
        if cuts.start <= whole * PIECE && cuts.start < len {
            settled = Some((cuts.next, cuts.start, cuts.pieces.len()));
        }
    }
    if let (Some((next, start, count)), Some(key)) = (settled, beginnings.last())
        && count > known
    {
        let pieces = cuts.pieces.iter().take(count).copied().collect();
        let settled = Cuts {
            next,
            start,
            pieces,
        };
        keep.put(key, serde_json::to_vec(&settled)?.into());
    }
    Ok(cuts.pieces.into_iter().map(piece).collect())
}

/// Where the start of a file is split.
#[derive(Serialize, Deserialize)]
struct Cuts {
    /// Index and offset of the next piece.
    next: u64,
    start: u64,
    /// Start, end and identity of each piece.
    pieces: Vec<(u64, u64, Hash)>,
}

fn piece((start, end, id): (u64, u64, Hash)) -> Piece {
    Piece {
        id,
        part: Part::Bytes(start..end),
    }
}

/// Returns the cache keys of a file that begins with these windows: one for all whole pieces, and
/// before it one for a piece less, if there is any.
fn beginnings(head: &[u8], windows: &[Hash]) -> Vec<Hash> {
    let pieces = windows.chunks((PIECE / WINDOW) as usize);
    let (mut hasher, whole, mut keys) = (blake3::Hasher::new(), pieces.len(), Vec::new());
    for (n, piece) in pieces.enumerate() {
        hasher.update(piece.as_flattened());
        if n + 2 >= whole {
            keys.push(key("cuts", &[head, hasher.finalize().as_bytes()]));
        }
    }
    keys
}

/// Returns the offset of the first line that begins at or behind `at`.
fn line_from(blob: &dyn Blob, at: u64) -> io::Result<u64> {
    let mut from = at.saturating_sub(1);
    while from < blob.len() {
        let bytes = blob.read(from..blob.len().min(from + LOOK))?;
        if let Some(newline) = bytes.iter().position(|byte| *byte == b'\n') {
            return Ok(from + newline as u64 + 1);
        }
        from += bytes.len() as u64;
    }
    Ok(blob.len())
}

/// Returns the identity of the lines from `start` to `end`: a hash of the file's head, of the
/// windows that contain the lines, and of their position in these. `windows` are the known hashes,
/// from the first window on.
fn identity(
    blob: &dyn Blob,
    windows: &[Hash],
    head: &[u8],
    start: u64,
    end: u64,
) -> io::Result<Hash> {
    let mut hasher = blake3::Hasher::new();
    hasher
        .update(&(head.len() as u64).to_le_bytes())
        .update(head);
    let (first, last) = (start / WINDOW, end / WINDOW);
    hasher.update(&(start - first * WINDOW).to_le_bytes());
    for window in first..last {
        match windows.get(window as usize) {
            Some(known) => hasher.update(known),
            None => hasher.update(&blob.window(window)?),
        };
    }
    // The last window is only in part of this piece, unless the file ends here.
    match end == blob.len() && !end.is_multiple_of(WINDOW) {
        true => hasher.update(&blob.window(last)?),
        false => hasher.update(&blob.read(last * WINDOW..end)?),
    };
    hasher.update(&end.saturating_sub(start).to_le_bytes());
    Ok(*hasher.finalize().as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::query::blob::Memory;
    use crate::query::keep::{Everything, Nothing};

    fn file(lines: usize) -> Vec<u8> {
        (0..lines)
            .flat_map(|n| format!("{n},{}\n", n * 7919 % 1_000_003).into_bytes())
            .collect()
    }

    fn cut(bytes: &[u8]) -> Vec<Piece> {
        pieces(&Memory(bytes.to_vec().into()), 0, true, &Nothing).unwrap()
    }

    #[test]
    fn pieces_are_whole_lines_and_cover_the_file() {
        let bytes = file(700_000);
        let mut at = 0;
        let pieces = cut(&bytes);
        assert!(pieces.len() > 2);
        for piece in pieces {
            let Part::Bytes(range) = piece.part else {
                panic!()
            };
            assert_eq!(range.start, at);
            assert_eq!(bytes[range.end as usize - 1], b'\n');
            at = range.end;
        }
        assert_eq!(at, bytes.len() as u64);
    }

    #[test]
    fn an_append_changes_the_last_piece_only() {
        let bytes = file(700_000);
        let longer = [&bytes[..], b"1,2\n"].concat();
        let (before, after) = (cut(&bytes), cut(&longer));
        let last = before.len() - 1;
        assert_eq!(before[..last], after[..last]);
        assert_ne!(before[last].id, after[last].id);
        let mut other = bytes.clone();
        other[5] ^= 1;
        assert_ne!(cut(&other)[0].id, before[0].id);
    }

    #[test]
    fn cached_splits_of_a_shorter_file_fit_a_longer_one() {
        let piece = PIECE as usize;
        let long = vec![b'x'; 2 * piece];
        // Lines that end before, at and behind the ends of pieces, and one that spans several
        // pieces.
        let whole = [
            &file(700_000)[..],
            &long,
            b"\n",
            &file(900_000),
            &vec![b'y'; piece - 1],
            b"\n",
            &file(50_000),
        ]
        .concat();
        let keep = Everything::default();
        let lengths = [1, piece - 1, piece, piece + 1, 2 * piece, 5 * piece / 2];
        let lengths = lengths
            .into_iter()
            .chain((3 * piece..whole.len()).step_by(700_001));
        for len in lengths.chain([whole.len()]) {
            let part = &whole[..len];
            let remembered = pieces(&Memory(part.to_vec().into()), 0, true, &keep);
            assert_eq!(remembered.unwrap(), cut(part), "{len}");
        }
        // A file with another start is another file.
        let mut other = whole.clone();
        other[3] ^= 1;
        let remembered = pieces(&Memory(other.clone().into()), 0, true, &keep);
        assert_eq!(remembered.unwrap(), cut(&other));
    }
}
