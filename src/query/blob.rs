//! Sources of bytes that rows are read from, and the identity of their content.

use blake3::Hasher;
use bytes::Bytes;
use std::io::{self, Read};
use std::ops::Range;
use std::sync::Arc;

/// A BLAKE3 hash.
pub type Hash = [u8; 32];

/// Unit of content identity, in bytes. An append changes only the hashes of the windows that it
/// touches.
pub const WINDOW: u64 = 1 << 20;

/// Immutable bytes: the content does not change as long as the blob is in use.
pub trait Blob: Send + Sync {
    /// Returns the length in bytes.
    fn len(&self) -> u64;
    /// Returns exactly the bytes of `range`, which must lie within the blob.
    fn read(&self, range: Range<u64>) -> io::Result<Bytes>;
    /// Returns the hash of window `n`: of up to [`WINDOW`] bytes from `n * WINDOW`.
    fn window(&self, n: u64) -> io::Result<Hash> {
        let start = n * WINDOW;
        let bytes = self.read(start..self.len().min(start + WINDOW))?;
        Ok(*blake3::hash(&bytes).as_bytes())
    }
    /// Returns the identity of the content: a hash of its length and of the hashes of its windows.
    fn identity(&self) -> io::Result<Hash> {
        windows_identity(self.len(), |n| self.window(n))
    }
    /// Returns whether there are no bytes.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Returns the identity of content of length `len` from the hashes of its windows.
pub fn windows_identity(len: u64, window: impl Fn(u64) -> io::Result<Hash>) -> io::Result<Hash> {
    let mut hasher = Hasher::new();
    hasher.update(&len.to_le_bytes());
    for n in 0..len.div_ceil(WINDOW) {
        hasher.update(&window(n)?);
    }
    Ok(*hasher.finalize().as_bytes())
}

/// Reads a range of a blob from start to end.
pub struct BlobReader {
    blob: Arc<dyn Blob>,
    rest: Range<u64>,
    buffer: Bytes,
}

impl BlobReader {
    /// Returns a reader of a range, which is cut at the end of the blob.
    pub fn new(blob: Arc<dyn Blob>, range: Range<u64>) -> BlobReader {
        let end = range.end.min(blob.len());
        BlobReader {
            rest: range.start.min(end)..end,
            blob,
            buffer: Bytes::new(),
        }
    }
}

impl Read for BlobReader {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.buffer.is_empty() && !self.rest.is_empty() {
            let end = self.rest.end.min(self.rest.start + WINDOW);
            self.buffer = self.blob.read(self.rest.start..end)?;
            self.rest.start = end;
        }
        let len = into.len().min(self.buffer.len());
        let taken = self.buffer.split_to(len);
        if let Some(into) = into.get_mut(..len) {
            into.copy_from_slice(&taken);
        }
        Ok(len)
    }
}

/// Bytes in memory.
#[derive(Clone, Debug)]
pub struct Memory(pub Bytes);

impl Blob for Memory {
    fn len(&self) -> u64 {
        self.0.len() as u64
    }

    fn read(&self, range: Range<u64>) -> io::Result<Bytes> {
        let beyond = || io::Error::from(io::ErrorKind::UnexpectedEof);
        let index = |at: u64| usize::try_from(at).map_err(|_| beyond());
        let (from, to) = (index(range.start)?, index(range.end)?);
        match from <= to && to <= self.0.len() {
            true => Ok(self.0.slice(from..to)),
            false => Err(beyond()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reader_returns_the_bytes_of_its_range() {
        let bytes: Vec<u8> = (0..3 * WINDOW + 5).map(|n| (n % 251) as u8).collect();
        let blob: Arc<dyn Blob> = Arc::new(Memory(bytes.clone().into()));
        for range in [0..5, 7..WINDOW + 9, 0..u64::MAX, 9..9] {
            let mut read = Vec::new();
            BlobReader::new(blob.clone(), range.clone())
                .read_to_end(&mut read)
                .unwrap();
            let end = bytes.len().min(range.end as usize);
            assert_eq!(read, bytes[range.start as usize..end]);
        }
    }

    #[test]
    fn an_append_changes_the_identity() {
        let of = |bytes: &[u8]| Memory(bytes.to_vec().into()).identity().unwrap();
        assert_eq!(of(b"abc"), of(b"abc"));
        assert_ne!(of(b"abc"), of(b"abcd"));
        assert_ne!(of(b""), of(&[0]));
    }
}
