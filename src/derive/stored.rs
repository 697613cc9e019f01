//! A file of the pond as bytes that rows are read from.

use crate::pond::Pond;
use crate::query::{Blob, Hash, Keep, WINDOW, key};
use crate::tinyfs::{FsError, FsResult, NodeId, Version};
use bytes::Bytes;
use std::io;
use std::ops::Range;
use std::sync::Arc;

/// A file at a version. One of the present may change meanwhile, which its identity tells.
pub(super) struct StoredFile {
    pond: Arc<Pond>,
    keep: Arc<dyn Keep>,
    at: Version,
    id: NodeId,
    len: u64,
}

impl StoredFile {
    pub(super) fn open(
        pond: &Arc<Pond>,
        keep: &Arc<dyn Keep>,
        at: Version,
        id: NodeId,
    ) -> FsResult<StoredFile> {
        Ok(StoredFile {
            pond: pond.clone(),
            keep: keep.clone(),
            at,
            id,
            len: pond.node(at, id)?.size,
        })
    }
}

fn failed(error: FsError) -> io::Error {
    io::Error::other(error)
}

impl Blob for StoredFile {
    fn len(&self) -> u64 {
        self.len
    }

    fn read(&self, range: Range<u64>) -> io::Result<Bytes> {
        let len = range.end.saturating_sub(range.start);
        let bytes = self
            .pond
            .read(self.at, self.id, range.start, len)
            .map_err(failed)?;
        match bytes.len() as u64 == len {
            true => Ok(bytes.into()),
            // It was cut meanwhile.
            false => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }

    /// Read only where what it is made of was not met before.
    fn window(&self, n: u64) -> io::Result<Hash> {
        let start = n * WINDOW;
        let range = start..self.len.min(start + WINDOW);
        let made_of = self
            .pond
            .fingerprint(self.at, self.id, range.clone())
            .map_err(failed)?;
        let key = key("window", &[&made_of]);
        if let Some(known) = self.keep.get(&key)
            && let Ok(known) = Hash::try_from(&known[..])
        {
            return Ok(known);
        }
        let hash = *blake3::hash(&self.read(range)?).as_bytes();
        self.keep.put(&key, hash.to_vec().into());
        Ok(hash)
    }
}
