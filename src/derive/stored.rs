//! Stored files as sources of rows.

use crate::pond::Pond;
use crate::query::{Blob, Hash, Keep, WINDOW, key, windows_identity};
use crate::tinyfs::{FsError, FsResult, NodeId, Time, Version};
use bytes::Bytes;
use parking_lot::Mutex;
use rustc_hash::FxHashMap;
use std::io;
use std::ops::Range;
use std::sync::{Arc, OnceLock};

/// A file at a version. A file of the present can be read only as long as it is unchanged since it
/// was opened; after that its reads fail ([`is_stale`]), so that no result mixes two states.
pub(super) struct StoredFile {
    pond: Arc<Pond>,
    keep: Arc<dyn Keep>,
    at: Version,
    id: NodeId,
    len: u64,
    /// Its last change.
    changed: Time,
    known: Known,
}

/// The known state of a present file.
struct Known {
    identities: Arc<Identities>,
    /// The pond's count of changes before the file was opened.
    changes: u64,
    windows: OnceLock<Arc<[Hash]>>,
}

/// The window hashes of present files at a count of changes.
#[derive(Default)]
pub(super) struct Identities(Mutex<(u64, Windows)>);

type Windows = FxHashMap<NodeId, Arc<[Hash]>>;

impl Identities {
    fn get(&self, changes: u64, id: NodeId) -> Option<Arc<[Hash]>> {
        let known = self.0.lock();
        known.1.get(&id).filter(|_| known.0 == changes).cloned()
    }

    fn note(&self, changes: u64, id: NodeId, windows: Arc<[Hash]>) {
        let mut known = self.0.lock();
        if known.0 != changes {
            *known = (changes, FxHashMap::default());
        }
        known.1.insert(id, windows);
    }
}

/// Returns whether a read failed because the file has changed.
pub(super) fn is_stale(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::StaleNetworkFileHandle
}

impl StoredFile {
    /// Checks after each read that the file is still as it was when it was opened.
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
        identities: &Arc<Identities>,
        at: Version,
        id: NodeId,
    ) -> FsResult<StoredFile> {
        let known = Known {
            identities: identities.clone(),
            changes: pond.changes(),
            windows: OnceLock::new(),
        };
        let node = pond.node(at, id)?;
        if at == Version::NOW
            && let Some(windows) = identities.get(known.changes, id)
            && pond.changes() == known.changes
        {
            known.windows.get_or_init(|| windows);
        }
        Ok(StoredFile {
            known,
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
            // The file was truncated meanwhile.
            false => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }

    fn identity(&self) -> io::Result<Hash> {
        if self.known.windows.get().is_none() {
            let windows = (0..self.len.div_ceil(WINDOW)).map(|n| self.window(n));
            let windows: Arc<[Hash]> = windows.collect::<io::Result<_>>()?;
            let changes = self.known.changes;
            if self.at == Version::NOW && self.pond.changes() == changes {
                let windows = windows.clone();
                self.known.identities.note(changes, self.id, windows);
            }
            self.known.windows.get_or_init(|| windows);
        }
        windows_identity(self.len, |n| self.window(n))
    }

    /// Reads only if the hash of these extents is not cached.
    fn window(&self, n: u64) -> io::Result<Hash> {
        let known = self.known.windows.get();
        if let Some(known) = known.and_then(|windows| windows.get(n as usize)) {
            return Ok(*known);
        }
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
