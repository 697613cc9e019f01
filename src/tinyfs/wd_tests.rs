//! Tests of paths, working directories, globs, and two dynamic directories: reversed and visiting.

use super::ops::{self, Caller, NewNode};
use super::*;
use proptest::prelude::*;
use std::sync::Arc;

const CALLER: Caller = Caller {
    uid: 0,
    gid: 0,
    member: true,
    now: Time { sec: 1, nsec: 0 },
};

/// Returns a tree with these paths: `name/` is a directory, `name@target` a symbolic link, all else
/// a file.
fn tree(paths: &[&str]) -> MemoryStore {
    let mut store = MemoryStore::default();
    let mut tx = Tx::new(&store);
    tx.put::<Nodes>(NodeId::ROOT, ops_root());
    for (i, path) in paths.iter().enumerate() {
        let (path, target) = path.split_once('@').unwrap_or((path, ""));
        let kind = match path.ends_with('/') {
            true => Kind::Directory,
            false if target.is_empty() => Kind::File,
            false => Kind::Symlink,
        };
        let new = NewNode {
            kind,
            mode: 0o755,
            rdev: 0,
            target: target.as_bytes(),
        };
        let id = NodeId(i as u64 + 2);
        create_path(&mut tx, &CALLER, NodeId::ROOT, path.as_bytes(), id, &new).unwrap();
    }
    let changes = tx.finish();
    store.apply(changes);
    store
}

fn ops_root() -> Node {
    let t = Time::default();
    Node {
        kind: Kind::Directory,
        mode: 0o755,
        uid: 0,
        gid: 0,
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
    }
}

fn walked(store: &MemoryStore, path: &str, last: Last) -> Result<u64, Errno> {
    let found = walk(store, Version::NOW, NodeId::ROOT, path.as_bytes(), last);
    found.map(|(id, _)| id.0).map_err(|error| error.errno())
}

#[test]
fn path_walk_follows_posix() {
    // Ids count from 2.
    let long = "x".repeat(256);
    let store = tree(&[
        "d/",
        "d/f",
        "d/up@..",
        "l@d/f",
        "abs@/d",
        "loop@loop",
        "dang@no",
        "ld@d",
    ]);
    let follow = |path| walked(&store, path, Last::Follow);
    let stay = |path| walked(&store, path, Last::Stay);
    assert_eq!(follow("/"), Ok(1));
    assert_eq!(follow(""), Err(Errno::ENOENT));
    assert_eq!(follow("."), Ok(1));
    assert_eq!(follow("../../d/./f"), Ok(3));
    assert_eq!(follow("d//f"), Ok(3));
    assert_eq!(follow("d/f/"), Err(Errno::ENOTDIR));
    assert_eq!(follow("d/f/.."), Err(Errno::ENOTDIR));
    assert_eq!(follow("d/x"), Err(Errno::ENOENT));
    assert_eq!(follow("d/x/.."), Err(Errno::ENOENT));
    assert_eq!(follow("d/up/abs/f"), Ok(3));
    assert_eq!((follow("l"), stay("l")), (Ok(3), Ok(5)));
    assert_eq!(follow("l/"), Err(Errno::ENOTDIR));
    assert_eq!(
        (stay("ld"), stay("ld/"), stay("ld/.")),
        (Ok(9), Ok(2), Ok(2))
    );
    assert_eq!((follow("loop"), stay("loop")), (Err(Errno::ELOOP), Ok(7)));
    assert_eq!((follow("dang"), stay("dang")), (Err(Errno::ENOENT), Ok(8)));
    assert_eq!(follow(&long), Err(Errno::ENAMETOOLONG));
    assert_eq!(follow("a\0b"), Err(Errno::EINVAL));
    assert_eq!(follow("/d/up/d/up/d/"), Ok(2));
}

#[test]
fn forty_links_are_followed_and_no_more() {
    let links: Vec<String> = (0..41).map(|i| format!("l{}@l{i}", i + 1)).collect();
    let mut paths = vec!["l0"];
    paths.extend(links.iter().map(String::as_str));
    let store = tree(&paths);
    assert_eq!(walked(&store, "l40", Last::Follow), Ok(2));
    assert_eq!(walked(&store, "l41", Last::Follow), Err(Errno::ELOOP));
}

#[test]
fn an_operation_sees_its_own_changes() {
    let mut store = tree(&["d/"]);
    store.commit(Version(1));
    let mut tx = Tx::new(&store);
    let file = NewNode {
        kind: Kind::File,
        mode: 0o644,
        rdev: 0,
        target: b"",
    };
    create_path(&mut tx, &CALLER, NodeId(2), b"new", NodeId(50), &file).unwrap();
    let again = create_path(&mut tx, &CALLER, NodeId::ROOT, b"d/new", NodeId(51), &file);
    assert_eq!(again.unwrap_err().errno(), Errno::EEXIST);
    let none = create_path(&mut tx, &CALLER, NodeId::ROOT, b"d/x/", NodeId(51), &file);
    assert_eq!(none.unwrap_err().errno(), Errno::ENOENT);
    // The operation's own entry counts, although the store does not have it yet.
    let d = Name::new(b"d").unwrap();
    let removed = ops::rmdir(&mut tx, &CALLER, NodeId::ROOT, &d);
    assert_eq!(removed.unwrap_err().errno(), Errno::ENOTEMPTY);
    assert_eq!(
        names(&Wd::root(&tx, Version::NOW).unwrap().open_dir(b"d").unwrap()),
        ["new"]
    );
    assert!(names(&Wd::root(&tx, Version(1)).unwrap().open_dir(b"d").unwrap()).is_empty());
    ops::unlink(&mut tx, &CALLER, NodeId(2), &Name::new(b"new").unwrap()).unwrap();
    ops::rmdir(&mut tx, &CALLER, NodeId::ROOT, &d).unwrap();
    assert!(names(&Wd::root(&tx, Version::NOW).unwrap()).is_empty());
}

fn names<S: Store>(wd: &Wd<'_, S>) -> Vec<String> {
    wd.list()
        .unwrap()
        .into_iter()
        .map(|(name, _)| name.to_string())
        .collect()
}

fn globbed<S: Store>(wd: &Wd<'_, S>, pattern: &str) -> Vec<String> {
    let pattern = Pattern::new(pattern.as_bytes()).unwrap();
    let path = |found: Match<'_>| {
        let names: Vec<String> = found.path.iter().map(Name::to_string).collect();
        names.join("/")
    };
    wd.matches(&pattern)
        .unwrap()
        .into_iter()
        .map(path)
        .collect()
}

#[test]
fn globs_visit_in_order_and_enter_links_only_by_name() {
    let store = tree(&[
        "a/",
        "a/1.csv",
        "a/2.csv",
        "a/b/",
        "a/b/3.csv",
        "a/b/c/",
        "a/b/c/4.csv",
        "link@a",
        "z.csv",
        "a/b/back@..",
        "no@nowhere",
    ]);
    let wd = Wd::root(&store, Version::NOW).unwrap();
    assert_eq!(globbed(&wd, "a/*.csv"), ["a/1.csv", "a/2.csv"]);
    assert_eq!(
        globbed(&wd, "**/*.csv"),
        ["a/1.csv", "a/2.csv", "a/b/3.csv", "a/b/c/4.csv", "z.csv"]
    );
    assert_eq!(globbed(&wd, "link/*.csv"), ["link/1.csv", "link/2.csv"]);
    assert_eq!(globbed(&wd, "l*/*.csv"), [""; 0]);
    assert_eq!(globbed(&wd, "l*"), ["link"]);
    assert_eq!(globbed(&wd, "a/**/c/*"), ["a/b/c/4.csv"]);
    assert_eq!(
        globbed(&wd, "*/b/back/?.csv"),
        ["a/b/back/1.csv", "a/b/back/2.csv"]
    );
    assert_eq!(
        globbed(&wd, "a/b/**"),
        ["a/b/3.csv", "a/b/back", "a/b/c", "a/b/c/4.csv"]
    );
    assert_eq!(globbed(&wd, "**/b/**/4.csv"), ["a/b/c/4.csv"]);
    assert_eq!(globbed(&wd, "no/*"), [""; 0]);
    assert_eq!(globbed(&wd, "z.csv/*"), [""; 0]);
}

/// Lists another directory with its names reversed.
struct Reversed<'s>(Arc<dyn Directory<'s> + 's>);

fn reversed(name: &Name) -> Name {
    Name::new(&name.as_bytes().iter().rev().copied().collect::<Vec<u8>>()).unwrap()
}

impl<'s> Directory<'s> for Reversed<'s> {
    fn get(&self, name: &Name) -> FsResult<Option<Item<'s>>> {
        self.0.get(&reversed(name))
    }

    fn entries(&self) -> FsResult<Vec<(Name, Item<'s>)>> {
        let mut entries = self.0.entries()?;
        entries
            .iter_mut()
            .for_each(|(name, _)| *name = reversed(name));
        entries.sort_by(|a, b| a.0.cmp(&b.0));
        Ok(entries)
    }
}

/// Shows what a pattern matches in one flat directory, under names made of the captures.
struct Visiting<'s, S> {
    wd: Wd<'s, S>,
    pattern: Pattern,
}

impl<'s, S: Store + Sync> Directory<'s> for Visiting<'s, S> {
    fn get(&self, name: &Name) -> FsResult<Option<Item<'s>>> {
        let mut entries = self.entries()?.into_iter();
        Ok(entries
            .find(|(other, _)| other == name)
            .map(|(_, item)| item))
    }

    fn entries(&self) -> FsResult<Vec<(Name, Item<'s>)>> {
        let mut entries = Vec::new();
        for found in self.wd.matches(&self.pattern)? {
            let name = found.captures.join(&b'.');
            let flat: Vec<u8> = name
                .iter()
                .map(|b| if *b == b'/' { b'_' } else { *b })
                .collect();
            let item = match found.place {
                Place::Node(child, node) => Item::Node(Dentry {
                    child,
                    kind: node.kind,
                }),
                Place::Dynamic(dir, _) => Item::Dynamic(dir),
            };
            entries.push((Name::new(&flat).map_err(|_| Errno::EINVAL)?, item));
        }
        entries.sort_by(|a, b| a.0.cmp(&b.0));
        Ok(entries)
    }
}

#[test]
fn dynamic_directories_are_mounted_listed_walked_and_globbed() {
    let store = tree(&[
        "in/",
        "in/abc",
        "in/sub/",
        "in/sub/xy.csv",
        "in/xz.csv",
        "out/",
        "out/rev",
    ]);
    let root = Wd::root(&store, Version::NOW).unwrap();
    let source = Arc::new(root.open_dir(b"in").unwrap());
    let pattern = Pattern::new(b"in/**/x*.csv").unwrap();
    let visiting = Arc::new(Visiting {
        wd: root.clone(),
        pattern,
    });
    let name = |text: &[u8]| Name::new(text).unwrap();
    let wd = root
        .open_dir(b"out")
        .unwrap()
        .mount(name(b"rev"), Arc::new(Reversed(source)))
        .and_then(|wd| wd.mount(name(b"flat"), visiting.clone()))
        .and_then(|wd| wd.mount(name(b"both"), Arc::new(Reversed(visiting))))
        .unwrap();
    assert_eq!(names(&wd), ["both", "flat", "rev"]);
    assert_eq!(
        names(&wd.open_dir(b"rev").unwrap()),
        ["bus", "cba", "vsc.zx"]
    );
    assert_eq!(names(&wd.open_dir(b"flat").unwrap()), [".z", "sub_.y"]);
    assert_eq!(names(&wd.open_dir(b"both").unwrap()), ["y._bus", "z."]);
    let id = |path: &[u8]| match wd.open_path(path, Last::Follow) {
        Ok(Place::Node(id, _)) => Ok(id.0),
        Ok(Place::Dynamic(..)) => Ok(0),
        Err(error) => Err(error.errno()),
    };
    assert_eq!(id(b"rev/cba"), Ok(3));
    assert_eq!(id(b"rev/bus/xy.csv"), Ok(5));
    assert_eq!(id(b"flat/sub_.y"), Ok(5));
    assert_eq!(id(b"rev/../flat/"), Ok(0));
    assert_eq!(id(b"/out/rev/abc"), Err(Errno::ENOENT));
    assert_eq!(id(b"rev/cba/"), Err(Errno::ENOTDIR));
    assert_eq!(globbed(&wd, "**/?y*"), ["rev/bus/xy.csv"]);
    assert_eq!(
        globbed(&wd, "{flat,both}/*y*"),
        ["both/y._bus", "flat/sub_.y"]
    );
}

proptest! {
    #[test]
    fn arbitrary_bytes_are_a_path_or_an_error(
        bytes in proptest::collection::vec(any::<u8>(), 0..100),
        odd in r"[ab/.\x00l]{0,20}",
    ) {
        let store = tree(&["a/", "a/b/", "a/l@../a/l", "l@/a"]);
        for path in [&bytes[..], odd.as_bytes()] {
            for last in [Last::Follow, Last::Stay] {
                let _ = walk(&store, Version::NOW, NodeId::ROOT, path, last);
            }
            let mut tx = Tx::new(&store);
            let new = NewNode {
                kind: Kind::Directory,
                mode: 0o755,
                rdev: 0,
                target: &[],
            };
            let made = create_path(&mut tx, &CALLER, NodeId::ROOT, path, NodeId(90), &new);
            if made.is_ok() {
                let found = walk(&tx, Version::NOW, NodeId::ROOT, path, Last::Stay).unwrap();
                prop_assert_eq!(found.0, NodeId(90));
            }
        }
    }
}

#[test]
fn glob_over_a_cycle_of_directories_fails_with_eloop() {
    let mut store = tree(&["a/", "a/b/"]);
    let mut changes = Changes::default();
    let a = Dentry {
        child: NodeId(2),
        kind: Kind::Directory,
    };
    changes.set::<Names>((NodeId(3), Name::new(b"a").unwrap()), Some(a));
    store.apply(changes);
    let wd = Wd::root(&store, Version::NOW).unwrap();
    let refused = wd.matches(&Pattern::new(b"**/x").unwrap());
    assert_eq!(refused.err().map(|error| error.errno()), Some(Errno::ELOOP));
}
