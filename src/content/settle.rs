//! Where the bytes of a frozen layer go.

use super::ContentError;
use super::segments::Segments;
use crate::tinyfs::ops::CHUNK;
use crate::tinyfs::{ContentId, Entries, Extent, Extents, Stored};
use bytes::{Bytes, BytesMut};

/// An extent of up to this many bytes stays inline in its record: it costs one write, not two, and
/// comes back without a second read.
pub const INLINE_MAX: usize = 4 << 10;

/// Neighbouring inline runs of one content within one chunk.
struct Run {
    content: ContentId,
    start: u64,
    end: u64,
    pieces: Vec<Bytes>,
}

pub(super) fn settle(
    segments: &Segments,
    extents: &Entries<Extents>,
) -> Result<Entries<Extents>, ContentError> {
    let mut settled = Entries::<Extents>::new();
    let mut run: Option<Run> = None;
    for (&(content, start), extent) in extents {
        let Some(Extent::Inline(bytes)) = extent else {
            // A removed entry says nothing of the bytes around it; a stored extent ends a run.
            if extent.is_some() {
                place(segments, &mut settled, run.take())?;
            }
            settled.insert((content, start), extent.clone());
            continue;
        };
        let end = start + bytes.len() as u64;
        match &mut run {
            Some(run)
                if run.content == content
                    && run.end == start
                    && run.start / CHUNK == (end - 1) / CHUNK =>
            {
                run.end = end;
                run.pieces.push(bytes.clone());
                // What the run covers now may stand under this key in a layer below.
                settled.insert((content, start), None);
            }
            _ => {
                let next = Run {
                    content,
                    start,
                    end,
                    pieces: vec![bytes.clone()],
                };
                place(segments, &mut settled, run.replace(next))?;
            }
        }
    }
    place(segments, &mut settled, run)?;
    Ok(settled)
}

fn place(
    segments: &Segments,
    settled: &mut Entries<Extents>,
    run: Option<Run>,
) -> Result<(), ContentError> {
    let Some(mut run) = run else {
        return Ok(());
    };
    let bytes = match run.pieces.len() {
        1 => run.pieces.swap_remove(0),
        _ => {
            let mut joined = BytesMut::with_capacity((run.end - run.start) as usize);
            run.pieces
                .iter()
                .for_each(|piece| joined.extend_from_slice(piece));
            joined.freeze()
        }
    };
    let extent = match bytes.len() {
        // A copy, where the run is a small part of a large buffer that would live as long.
        len if len <= INLINE_MAX => Extent::Inline(Bytes::copy_from_slice(&bytes)),
        len => {
            let hash = *blake3::hash(&bytes).as_bytes();
            let (segment, offset) = segments.append(&bytes)?;
            // A run never crosses a chunk, so its length fits.
            let len = len as u32;
            Extent::Stored(Stored {
                len,
                skip: 0,
                segment,
                offset,
                stored_len: len,
                hash,
            })
        }
    };
    settled.insert((run.content, run.start), Some(extent));
    Ok(())
}
