//! Tests of the oplog as a whole, on a real disk or with a store that fails on demand.

mod checkpoints;
mod columns;
mod commits;
mod fault;
mod fuzz;
mod housekeeping;
mod merge;
mod records;
mod tails;

use super::{Commit, Opened, Oplog, OplogError};
use crate::disk::{Disk, LocalDisk};
use crate::tinyfs::{
    AttrName, Attrs, Changes, ContentId, Dentry, Extent, Extents, Kind, Map, Name, Names, Node,
    NodeId, Nodes, SegmentId, Stored, Time, Version,
};
use bytes::Bytes;
use std::path::Path;
use std::sync::Arc;
use uuid::Uuid;

pub(super) const POND: Uuid = Uuid::from_u128(0x0192_aaaa_bbbb_7ccc_8ddd_eeee_ffff_0001);

/// Returns the commit time of version `n` in these tests.
pub(super) fn time(n: u64) -> Time {
    Time::from_micros(1_700_000_000_000_000 + n as i64 * 1_000_001)
}

pub(super) fn node(kind: Kind, n: u64) -> Node {
    Node {
        kind,
        mode: 0o644,
        uid: 1000,
        gid: 1000,
        nlink: 1,
        size: n,
        allocated: n / 2,
        atime: Time {
            sec: -1,
            nsec: 999_999_999,
        },
        mtime: time(n),
        ctime: time(n),
        btime: time(n),
        rdev: 0,
        content: (kind == Kind::File).then_some(ContentId(n + 1)),
        target: Box::default(),
        parent: (kind == Kind::Directory).then_some(NodeId::ROOT),
    }
}

pub(super) fn birth() -> Changes {
    let mut changes = Changes::default();
    changes.set::<Nodes>(NodeId::ROOT, Some(node(Kind::Directory, 0)));
    changes
}

/// Returns ten records of all four kinds, different for each `n`.
pub(super) fn changes(n: u64) -> Changes {
    let mut changes = Changes::default();
    let id = n * 10 + 2;
    let name = |s: String| Name::new(s.as_bytes()).unwrap();
    for i in 0..3 {
        let child = NodeId(id + i);
        changes.set::<Nodes>(child, Some(node(Kind::File, id + i)));
        let dentry = Dentry {
            child,
            kind: Kind::File,
        };
        changes.set::<Names>((NodeId::ROOT, name(format!("file-{n}-{i}"))), Some(dentry));
    }
    changes.set::<Nodes>(NodeId(id - 1), None);
    let stored = Stored {
        len: 10,
        skip: 1,
        segment: SegmentId(n),
        offset: n << 33,
        stored_len: 12,
        packed_len: 12,
        hash: [n as u8; 32],
    };
    changes.set::<Extents>((ContentId(id), 0), Some(Extent::Stored(stored)));
    let inline = Extent::Inline(Bytes::from(format!("content {n}")));
    changes.set::<Extents>((ContentId(id + 1), 7), Some(inline));
    changes.set::<Attrs>(
        (NodeId(id), AttrName::new(b"user.n").unwrap()),
        Some(Bytes::from(vec![n as u8; 3])),
    );
    assert_eq!(changes.len(), 10);
    changes
}

/// Returns the content of a set of changes in a form that can be compared.
pub(super) fn dump(changes: &Changes) -> Vec<String> {
    fn one<M: Map>(changes: &Changes, out: &mut Vec<String>) {
        out.extend(M::of(changes).iter().map(|e| format!("{:?} {e:?}", M::ID)));
    }
    let mut out = Vec::new();
    one::<Nodes>(changes, &mut out);
    one::<Names>(changes, &mut out);
    one::<Extents>(changes, &mut out);
    one::<Attrs>(changes, &mut out);
    out
}

pub(super) fn disk() -> Arc<dyn Disk> {
    Arc::new(LocalDisk)
}

pub(super) fn make(dir: &Path) {
    Oplog::create(&disk(), dir, POND, time(0), &birth()).unwrap();
}

pub(super) fn open(dir: &Path) -> Opened {
    Oplog::open(&disk(), dir, POND, Version(0)).unwrap()
}

/// Commits `changes(n)` as generation `n` for each `n` in `range`.
pub(super) fn extend(oplog: &mut Oplog, range: std::ops::RangeInclusive<u64>) {
    for n in range {
        let commit = oplog.commit(n, time(n), &changes(n)).unwrap();
        assert_eq!(
            commit,
            Commit {
                version: Version(n),
                stamp: time(n).into()
            }
        );
    }
}

pub(super) fn replayed(
    oplog: &Oplog,
    after: Option<u64>,
) -> Result<Vec<(Commit, Changes)>, OplogError> {
    let mut found = Vec::new();
    oplog.replay(after.map(Version), &mut |commit, changes| {
        found.push((commit, changes));
        Ok::<(), OplogError>(())
    })?;
    Ok(found)
}

/// Asserts that the table holds `birth()` and `changes(n)` for each version up to `latest`, in
/// order.
pub(super) fn holds(oplog: &Oplog, latest: u64) {
    assert_eq!(oplog.latest(), Version(latest));
    let found = replayed(oplog, None).unwrap();
    assert_eq!(found.len() as u64, latest + 1);
    for (n, (commit, found)) in (0..).zip(&found) {
        assert_eq!(
            *commit,
            Commit {
                version: Version(n),
                stamp: time(n).into()
            }
        );
        let expected = if n == 0 { birth() } else { changes(n) };
        assert_eq!(dump(found), dump(&expected));
    }
}

pub(super) fn commit_file(dir: &Path, version: u64) -> std::path::PathBuf {
    dir.join(format!("_delta_log/{version:020}.json"))
}

/// Returns the data files, oldest first.
pub(super) fn data_files(dir: &Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for part in std::fs::read_dir(dir).unwrap().map(|e| e.unwrap()) {
        if part.file_name().to_string_lossy().starts_with("node_part=") {
            found.extend(
                std::fs::read_dir(part.path())
                    .unwrap()
                    .map(|e| e.unwrap().path()),
            );
        }
    }
    // Names begin with a UUIDv7, which sorts by time.
    found.sort_by(|a, b| a.file_name().cmp(&b.file_name()));
    found
}
