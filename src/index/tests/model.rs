//! The model test on the index: memtables, journal, segments, commits, crashes and replays.

use crate::index::{ImmutableMemtable, Index, VersionInfo};
use crate::tinyfs::model_tests::{Crash, Harness, Outcome, Step, config, run, steps};
use crate::tinyfs::{
    Changes, ContentId, Entries, Extent, Extents, SegmentId, Stored, Time, Version,
};
use bytes::Bytes;
use proptest::prelude::*;
use std::path::PathBuf;
use tempfile::TempDir;
use uuid::Uuid;

/// Least length in bytes of content that is spilled to the segment.
const INLINE: usize = 8;
const POND: Uuid = Uuid::from_u128(7);

/// A commit, as the oplog would hold it.
struct Logged {
    info: VersionInfo,
    generation: u64,
    changes: Changes,
}

/// The index with the surroundings of a pond: a segment and a log, which survive every crash.
struct Pond {
    dir: TempDir,
    /// Number of rebuilds of the index.
    made: u32,
    index: Option<Index>,
    segment: Vec<u8>,
    log: Vec<Logged>,
    sealed: Option<u64>,
}

impl Pond {
    fn new() -> Pond {
        let mut pond = Pond {
            dir: scratch(),
            made: 0,
            index: None,
            segment: Vec::new(),
            log: Vec::new(),
            sealed: None,
        };
        pond.open();
        pond
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join(self.made.to_string())
    }

    fn index(&self) -> &Index {
        self.index.as_ref().unwrap()
    }

    /// Opens the index as a pond does: applies the commits that it lacks, then recovers the
    /// journal.
    fn open(&mut self) {
        self.index = None;
        self.sealed = None;
        let index = super::open_at(&self.path(), &self.dir.path().join("journal"), POND);
        let applied = index.applied().unwrap();
        let mut catching = index.catch_up();
        for logged in &self.log {
            if applied.is_none_or(|applied| logged.info.version > applied) {
                catching.take(&logged.info, &logged.changes).unwrap();
            }
        }
        catching.finish().unwrap();
        let committed = self.log.last().map_or(0, |logged| logged.generation);
        assert_eq!(index.recover(committed).unwrap(), None);
        let versions = index.versions(Version(0), Version::NOW).unwrap();
        let logged: Vec<VersionInfo> = self.log.iter().map(|logged| logged.info).collect();
        assert_eq!(versions, logged);
        assert_eq!(index.latest().unwrap(), logged.last().copied());
        self.index = Some(index);
    }

    /// Spills the content of immutable memtables to the segment.
    fn settle(&mut self) {
        for frozen in self.index().unsettled() {
            let extents = self.stored(&frozen);
            self.index().settle(frozen, extents);
        }
        assert!(self.index().unsettled().is_empty());
    }

    fn stored(&mut self, frozen: &ImmutableMemtable) -> Entries<Extents> {
        let mut extents = frozen.changes.extents.clone();
        for extent in extents.values_mut().flatten() {
            if let Extent::Inline(bytes) = extent
                && bytes.len() >= INLINE
            {
                let len = bytes.len() as u32;
                let offset = self.segment.len() as u64;
                self.segment.extend_from_slice(bytes);
                *extent = Extent::Stored(Stored {
                    len,
                    skip: 0,
                    segment: SegmentId(1),
                    offset,
                    stored_len: len,
                    packed_len: len,
                    hash: [0; 32],
                });
            }
        }
        extents
    }

    fn flush(&mut self) {
        self.index().freeze();
        self.settle();
        self.index().journal(Version(0)).unwrap();
    }

    fn seal(&mut self) -> u64 {
        let generation = self.index().seal();
        self.settle();
        self.index().journal(Version(0)).unwrap();
        generation
    }

    fn commit(&mut self, crash: Crash) -> Outcome {
        let generation = match self.sealed.take() {
            Some(generation) => generation,
            None => self.seal(),
        };
        if crash == Crash::BeforeLog {
            self.open();
            return Outcome::Reopened(None);
        }
        let changes = self.index().sealed(generation).unwrap();
        if changes.is_empty() {
            self.index().committed(generation);
            return Outcome::Committed(None);
        }
        // Version numbers have gaps, since merges of the oplog take some.
        let number = self
            .log
            .last()
            .map_or(1, |logged| logged.info.version.0 + 2);
        let version = Version(number);
        let info = VersionInfo {
            version,
            committed: Time::from_micros(number as i64),
            clock: Time::from_micros(number as i64),
            changes: changes.len() as u64,
        };
        let logged = Logged {
            info,
            generation,
            changes,
        };
        self.log.push(logged);
        if crash == Crash::AfterLog {
            self.open();
            return Outcome::Reopened(Some(version));
        }
        let changes = &self.log.last().unwrap().changes;
        self.index().commit(&info, changes).unwrap();
        if crash == Crash::AfterIndex {
            self.open();
            return Outcome::Reopened(Some(version));
        }
        self.index().committed(generation);
        Outcome::Committed(Some(version))
    }
}

/// In memory where possible: the sequences sync often, and no power cut is simulated.
fn scratch() -> TempDir {
    TempDir::new_in("/dev/shm")
        .or_else(|_| TempDir::new())
        .unwrap()
}

impl Harness for Pond {
    type S = Index;

    fn store(&self) -> &Index {
        self.index()
    }

    fn new_id(&mut self) -> u64 {
        self.index().new_id()
    }

    fn apply(&mut self, changes: Changes) {
        self.index().apply(changes, None);
    }

    fn place(&self, content: ContentId, offset: u64, data: &[u8], size: u64) -> bool {
        self.index().patch(content, offset, data, size)
    }

    fn bytes(&self, extent: &Extent) -> Bytes {
        match extent {
            Extent::Inline(bytes) => bytes.clone(),
            Extent::Stored(s) => {
                let begin = s.offset as usize + s.skip as usize;
                Bytes::copy_from_slice(&self.segment[begin..begin + s.len as usize])
            }
        }
    }

    fn step(&mut self, step: &Step) -> Outcome {
        match step {
            Step::Op(..) => Outcome::Same,
            Step::Freeze => {
                self.index().freeze();
                Outcome::Same
            }
            Step::Flush => {
                self.flush();
                Outcome::Durable
            }
            Step::Seal if self.sealed.is_some() => Outcome::Same,
            Step::Seal => {
                self.sealed = Some(self.seal());
                Outcome::Sealed
            }
            Step::Commit(crash) => self.commit(*crash),
            Step::Reopen => {
                self.open();
                Outcome::Reopened(None)
            }
            Step::Rebuild => {
                self.made += 1;
                self.open();
                Outcome::Reopened(None)
            }
        }
    }
}

proptest! {
    #![proptest_config(config(2_000))]

    #[test]
    fn index_matches_the_reference_model(steps in steps()) {
        run(Pond::new(), &steps);
    }
}
