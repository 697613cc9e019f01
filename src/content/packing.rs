//! Compresses and decompresses stored extents with zstd.
//!
//! An extent is stored compressed only if that saves an eighth or more.
//!
//! Invariant: decompression never yields more bytes than the caller allows, whatever the frame's
//! header says.

use parking_lot::Mutex;
use std::io;
use zstd::bulk::{Compressor, Decompressor};

/// The fastest zstd level: writers wait for the compression.
const LEVEL: i32 = 1;
/// Length in bytes of each of two samples, at the beginning and in the middle. An extent whose
/// samples do not shrink is not compressed.
const SAMPLE: usize = 4 << 10;
/// Greatest number of idle compressors, and of idle decompressors, that are kept for reuse.
const KEPT: usize = 4;

#[derive(Default)]
pub(super) struct Packing {
    compressors: Mutex<Vec<Compressor<'static>>>,
    decompressors: Mutex<Vec<Decompressor<'static>>>,
}

impl Packing {
    /// Returns `bytes` as one zstd frame if that saves an eighth or more.
    pub(super) fn pack(&self, bytes: &[u8]) -> io::Result<Option<Vec<u8>>> {
        kept(
            &self.compressors,
            || Compressor::new(LEVEL),
            |one| pack(one, bytes),
        )
    }

    /// Decompresses a frame. Fails if it holds more than `len` bytes.
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

/// Runs `work` with a kept instance, or with a new one if there is none.
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
        // The sample in the middle is text, so the incompressible beginning does not decide.
        let mixed = [&noise[..], &text].concat();
        assert!(packing.pack(&mixed).unwrap().unwrap().len() < mixed.len());
        let mut noise = vec![0; 100_000];
        blake3::Hasher::new().finalize_xof().fill(&mut noise);
        assert_eq!(packing.pack(&noise).unwrap(), None);
        let bomb = packing.pack(&vec![0; 100 << 20]).unwrap().unwrap();
        assert!(packing.unpack(&bomb, 1 << 20).is_err());
    }
}
