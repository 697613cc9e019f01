//! Cutting a file of lines into pieces, at places that an append does not move.
//!
//! Piece `n` has the lines that begin in the `n`-th [`PIECE`] bytes of the file.

use super::{Part, Piece};
use crate::query::blob::{Blob, WINDOW};
use std::io;

/// How far apart pieces begin, in bytes; a multiple of the window of identities.
pub(super) const PIECE: u64 = 4 * WINDOW;
/// How much is read to find the end of a line.
const LOOK: u64 = 64 << 10;

/// The pieces of a file whose lines begin at `body`; one for all of it where it does not split.
pub(super) fn pieces(blob: &dyn Blob, body: u64, splits: bool) -> io::Result<Vec<Piece>> {
    let (len, mut pieces) = (blob.len(), Vec::new());
    let (mut start, mut n) = (body, body / PIECE);
    let head = blob.read(0..body)?;
    while start < len {
        let end = match splits {
            true => line_from(blob, (n + 1) * PIECE)?,
            false => len,
        };
        if end > start {
            pieces.push(Piece {
                id: identity(blob, &head, start, end)?,
                part: Part::Bytes(start..end),
            });
        }
        (start, n) = (start.max(end), n + 1);
    }
    Ok(pieces)
}

/// Where the first line begins at or behind `at`.
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

/// The identity of lines: of the file's head, of the windows that they lie in, and where in those.
fn identity(blob: &dyn Blob, head: &[u8], start: u64, end: u64) -> io::Result<[u8; 32]> {
    let mut hasher = blake3::Hasher::new();
    hasher
        .update(&(head.len() as u64).to_le_bytes())
        .update(head);
    let (first, last) = (start / WINDOW, end / WINDOW);
    hasher.update(&(start - first * WINDOW).to_le_bytes());
    for window in first..last {
        hasher.update(&blob.window(window)?);
    }
    // The last lines reach into a window that goes on changing, unless it is the file's last.
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

    fn file(lines: usize) -> Vec<u8> {
        (0..lines)
            .flat_map(|n| format!("{n},{}\n", n * 7919 % 1_000_003).into_bytes())
            .collect()
    }

    fn cut(bytes: &[u8]) -> Vec<Piece> {
        pieces(&Memory(bytes.to_vec().into()), 0, true).unwrap()
    }

    #[test]
    fn pieces_are_whole_lines_and_all_of_them() {
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
}
