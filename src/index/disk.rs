//! Committed entries on disk.
//!
//! For each map a keyspace *present*: key → begun (u64, little-endian) and the value. One keyspace
//! *past* for all maps: map, key, a zero byte, ended (u64, big-endian) → begun and the value, of an
//! entry that stood from version `begun` until `ended` replaced or removed it. So at version V an
//! entry is the present one if it had begun by then, else the past one with the least `ended` above V,
//! if that had begun. Names and attribute names hold no zero byte, so that past keys sort by key.
//!
//! Every batch of a commit also notes in each keyspace how far it is. The store writes its keyspaces to
//! tables one by one, and cuts its journal off silently at what it cannot decode: a keyspace may come
//! back without what others still have. Then the notes differ, and the index is made anew.

use super::IndexError;
use super::clean::Clean;
use super::parts::Parts;
use super::target::{Batches, ROOMS, Room};
use crate::observe::guarded;
use crate::tinyfs::{
    Attrs, Changes, Entry, Extents, Malformed, Map, MapId, Names, Nodes, Time, Version,
};
use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode, Readable, Snapshot};
use std::ops::ControlFlow;
use std::path::Path;
use std::time::{Duration, Instant};
use uuid::Uuid;

/// The format of the index; another one is deleted and rebuilt, never converted.
const FORMAT: u64 = 4;
/// Versions between two syncs of the store's own journal.
const SYNC_EVERY: u64 = 32;
/// Bytes of tables that are kept in memory.
const CACHE: u64 = 24 << 20;
/// Tables that are kept open.
const OPEN_TABLES: usize = 32;
/// Bytes of one keyspace in memory; there are ten, and a board with 2 GB has other work too.
const MEMTABLE: u64 = 4 << 20;
/// Threads that write and compact tables. Of two or more (fjall 3.1) the first would keep a processor busy with
/// handing on what there is to compact for as long as another compacts.
const WORKERS: usize = 1;
/// How long the process that had the pond before may take to close the index.
const CLOSING: Duration = Duration::from_secs(30);
/// How long to wait between looks at tables that are being written.
const ROTATING: Duration = Duration::from_millis(2);

/// The names of the rooms.
const KEYSPACES: [&str; ROOMS] = [
    "nodes", "names", "extents", "attrs", "past", "links", "trail", "stored", "versions", "meta",
];
const META_POND: &[u8] = b"pond";
const META_FORMAT: &[u8] = b"format";
/// Stands while tables have what the index does not know of.
pub(super) const META_MAKING: &[u8] = b"making";
pub(super) const META_APPLIED: &[u8] = b"applied";
pub(super) const META_NEXT_ID: &[u8] = b"next_id";
/// How far a keyspace is, as version and batch. Keys of all maps begin with an id below this, and keys of
/// the past with the number of a map.
pub(super) const MARK: &[u8] = &[0xFF; 8];

/// One version, as the index notes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VersionInfo {
    /// Its number.
    pub version: Version,
    /// When it was committed; to the microsecond, and never before an earlier version.
    pub committed: Time,
    /// How many entries it changed.
    pub changes: u64,
}

pub(super) struct Disk {
    pub(super) db: Database,
    present: [Keyspace; 4],
    pub(super) past: Keyspace,
    /// Who has which names, and had: see [`trail`](super::trail).
    pub(super) links: Keyspace,
    /// When what changed.
    pub(super) trail: Keyspace,
    /// Where what is stored stands, by its hash: see [`stored`](super::stored).
    pub(super) stored: Keyspace,
    pub(super) versions: Keyspace,
    pub(super) meta: Keyspace,
    /// The last field: it is dropped when the store is closed.
    pub(super) clean: Clean,
}

impl Disk {
    pub(super) fn open(dir: &Path, pond: Uuid) -> Result<Disk, IndexError> {
        let start = Instant::now();
        let (db, clean) = loop {
            let clean = Clean::open(dir)?;
            // Damaged files make it panic here and there.
            let opened = guarded(|| {
                Database::builder(dir)
                    .cache_size(CACHE)
                    .max_cached_files(Some(OPEN_TABLES))
                    .max_journaling_size(256 << 20)
                    .worker_threads(WORKERS)
                    .manual_journal_persist(true)
                    .open()
            });
            let opened = opened.ok_or(IndexError::Damaged("its files make no sense"))?;
            match opened {
                // Whoever had the pond has let it go, and the index a moment later.
                Err(fjall::Error::Locked) if start.elapsed() < CLOSING => {
                    std::thread::sleep(ROTATING);
                }
                opened => break (opened?, clean),
            }
        };
        let keyspace = |name: &str| {
            db.keyspace(name, || {
                KeyspaceCreateOptions::default()
                    .max_memtable_size(MEMTABLE)
                    .manual_journal_persist(true)
            })
        };
        // A part whose files are lost is a new and empty one to the store.
        let whole = KEYSPACES.iter().all(|name| db.keyspace_exists(name));
        let meta = keyspace("meta")?;
        match meta.get(META_POND)? {
            Some(_) if meta.get(META_MAKING)?.is_some() => {
                return Err(IndexError::Damaged("it was not finished"));
            }
            Some(_) if !whole => return Err(IndexError::Damaged("a part of it is lost")),
            None if keyspace("nodes")?.first_key_value().is_some() => {
                return Err(IndexError::Damaged("what tells whose it is is lost"));
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
                return Err(IndexError::Damaged("its parts are of different versions"));
            }
        }
        Ok(disk)
    }

    pub(super) fn room(&self, room: Room) -> &Keyspace {
        let [nodes, names, extents, attrs] = &self.present;
        match room {
            Room::Nodes => nodes,
            Room::Names => names,
            Room::Extents => extents,
            Room::Attrs => attrs,
            Room::Past => &self.past,
            Room::Links => &self.links,
            Room::Trail => &self.trail,
            Room::Stored => &self.stored,
            Room::Versions => &self.versions,
            Room::Meta => &self.meta,
        }
    }

    /// The keyspaces that every batch of a commit notes itself in, but for `meta`.
    pub(super) fn maps(&self) -> impl Iterator<Item = &Keyspace> {
        let derived = [&self.past, &self.links, &self.trail, &self.stored];
        self.present.iter().chain(derived)
    }

    /// All keyspaces as they are at one moment: an entry on its way from *present* to *past* is seen
    /// once, and what a commit wrote is seen whole or not at all by who still sees the open version.
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

    /// The least id that was never given out, as far as the disk knows.
    pub(super) fn next_id(&self) -> Result<u64, IndexError> {
        Ok(self.number(META_NEXT_ID)?.unwrap_or(2))
    }

    pub(super) fn present(&self, map: MapId) -> &Keyspace {
        self.room(Room::present(map))
    }

    /// The entry of `key` at version `at`.
    pub(super) fn get<M: Map>(
        &self,
        at: Version,
        key: &M::Key,
    ) -> Result<Option<M::Value>, IndexError> {
        let mut bytes = Vec::with_capacity(64);
        M::encode_key(key, &mut bytes);
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

    /// Visits the entries in `from..to` at version `at`, in order.
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

    /// Visits all entries at version `at`.
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

    /// Visits all entries that stand, and all that stood before.
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
        let mut past = match at {
            Version::NOW => Vec::new(),
            _ => self.past_entries::<M>(snapshot, at, &first, &end)?,
        }
        .into_iter()
        .peekable();
        for guard in snapshot.range(self.present(M::ID), first..end) {
            let (key, entry) = guard.into_inner()?;
            let (begun, value) = u64_at_start(&entry)?;
            if begun > at.0 {
                continue;
            }
            let key = M::decode_key(&key)?;
            while let Some((key, value)) = past.next_if(|(earlier, _)| *earlier < key) {
                if visit(key, value).is_break() {
                    return Ok(());
                }
            }
            if visit(key, M::decode_value(value)?).is_break() {
                return Ok(());
            }
        }
        for (key, value) in past {
            if visit(key, value).is_break() {
                break;
            }
        }
        Ok(())
    }

    /// The entries in `from..to` that stood at version `at` and do not stand any more.
    fn past_entries<M: Map>(
        &self,
        snapshot: &Snapshot,
        at: Version,
        from: &[u8],
        to: &[u8],
    ) -> Result<Vec<Entry<M>>, IndexError> {
        let mut found = Vec::new();
        let range = past_prefix(M::ID, from)..past_prefix(M::ID, to);
        for guard in snapshot.range(&self.past, range) {
            let (key, entry) = guard.into_inner()?;
            let (key, ended) = split_past_key(&key)?;
            let (begun, value) = u64_at_start(&entry)?;
            if begun <= at.0 && at.0 < ended {
                found.push((M::decode_key(key)?, M::decode_value(value)?));
            }
        }
        Ok(found)
    }

    /// The last entry in `from..=to` at version `at`, of those that `skip` does not pass over.
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

    /// Removes from `changes` what is already so. Nothing with an id from `born` on is on disk.
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

    /// Writes a version's changes. May be repeated after a crash: what is there is left alone.
    pub(super) fn commit(
        &self,
        info: &VersionInfo,
        changes: &Changes,
        next_id: u64,
    ) -> Result<(), IndexError> {
        let target = Batches::new(self, info.version);
        Parts::new(target, info.version, changes)?.write_all(info, next_id)?;
        // What a crash takes is replayed from the oplog, and should not be much.
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

    pub(super) fn close_in_order(&self) {
        self.clean.arm();
    }

    /// Writes memory to tables, so that the journal is cut when the store is closed, and the next open need not read
    /// it. Nobody may write meanwhile.
    pub(super) fn rotate(&self) -> Result<(), IndexError> {
        let keyspaces = || self.maps().chain([&self.versions, &self.meta]);
        for keyspace in keyspaces() {
            keyspace.rotate_memtable()?;
        }
        while keyspaces().any(|keyspace| keyspace.sealed_memtable_count() > 0) {
            // Fails once the threads that write tables met an error; they will never write them.
            self.db.persist(PersistMode::Buffer)?;
            std::thread::sleep(ROTATING);
        }
        self.clean.spent(true);
        Ok(())
    }
}

/// The least id above all that `changes` give to nodes and contents.
pub(super) fn next_id_after(changes: &Changes) -> u64 {
    let ids = changes.nodes.iter().flat_map(|(id, node)| {
        let content = node.as_ref().and_then(|node| node.content);
        [id.0, content.map_or(0, |content| content.0)]
    });
    let contents = changes.extents.keys().map(|(content, _)| content.0);
    ids.chain(contents).max().map_or(0, |id| id + 1)
}

fn version_info(guard: fjall::Guard) -> Result<VersionInfo, IndexError> {
    let (key, value) = guard.into_inner()?;
    let number: [u8; 8] = (*key).try_into().map_err(|_| CUT)?;
    let (micros, rest) = u64_at_start(&value)?;
    let (changes, _) = u64_at_start(rest)?;
    Ok(VersionInfo {
        version: Version(u64::from_be_bytes(number)),
        committed: Time::from_micros(micros.cast_signed()),
        changes,
    })
}

pub(super) const CUT: Malformed = Malformed("it is cut short");

pub(super) fn u64_at_start(bytes: &[u8]) -> Result<(u64, &[u8]), Malformed> {
    let (number, rest) = bytes.split_first_chunk().ok_or(CUT)?;
    Ok((u64::from_le_bytes(*number), rest))
}

/// Sorts before every past entry of `key` and after those of every lesser key.
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

/// The key and the ending version of a past entry.
pub(super) fn split_past_key(bytes: &[u8]) -> Result<(&[u8], u64), Malformed> {
    let (rest, ended) = bytes.split_last_chunk().ok_or(CUT)?;
    let key = rest.get(1..rest.len().saturating_sub(1)).ok_or(CUT)?;
    Ok((key, u64::from_be_bytes(*ended)))
}
