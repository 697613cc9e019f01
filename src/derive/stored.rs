//! A file of the pond as bytes that rows are read from.

use crate::pond::Pond;
use crate::query::{Blob, Hash, Keep, WINDOW, key};
use crate::tinyfs::{FsError, FsResult, NodeId, Time, Version};
use bytes::Bytes;
use std::io;
use std::ops::Range;
use std::sync::Arc;

/// A file at a version. One of the present is read only as long as it is what it was when it was opened: then its
/// reads fail, as [`is_stale`] tells, and nothing is kept of a mixture.
pub(super) struct StoredFile {
    pond: Arc<Pond>,
    keep: Arc<dyn Keep>,
    at: Version,
    id: NodeId,
    len: u64,
    /// When it changed last.
    changed: Time,
}

/// Whether a read failed because the file is not what it was.
pub(super) fn is_stale(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::StaleNetworkFileHandle
}

impl StoredFile {
    /// To be asked after each read: whether that was of the file as it was opened.
    fn unchanged(&self) -> io::Result<()> {
        if self.at != Version::NOW {
            return Ok(());
        }
        let node = self.pond.node(self.at, self.id);
        match node {
            Ok(node) if (node.size, node.ctime) == (self.len, self.changed) => Ok(()),
            Ok(_) | Err(FsError::Posix(_)) => Err(io::ErrorKind::StaleNetworkFileHandle.into()),
            Err(error) => Err(failed(error)),
        }
    }

    pub(super) fn open(
        pond: &Arc<Pond>,
        keep: &Arc<dyn Keep>,
        at: Version,
        id: NodeId,
    ) -> FsResult<StoredFile> {
        let node = pond.node(at, id)?;
        Ok(StoredFile {
            pond: pond.clone(),
            keep: keep.clone(),
            at,
            id,
            len: node.size,
            changed: node.ctime,
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
        self.unchanged()?;
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
        self.unchanged()?;
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
