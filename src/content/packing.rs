//! Compression of what is stored.
//!
//! Role: text takes less room, and what does not shrink is left as it is. In: the bytes of an extent. Out: one
//! zstd frame, and the bytes again. Holds always: what is unpacked is no longer than was asked for, whatever
//! the frame says of itself.

use parking_lot::Mutex;
use std::io;
use zstd::bulk::{Compressor, Decompressor};

/// The fastest level that is worth it: writers wait for it.
const LEVEL: i32 = 1;
/// Samples that tell whether it is worth it to try: at the beginning and in the middle, of so many bytes each.
const SAMPLE: usize = 4 << 10;
/// Packers and unpackers of each kind that are kept for the next piece; as many as work at once.
const KEPT: usize = 4;

#[derive(Default)]
pub(super) struct Packing {
    compressors: Mutex<Vec<Compressor<'static>>>,
    decompressors: Mutex<Vec<Decompressor<'static>>>,
}

impl Packing {
    /// The bytes as one frame, if that saves an eighth or more.
    pub(super) fn pack(&self, bytes: &[u8]) -> io::Result<Option<Vec<u8>>> {
        kept(
            &self.compressors,
            || Compressor::new(LEVEL),
            |one| pack(one, bytes),
        )
    }

    /// The bytes of a frame, which are at most `len`.
    pub(super) fn unpack(&self, frame: &[u8], len: usize) -> io::Result<Vec<u8>> {
        kept(&self.decompressors, Decompressor::new, |one| {
            one.decompress(frame, len)
        })
    }
}

fn pack(compressor: &mut Compressor<'_>, bytes: &[u8]) -> io::Result<Option<Vec<u8>>> {
    let mut shrunk = |bytes: &[u8]| {
        let packed = compressor.compress(bytes)?;
        Ok((packed.len() <= bytes.len() - bytes.len() / 8).then_some(packed))
    };
    let middle = bytes.len() / 2;
    if middle >= 4 * SAMPLE {
        let samples = [&bytes[..SAMPLE], &bytes[middle..middle + SAMPLE]];
        if samples
            .map(&mut shrunk)
            .into_iter()
            .all(|shrunk| matches!(shrunk, Ok(None)))
        {
            return Ok(None);
        }
    }
    shrunk(bytes)
}

/// Does `work` with one of those that are kept, or a new one.
fn kept<T, R>(
    kept: &Mutex<Vec<T>>,
    new: impl FnOnce() -> io::Result<T>,
    work: impl FnOnce(&mut T) -> io::Result<R>,
) -> io::Result<R> {
    let one = kept.lock().pop();
    let mut one = match one {
        Some(one) => one,
        None => new()?,
    };
    let done = work(&mut one);
    let mut kept = kept.lock();
    if kept.len() < KEPT {
        kept.push(one);
    }
    done
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_shrinks_noise_does_not_and_a_bomb_is_refused() {
        let packing = Packing::default();
        let text = b"2026-11-26T20:00:00Z,12.5,ok\n".repeat(1000);
        let packed = packing.pack(&text).unwrap().unwrap();
        assert!(packed.len() * 10 < text.len());
        assert_eq!(packing.unpack(&packed, text.len()).unwrap(), text);
        assert!(packing.unpack(&packed, text.len() - 1).is_err());
        assert!(packing.unpack(&packed[1..], text.len()).is_err());
        let mut noise = vec![0; 10_000];
        blake3::Hasher::new().finalize_xof().fill(&mut noise);
        assert_eq!(packing.pack(&noise).unwrap(), None);
        // Noise in front does not hide what comes behind it.
        let mixed = [&noise[..], &text].concat();
        assert!(packing.pack(&mixed).unwrap().unwrap().len() < mixed.len());
        let mut noise = vec![0; 100_000];
        blake3::Hasher::new().finalize_xof().fill(&mut noise);
        assert_eq!(packing.pack(&noise).unwrap(), None);
        let bomb = packing.pack(&vec![0; 100 << 20]).unwrap().unwrap();
        assert!(packing.unpack(&bomb, 1 << 20).is_err());
    }
}
