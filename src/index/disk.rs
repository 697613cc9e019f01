//! Committed entries, in keyspaces of fjall.
//!
//! Each map has a keyspace *present*: key → begun (u64, little-endian), value. All maps share a
//! keyspace *past*: map, key, a zero byte, ended (u64, big-endian) → begun, value. Its entries held
//! from version `begun` until `ended` replaced or removed them. At version V, the entry of a key is
//! the present one if it had begun by V. Otherwise it is the past one with the least `ended` above
//! V, if that one had begun. Names hold no zero byte, so past keys sort by key.
//!
//! Every batch of a commit writes a mark to each keyspace. fjall flushes keyspaces one by one and
//! silently truncates its journal at what it cannot decode, so one keyspace can lose what another
//! has. Then the marks differ, and the index is rebuilt.

use super::IndexError;
use super::clean::Clean;
use super::parts::Parts;
use super::reads;
use super::target::{Batches, KEYSPACE_COUNT, KeyspaceId};
use crate::limits::Limits;
use crate::observe::guarded;
use crate::tinyfs::{
    Attrs, Changes, Entry, Extents, Malformed, Map, MapId, Names, Nodes, Time, Version,
};
use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode, Readable, Snapshot};
use std::ops::ControlFlow;
use std::path::Path;
use std::time::{Duration, Instant};
use uuid::Uuid;

/// Format of the index. An index of another format is deleted and rebuilt, not converted.
const FORMAT: u64 = 5;
/// Versions between two syncs of fjall's journal.
const SYNC_EVERY: u64 = 32;
/// Threads that flush and compact tables. With two or more (fjall 3.1), the first would hand on
/// compaction requests in a busy loop while another compacts.
const WORKERS: usize = 1;
/// How long to wait for the process that had the pond before to close the index.
const CLOSING: Duration = Duration::from_secs(30);
/// Interval between checks of whether memtables are written to tables.
const ROTATING: Duration = Duration::from_millis(2);

/// Names of the keyspaces.
const KEYSPACES: [&str; KEYSPACE_COUNT] = [
    "nodes", "names", "extents", "attrs", "past", "links", "trail", "stored", "versions", "meta",
];
const META_POND: &[u8] = b"pond";
const META_FORMAT: &[u8] = b"format";
/// Present while a bulk load has tables that the marks do not cover.
pub(super) const META_MAKING: &[u8] = b"making";
pub(super) const META_APPLIED: &[u8] = b"applied";
pub(super) const META_NEXT_ID: &[u8] = b"next_id";
/// The reading of the clock at the newest version.
pub(super) const META_CLOCK: &[u8] = b"clock";
/// Prefix of the keys that list versions at which the clock read less than at the version before.
const META_STEP: &[u8] = b"step";
/// Key of the mark of a keyspace: version and number of its last batch. Keys of all maps begin with
/// a smaller id, and keys of *past* with the number of a map.
pub(super) const MARK: &[u8] = &[0xFF; 8];

/// A version, as the index records it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VersionInfo {
    /// Its number.
    pub version: Version,
    /// Commit time, to the microsecond; later than that of every earlier version.
    pub committed: Time,
    /// The reading of the clock at the commit, which may be before that of an earlier version.
    pub clock: Time,
    /// Number of entries that it changed.
    pub changes: u64,
}

pub(super) struct Disk {
    pub(super) db: Database,
    present: [Keyspace; 4],
    pub(super) past: Keyspace,
    /// Names of each node, present and past: see [`trail`](super::trail).
    pub(super) links: Keyspace,
    /// Versions that changed a file or a subtree.
    pub(super) trail: Keyspace,
    /// Locations of stored extents by hash: see [`stored`](super::stored).
    pub(super) stored: Keyspace,
    pub(super) versions: Keyspace,
    pub(super) meta: Keyspace,
    /// The last field, so that it is dropped after the store is closed.
    pub(super) clean: Clean,
}

impl Disk {
    pub(super) fn open(dir: &Path, pond: Uuid, limits: &Limits) -> Result<Disk, IndexError> {
        let start = Instant::now();
        let (db, clean) = loop {
            let clean = Clean::open(dir)?;
            // fjall panics on some damaged files.
            let opened = guarded(|| {
                Database::builder(dir)
                    .cache_size(limits.index_cache)
                    .max_cached_files(Some(limits.index_tables))
                    .max_journaling_size(256 << 20)
                    .worker_threads(WORKERS)
                    .manual_journal_persist(true)
                    .open()
            });
            let opened = opened.ok_or(IndexError::Damaged("its files cannot be decoded"))?;
            match opened {
                // The process that had the pond releases its lock a moment before the index.
                Err(fjall::Error::Locked) if start.elapsed() < CLOSING => {
                    std::thread::sleep(ROTATING);
                }
                opened => break (opened?, clean),
            }
        };
        let keyspace = |name: &str| {
            db.keyspace(name, || {
                KeyspaceCreateOptions::default()
                    .max_memtable_size(limits.index_memtable)
                    .manual_journal_persist(true)
            })
        };
        // fjall creates a keyspace whose files are lost as a new, empty one.
        let whole = KEYSPACES.iter().all(|name| db.keyspace_exists(name));
        let meta = keyspace("meta")?;
        match meta.get(META_POND)? {
            Some(_) if meta.get(META_MAKING)?.is_some() => {
                return Err(IndexError::Damaged("a bulk load was not finished"));
            }
            Some(_) if !whole => return Err(IndexError::Damaged("a keyspace is lost")),
            None if keyspace("nodes")?.first_key_value().is_some() => {
                return Err(IndexError::Damaged("the id of its pond is lost"));
            }
            _ => {}
        }
        let disk = Disk {
            clean,
            present: [
                keyspace("nodes")?,
                keyspace("names")?,
                keyspace("extents")?,
                keyspace("attrs")?,
            ],
            past: keyspace("past")?,
            links: keyspace("links")?,
            trail: keyspace("trail")?,
            stored: keyspace("stored")?,
            versions: keyspace("versions")?,
            meta,
            db,
        };
        match disk.meta.get(META_POND)? {
            None => {
                let mut batch = disk.db.batch();
                batch.insert(&disk.meta, META_POND, pond.as_bytes().as_slice());
                batch.insert(&disk.meta, META_FORMAT, FORMAT.to_le_bytes().as_slice());
                batch.commit()?;
            }
            Some(id) if *id != *pond.as_bytes() => return Err(IndexError::Foreign),
            Some(_) if disk.number(META_FORMAT)? != Some(FORMAT) => {
                return Err(IndexError::Foreign);
            }
            Some(_) => {}
        }
        let mark = disk.meta.get(MARK)?;
        for keyspace in disk.maps() {
            if keyspace.get(MARK)? != mark {
                return Err(IndexError::Damaged(
                    "its keyspaces are of different versions",
                ));
            }
        }
        Ok(disk)
    }

    pub(super) fn keyspace(&self, id: KeyspaceId) -> &Keyspace {
        let [nodes, names, extents, attrs] = &self.present;
        match id {
            KeyspaceId::Nodes => nodes,
            KeyspaceId::Names => names,
            KeyspaceId::Extents => extents,
            KeyspaceId::Attrs => attrs,
            KeyspaceId::Past => &self.past,
            KeyspaceId::Links => &self.links,
            KeyspaceId::Trail => &self.trail,
            KeyspaceId::Stored => &self.stored,
            KeyspaceId::Versions => &self.versions,
            KeyspaceId::Meta => &self.meta,
        }
    }

    /// Returns the keyspaces that carry a mark, except `meta`.
    pub(super) fn maps(&self) -> impl Iterator<Item = &Keyspace> {
        let derived = [&self.past, &self.links, &self.trail, &self.stored];
        self.present.iter().chain(derived)
    }

    /// Returns a snapshot of all keyspaces. An entry that a commit moves from *present* to *past*
    /// is seen exactly once, and each batch of a commit entirely or not at all.
    pub(super) fn snapshot(&self) -> Snapshot {
        self.db.snapshot()
    }

    fn number(&self, key: &[u8]) -> Result<Option<u64>, IndexError> {
        match self.meta.get(key)? {
            Some(bytes) => Ok(Some(u64_at_start(&bytes)?.0)),
            None => Ok(None),
        }
    }

    pub(super) fn applied(&self) -> Result<Option<Version>, IndexError> {
        Ok(self.number(META_APPLIED)?.map(Version))
    }

    /// Returns the least id that was never allocated, as far as committed versions tell.
    pub(super) fn next_id(&self) -> Result<u64, IndexError> {
        Ok(self.number(META_NEXT_ID)?.unwrap_or(2))
    }

    pub(super) fn present(&self, map: MapId) -> &Keyspace {
        self.keyspace(KeyspaceId::present(map))
    }

    /// Returns the entry of `key` at version `at`.
    pub(super) fn get<M: Map>(
        &self,
        at: Version,
        key: &M::Key,
    ) -> Result<Option<M::Value>, IndexError> {
        let mut bytes = Vec::with_capacity(64);
        M::encode_key(key, &mut bytes);
        reads::note();
        if let Some(entry) = self.present(M::ID).get(&bytes)? {
            let (begun, value) = u64_at_start(&entry)?;
            if begun <= at.0 {
                return Ok(Some(M::decode_value(value)?));
            }
        }
        if at == Version::NOW {
            return Ok(None);
        }
        let from = past_key(M::ID, &bytes, at.0.saturating_add(1));
        let to = past_key(M::ID, &bytes, u64::MAX);
        let Some(guard) = self.past.range(from..=to).next() else {
            return Ok(None);
        };
        let entry = guard.value()?;
        let (begun, value) = u64_at_start(&entry)?;
        match begun <= at.0 {
            true => Ok(Some(M::decode_value(value)?)),
            false => Ok(None),
        }
    }

    /// Visits the entries in `from..to` at version `at`, in order of their keys.
    pub(super) fn scan<M: Map>(
        &self,
        snapshot: &Snapshot,
        at: Version,
        from: &M::Key,
        to: &M::Key,
        visit: &mut dyn FnMut(M::Key, M::Value) -> ControlFlow<()>,
    ) -> Result<(), IndexError> {
        let (mut first, mut end) = (Vec::new(), Vec::new());
        M::encode_key(from, &mut first);
        M::encode_key(to, &mut end);
        self.scan_bytes::<M>(snapshot, at, (first, end), visit)
    }

    /// Visits all entries at version `at`, in order of their keys.
    pub(super) fn visit_all<M: Map>(
        &self,
        at: Version,
        visit: &mut dyn FnMut(M::Key, M::Value),
    ) -> Result<(), IndexError> {
        // All keys begin with an id below 2^64 - 1.
        let end = u64::MAX.to_be_bytes().to_vec();
        self.scan_bytes::<M>(
            &self.snapshot(),
            at,
            (Vec::new(), end),
            &mut |key, value| {
                visit(key, value);
                ControlFlow::Continue(())
            },
        )
    }

    /// Visits all entries, present and past.
    pub(super) fn visit_history<M: Map>(
        &self,
        visit: &mut dyn FnMut(M::Key, M::Value),
    ) -> Result<(), IndexError> {
        let snapshot = self.snapshot();
        for guard in snapshot.range(self.present(M::ID), ..MARK) {
            let (key, entry) = guard.into_inner()?;
            let (_, value) = u64_at_start(&entry)?;
            visit(M::decode_key(&key)?, M::decode_value(value)?);
        }
        let map = M::ID as u8;
        for guard in snapshot.range(&self.past, [map]..[map + 1]) {
            let (key, entry) = guard.into_inner()?;
            let (key, _) = split_past_key(&key)?;
            let (_, value) = u64_at_start(&entry)?;
            visit(M::decode_key(key)?, M::decode_value(value)?);
        }
        Ok(())
    }

    fn scan_bytes<M: Map>(
        &self,
        snapshot: &Snapshot,
        at: Version,
        (first, end): (Vec<u8>, Vec<u8>),
        visit: &mut dyn FnMut(M::Key, M::Value) -> ControlFlow<()>,
    ) -> Result<(), IndexError> {
        // Both iterators are lazy and go on together, so that a scan that stops early costs what
        // it passes.
        let past = (at != Version::NOW).then(|| {
            let range = past_prefix(M::ID, &first)..past_prefix(M::ID, &end);
            snapshot.range(&self.past, range)
        });
        let past = past.into_iter().flatten();
        let mut past = past.map(|guard| past_entry::<M>(guard, at)).peekable();
        for guard in snapshot.range(self.present(M::ID), first..end) {
            reads::note();
            let (key, entry) = guard.into_inner()?;
            let (begun, value) = u64_at_start(&entry)?;
            let key = M::decode_key(&key)?;
            let is_before = |past: &Result<PastEntry<M>, IndexError>| {
                past.as_ref().map_or(true, |past| past.key < key)
            };
            while let Some(before) = past.next_if(is_before) {
                let PastEntry { key, value } = before?;
                if let Some(value) = value
                    && visit(key, value).is_break()
                {
                    return Ok(());
                }
            }
            if begun <= at.0 && visit(key, M::decode_value(value)?).is_break() {
                return Ok(());
            }
        }
        for entry in past {
            let PastEntry { key, value } = entry?;
            if let Some(value) = value
                && visit(key, value).is_break()
            {
                break;
            }
        }
        Ok(())
    }

    /// Returns the last entry in `from..=to` at version `at` for whose key `skip` is false.
    pub(super) fn last<M: Map>(
        &self,
        snapshot: &Snapshot,
        at: Version,
        from: &M::Key,
        to: &M::Key,
        skip: &dyn Fn(&M::Key) -> bool,
    ) -> Result<Option<Entry<M>>, IndexError> {
        let (mut first, mut end) = (Vec::new(), Vec::new());
        M::encode_key(from, &mut first);
        M::encode_key(to, &mut end);
        let mut last = None;
        let range = first.clone()..=end.clone();
        for guard in snapshot.range(self.present(M::ID), range).rev() {
            reads::note();
            let (key, entry) = guard.into_inner()?;
            let (begun, value) = u64_at_start(&entry)?;
            let key = M::decode_key(&key)?;
            if begun <= at.0 && !skip(&key) {
                last = Some((key, M::decode_value(value)?));
                break;
            }
        }
        if at == Version::NOW {
            return Ok(last);
        }
        let range = past_prefix(M::ID, &first)..=past_key(M::ID, &end, u64::MAX);
        for guard in snapshot.range(&self.past, range).rev() {
            reads::note();
            let (key, entry) = guard.into_inner()?;
            let (key, ended) = split_past_key(&key)?;
            let key = M::decode_key(key)?;
            if last.as_ref().is_some_and(|(later, _)| *later > key) {
                break;
            }
            let (begun, value) = u64_at_start(&entry)?;
            if begun <= at.0 && at.0 < ended && !skip(&key) {
                return Ok(Some((key, M::decode_value(value)?)));
            }
        }
        Ok(last)
    }

    /// Removes changes that are equal to the committed entry. No committed entry has an id of
    /// `born` or above.
    pub(super) fn drop_unchanged(
        &self,
        changes: &mut Changes,
        born: u64,
    ) -> Result<(), IndexError> {
        fn one<M: Map>(disk: &Disk, changes: &mut Changes, born: u64) -> Result<(), IndexError> {
            let mut failed = None;
            M::of_mut(changes).retain(|key, value| {
                if M::owner(key) >= born {
                    return value.is_some();
                }
                match disk.get::<M>(Version::NOW, key) {
                    Ok(there) => there != *value,
                    Err(error) => {
                        failed.get_or_insert(error);
                        true
                    }
                }
            });
            failed.map_or(Ok(()), Err)
        }
        one::<Nodes>(self, changes, born)?;
        one::<Names>(self, changes, born)?;
        one::<Extents>(self, changes, born)?;
        one::<Attrs>(self, changes, born)
    }

    /// Writes a version's changes. Idempotent, so that a commit can be repeated after a crash.
    pub(super) fn commit(
        &self,
        info: &VersionInfo,
        changes: &Changes,
        next_id: u64,
    ) -> Result<(), IndexError> {
        let target = Batches::new(self, info.version);
        Parts::new(target, info.version, changes)?.write_all(info, next_id)?;
        // Versions lost in a crash are replayed from the oplog; regular syncs bound the replay.
        let mode = match info.version.0 % SYNC_EVERY {
            0 => PersistMode::SyncData,
            _ => PersistMode::Buffer,
        };
        Ok(self.db.persist(mode)?)
    }

    pub(super) fn versions(
        &self,
        from: Version,
        to: Version,
    ) -> Result<Vec<VersionInfo>, IndexError> {
        self.versions
            .range(from.0.to_be_bytes()..=to.0.to_be_bytes())
            .map(version_info)
            .collect()
    }

    /// Returns up to `limit` versions before `end`, newest first.
    pub(super) fn versions_before(
        &self,
        end: Version,
        limit: usize,
    ) -> Result<Vec<VersionInfo>, IndexError> {
        let versions = self.versions.range(..end.0.to_be_bytes()).rev();
        versions.take(limit).map(version_info).collect()
    }

    pub(super) fn nth_back(
        &self,
        version: Version,
        back: u64,
    ) -> Result<Option<VersionInfo>, IndexError> {
        let to = version.0.to_be_bytes();
        let Ok(back) = usize::try_from(back) else {
            return Ok(None);
        };
        let mut versions = self.versions.range(..=to).rev();
        versions.nth(back).map(version_info).transpose()
    }

    pub(super) fn latest(&self) -> Result<Option<VersionInfo>, IndexError> {
        self.versions.last_key_value().map(version_info).transpose()
    }

    /// Returns the versions after `after` at which the clock read less than at the version before,
    /// in order.
    pub(super) fn clock_steps(&self, after: Option<Version>) -> Result<Vec<Version>, IndexError> {
        let from = step_key(Version(after.map_or(0, |after| after.0.saturating_add(1))));
        let to = step_key(Version::NOW);
        let version = |guard: fjall::Guard| {
            let key = guard.key()?;
            let (_, number) = key.split_last_chunk().ok_or(CUT)?;
            Ok(Version(u64::from_be_bytes(*number)))
        };
        self.meta.range(from..=to).map(version).collect()
    }

    /// Returns the bytes that the store may take temporarily: its memtables as tables, and the
    /// largest keyspace once more while it is compacted.
    pub(super) fn working_space(&self) -> u64 {
        let keyspaces = self.maps().chain([&self.versions, &self.meta]);
        let largest = keyspaces.map(Keyspace::disk_space).max().unwrap_or(0);
        self.db.write_buffer_size() + largest
    }

    pub(super) fn close_in_order(&self) {
        self.clean.arm();
    }

    /// Writes fjall's memtables to tables, so that its journal is emptied on close and the next
    /// open does not replay it. No write may run meanwhile.
    pub(super) fn rotate(&self) -> Result<(), IndexError> {
        let keyspaces = || self.maps().chain([&self.versions, &self.meta]);
        for keyspace in keyspaces() {
            keyspace.rotate_memtable()?;
        }
        while keyspaces().any(|keyspace| keyspace.sealed_memtable_count() > 0) {
            // Fails once a worker thread has met an error: then the tables will never be written.
            self.db.persist(PersistMode::Buffer)?;
            std::thread::sleep(ROTATING);
        }
        self.clean.spent(true);
        Ok(())
    }
}

/// Returns the least id above all node and content ids in `changes`.
pub(super) fn next_id_after(changes: &Changes) -> u64 {
    let ids = changes.nodes.iter().flat_map(|(id, node)| {
        let content = node.as_ref().and_then(|node| node.content);
        [id.0, content.map_or(0, |content| content.0)]
    });
    let contents = changes.extents.keys().map(|(content, _)| content.0);
    ids.chain(contents).max().map_or(0, |id| id + 1)
}

/// An entry of *past*, as seen from a version.
struct PastEntry<M: Map> {
    key: M::Key,
    /// `None` if the entry did not hold at the version.
    value: Option<M::Value>,
}

fn past_entry<M: Map>(guard: fjall::Guard, at: Version) -> Result<PastEntry<M>, IndexError> {
    reads::note();
    let (key, entry) = guard.into_inner()?;
    let (key, ended) = split_past_key(&key)?;
    let (begun, value) = u64_at_start(&entry)?;
    let value = match begun <= at.0 && at.0 < ended {
        true => Some(M::decode_value(value)?),
        false => None,
    };
    let key = M::decode_key(key)?;
    Ok(PastEntry { key, value })
}

fn version_info(guard: fjall::Guard) -> Result<VersionInfo, IndexError> {
    reads::note();
    let (key, value) = guard.into_inner()?;
    let number: [u8; 8] = (*key).try_into().map_err(|_| CUT)?;
    let (micros, rest) = u64_at_start(&value)?;
    let (changes, rest) = u64_at_start(rest)?;
    let (clock, _) = u64_at_start(rest)?;
    Ok(VersionInfo {
        version: Version(u64::from_be_bytes(number)),
        committed: Time::from_micros(micros.cast_signed()),
        clock: Time::from_micros(clock.cast_signed()),
        changes,
    })
}

pub(super) fn step_key(version: Version) -> Vec<u8> {
    [META_STEP, &version.0.to_be_bytes()].concat()
}

pub(super) const CUT: Malformed = Malformed("it is cut short");

pub(super) fn u64_at_start(bytes: &[u8]) -> Result<(u64, &[u8]), Malformed> {
    let (number, rest) = bytes.split_first_chunk().ok_or(CUT)?;
    Ok((u64::from_le_bytes(*number), rest))
}

/// Returns a prefix that sorts before all past entries of `key` and after those of lesser keys.
pub(super) fn past_prefix(map: MapId, key: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(key.len() + 10);
    bytes.push(map as u8);
    bytes.extend_from_slice(key);
    bytes
}

pub(super) fn past_key(map: MapId, key: &[u8], ended: u64) -> Vec<u8> {
    let mut bytes = past_prefix(map, key);
    bytes.push(0);
    bytes.extend_from_slice(&ended.to_be_bytes());
    bytes
}

/// Splits the key of a past entry into the map's key and the version that ended it.
pub(super) fn split_past_key(bytes: &[u8]) -> Result<(&[u8], u64), Malformed> {
    let (rest, ended) = bytes.split_last_chunk().ok_or(CUT)?;
    let key = rest.get(1..rest.len().saturating_sub(1)).ok_or(CUT)?;
    Ok((key, u64::from_be_bytes(*ended)))
}
