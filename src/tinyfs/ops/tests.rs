//! Tests of single cases. The model test covers the rest.

use super::*;
use crate::tinyfs::{
    Changes, ContentId, Dentry, Entry, Errno, Extent, Extents, FsResult, Kind, Map, MemoryStore,
    Name, Names, NodeId, Page, Version,
};
use bytes::Bytes;
use std::cell::Cell;
use std::ops::ControlFlow;

const CALLER: Caller = Caller {
    uid: 1,
    gid: 2,
    member: true,
    now: Time { sec: 5, nsec: 0 },
};

fn name(text: &str) -> Name {
    Name::new(text.as_bytes()).unwrap()
}

#[test]
fn rename_into_a_cycle_of_directories_fails_with_eloop() {
    let mut store = store();
    let (a, b, d) = (NodeId(50), NodeId(51), NodeId(3));
    let dir = store.get::<Nodes>(Version::NOW, &d).unwrap().unwrap();
    let mut changes = Changes::default();
    for (id, parent) in [(a, b), (b, a)] {
        let parent = Some(parent);
        changes.set::<Nodes>(
            id,
            Some(Node {
                parent,
                ..dir.clone()
            }),
        );
    }
    store.apply(changes);
    let mut tx = Tx::new(&store);
    let (from, to) = ((NodeId::ROOT, &name("d")), (a, &name("x")));
    let refused = rename(&mut tx, &CALLER, from, to, RenameMode::Replace, None);
    assert_eq!(refused.unwrap_err().errno(), Errno::ELOOP);
}

#[test]
fn lookup_of_a_dangling_or_mistyped_name_fails_with_eio() {
    let mut store = store();
    let mut changes = Changes::default();
    for (text, child) in [("missing", 99), ("other", 3)] {
        let dentry = Dentry {
            child: NodeId(child),
            kind: Kind::File,
        };
        changes.set::<Names>((NodeId::ROOT, name(text)), Some(dentry));
    }
    store.apply(changes);
    for text in ["missing", "other"] {
        let refused = lookup(&store, Version::NOW, NodeId::ROOT, &name(text));
        assert_eq!(refused.unwrap_err().errno(), Errno::EIO, "{text}");
    }
    assert!(matches!(
        lookup(&store, Version::NOW, NodeId::ROOT, &name("none")),
        Ok(None)
    ));
}

#[test]
fn allocated_bytes_stay_between_zero_and_the_size() {
    let mut store = store();
    let f = NodeId(2);
    let fresh = || ContentId(60);
    let mut tx = Tx::new(&store);
    write(&mut tx, &CALLER, f, fresh, 0, &[1; 100], |_, _| false).unwrap();
    store.apply(tx.finish());
    for allocated in [0, u64::MAX >> 1] {
        let node = store.get::<Nodes>(Version::NOW, &f).unwrap().unwrap();
        let mut changes = Changes::default();
        changes.set::<Nodes>(f, Some(Node { allocated, ..node }));
        store.apply(changes);
        let mut tx = Tx::new(&store);
        write(&mut tx, &CALLER, f, fresh, 10, &[2; 10], |_, _| false).unwrap();
        zero(&mut tx, &CALLER, f, 20..90, 0).unwrap();
        let node = truncate(&mut tx, &CALLER, f, 50).unwrap();
        assert!(
            node.allocated <= node.size,
            "{allocated}: {}",
            node.allocated
        );
    }
}

/// Returns a store whose root has one node of each kind under `f`, `d` and `l`, with ids 2, 3 and
/// 4.
fn store() -> MemoryStore {
    let mut store = MemoryStore::default();
    let t = Time::default();
    let root = Node {
        kind: Kind::Directory,
        mode: 0o2775,
        uid: 0,
        gid: 77,
        nlink: 2,
        size: 0,
        allocated: 0,
        atime: t,
        mtime: t,
        ctime: t,
        btime: t,
        rdev: 0,
        content: None,
        target: [].into(),
        parent: Some(NodeId::ROOT),
    };
    let mut changes = Changes::default();
    changes.set::<Nodes>(NodeId::ROOT, Some(root));
    store.apply(changes);
    let mut tx = Tx::new(&store);
    let kinds = [
        ("f", Kind::File),
        ("d", Kind::Directory),
        ("l", Kind::Symlink),
    ];
    for (i, (text, kind)) in kinds.into_iter().enumerate() {
        let new = NewNode {
            kind,
            mode: 0o640,
            rdev: 9,
            target: b"t",
        };
        create(
            &mut tx,
            &CALLER,
            NodeId::ROOT,
            &name(text),
            NodeId(i as u64 + 2),
            &new,
        )
        .unwrap();
    }
    let changes = tx.finish();
    store.apply(changes);
    store
}

#[test]
fn new_nodes_have_only_the_attributes_of_their_kind() {
    let store = store();
    let seen = |id| {
        let node = node(&store, Version::NOW, NodeId(id)).unwrap();
        (node.mode, node.gid, node.size, node.rdev, node.target.len())
    };
    assert_eq!(seen(2), (0o640, 77, 0, 0, 0));
    assert_eq!(seen(3), (0o2640, 77, 0, 0, 0));
    assert_eq!(seen(4), (0o777, 77, 1, 0, 1));
    let set = SetAttr {
        mode: Some(0o600),
        ..SetAttr::default()
    };
    let refused = setattr(&mut Tx::new(&store), &CALLER, NodeId(4), &set);
    assert_eq!(refused.unwrap_err().errno(), Errno::EOPNOTSUPP);
}

#[test]
fn empty_write_beyond_the_end_changes_nothing() {
    let store = store();
    let mut tx = Tx::new(&store);
    let fresh = || ContentId(9);
    let node = write(&mut tx, &CALLER, NodeId(2), fresh, 1_000, b"", |_, _| false).unwrap();
    assert_eq!((node.size, node.content), (0, None));
    assert!(tx.finish().is_empty());
}

#[test]
fn operations_in_one_tx_see_the_earlier_ones() {
    let store = store();
    let mut tx = Tx::new(&store);
    let (f, fresh) = (NodeId(2), || ContentId(9));
    write(&mut tx, &CALLER, f, fresh, 0, b"0123456789", |_, _| false).unwrap();
    write(&mut tx, &CALLER, f, fresh, 3, b"xy", |_, _| false).unwrap();
    truncate(&mut tx, &CALLER, f, 7).unwrap();
    let extents = extents_in(&tx, Version::NOW, ContentId(9), 0..100).unwrap();
    let spans: Vec<(u64, u64)> = extents.iter().map(|(at, e)| (*at, e.len())).collect();
    assert_eq!(spans, [(0, 3), (3, 2), (5, 2)]);
    // This operation removed the last extent, but not the one before it.
    truncate(&mut tx, &CALLER, f, 4).unwrap();
    let node = tx.get::<Nodes>(&f).unwrap().unwrap();
    assert_eq!(seek(&tx, Version::NOW, &node, 0, Seek::Hole).unwrap(), 4);
    copy_range(&mut tx, &CALLER, (f, 0), (f, 10), fresh, 4).unwrap();
    let extents = extents_in(&tx, Version::NOW, ContentId(9), 12..100).unwrap();
    assert_eq!(
        extents
            .iter()
            .map(|(at, e)| (*at, e.len()))
            .collect::<Vec<_>>(),
        [(10, 3), (13, 1)]
    );
}

#[test]
fn exchange_swaps_a_file_and_a_directory() {
    let store = store();
    let mut tx = Tx::new(&store);
    let new = NewNode {
        kind: Kind::File,
        mode: 0o600,
        rdev: 0,
        target: b"",
    };
    create(&mut tx, &CALLER, NodeId(3), &name("in"), NodeId(9), &new).unwrap();
    let (inside, root) = ((NodeId(3), &name("in")), NodeId::ROOT);
    let own = rename(
        &mut tx,
        &CALLER,
        inside,
        (root, &name("d")),
        RenameMode::Exchange,
        None,
    );
    assert_eq!(own.unwrap_err().errno(), Errno::EINVAL);
    let files = (root, &name("f"));
    rename(
        &mut tx,
        &CALLER,
        (root, &name("d")),
        files,
        RenameMode::Exchange,
        None,
    )
    .unwrap();
    let kind = |text| tx.get::<Names>(&(root, name(text))).unwrap().unwrap().kind;
    assert_eq!((kind("d"), kind("f")), (Kind::File, Kind::Directory));
    assert_eq!(tx.get::<Nodes>(&root).unwrap().unwrap().nlink, 3);
}

/// A store that records how many entries one read returned at most.
struct Counting {
    store: MemoryStore,
    most: Cell<usize>,
}

impl Store for Counting {
    fn get<M: Map>(&self, at: Version, key: &M::Key) -> FsResult<Option<M::Value>> {
        self.store.get::<M>(at, key)
    }

    fn scan<M: Map>(
        &self,
        at: Version,
        from: &M::Key,
        to: &M::Key,
        visit: &mut dyn FnMut(M::Key, M::Value) -> ControlFlow<()>,
    ) -> FsResult<()> {
        let mut visited = 0;
        self.store.scan::<M>(at, from, to, &mut |key, value| {
            visited += 1;
            self.most.set(self.most.get().max(visited));
            visit(key, value)
        })
    }

    fn last<M: Map>(&self, at: Version, from: &M::Key, to: &M::Key) -> FsResult<Option<Entry<M>>> {
        self.store.last::<M>(at, from, to)
    }

    fn page<M: Map>(
        &self,
        at: Version,
        from: &M::Key,
        to: &M::Key,
        limit: usize,
    ) -> FsResult<Page<M>> {
        let page = self.store.page::<M>(at, from, to, limit)?;
        self.most.set(self.most.get().max(page.entries.len()));
        Ok(page)
    }
}

#[test]
fn truncation_and_punching_read_extents_in_bounded_batches() {
    const EXTENTS: u64 = 10_000;
    let mut changes = Changes::default();
    for n in 0..EXTENTS {
        let extent = Extent::Inline(Bytes::from_static(b"0123456789"));
        changes.set::<Extents>((ContentId(9), n * 16), Some(extent));
    }
    let mut store = store();
    let file = store.get::<Nodes>(Version::NOW, &NodeId(2)).unwrap();
    let file = file.map(|node| Node {
        size: EXTENTS * 16,
        allocated: EXTENTS * 10,
        content: Some(ContentId(9)),
        ..node
    });
    changes.set::<Nodes>(NodeId(2), file);
    store.apply(changes);
    let store = Counting {
        store,
        most: Cell::new(0),
    };
    let left = |tx: &Tx<'_, Counting>| {
        let all = extents_in(tx, Version::NOW, ContentId(9), 0..u64::MAX).unwrap();
        all.into_iter()
            .map(|(at, e)| (at, e.len()))
            .collect::<Vec<_>>()
    };
    // Both cut an extent at each edge.
    let mut tx = Tx::new(&store);
    let node = truncate(&mut tx, &CALLER, NodeId(2), 16 + 4).unwrap();
    assert_eq!((node.size, node.allocated), (20, 14));
    assert!(store.most.get() <= 4_096, "{} at a time", store.most.get());
    assert_eq!(left(&tx), [(0, 10), (16, 4)]);
    store.most.set(0);
    let (mut tx, end) = (Tx::new(&store), EXTENTS * 16);
    let node = zero(&mut tx, &CALLER, NodeId(2), 4..end - 16 + 3, 0).unwrap();
    assert_eq!((node.size, node.allocated), (end, 11));
    assert!(store.most.get() <= 4_096, "{} at a time", store.most.get());
    assert_eq!(left(&tx), [(0, 4), (end - 13, 7)]);
}
