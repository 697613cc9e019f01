//! Tests of resources in a pond and their directories, now and in the past.

mod keys;
mod resample;

use super::view::find_file;
use super::{Derive, Dir, Node, find_dir};
use crate::pond::{OpenOptions, Pond};
use crate::resource::{Applied, Document, apply, delete};
use crate::service::KINDS;
use crate::tinyfs::ops::{Caller, NewNode};
use crate::tinyfs::{Kind, Name, NodeId, Version};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::time::Duration;
use tempfile::TempDir;

const ROOT: Caller = Caller {
    uid: 0,
    gid: 0,
    member: true,
    now: crate::tinyfs::Time {
        sec: 1_700_000_000,
        nsec: 0,
    },
};

struct World {
    _dir: TempDir,
    pond: Arc<Pond>,
    derive: Derive,
}

impl World {
    fn new() -> World {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pond");
        Pond::init(&path).unwrap();
        let options = OpenOptions {
            commit_interval: Duration::from_secs(3_600),
            ..OpenOptions::default()
        };
        let pond = Pond::open(&path, &options).unwrap();
        World {
            _dir: dir,
            derive: Derive::new(pond.clone(), KINDS),
            pond,
        }
    }

    fn make(&self, dir: NodeId, name: &str, kind: Kind, mode: u16) -> NodeId {
        let name = Name::new(name.as_bytes()).unwrap();
        if let Some((id, _)) = self.pond.lookup(Version::NOW, dir, &name).unwrap() {
            return id;
        }
        let new = NewNode {
            kind,
            mode,
            rdev: 0,
            target: &[],
        };
        self.pond.create(&ROOT, dir, &name, &new).unwrap().0
    }

    /// Writes a file, in a directory of the root.
    fn put(&self, dir: &str, name: &str, text: &str) -> NodeId {
        let dir = self.make(NodeId::ROOT, dir, Kind::Directory, 0o755);
        let id = self.make(dir, name, Kind::File, 0o644);
        self.pond.truncate(&ROOT, id, 0).unwrap();
        self.pond.write(&ROOT, id, 0, text.as_bytes()).unwrap();
        id
    }

    fn read(&self, at: Version, path: &str) -> Result<String, String> {
        let view = self.derive.view(at).unwrap();
        let file = find_file(&view, path.as_bytes()).ok_or_else(|| "no such file".to_owned())?;
        let made = self
            .derive
            .render(&file)
            .map_err(|error| error.to_string())?;
        let bytes = made.read(0, u64::MAX).unwrap();
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    fn now(&self, path: &str) -> Result<String, String> {
        self.read(Version::NOW, path)
    }

    fn apply(&self, text: &str) -> Result<Applied, String> {
        apply(&self.pond, KINDS, text, false).map_err(|error| error.to_string())
    }
}

fn sql(name: &str, pattern: &str, query: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Sql\nname: {name}\ndesc: x\nspec:\n  queries:\n  - name: out.csv\n    \
         inputs: {{t: \"{pattern}\"}}\n    query: {query}\n"
    )
}

const SUM: &str = "SELECT sum(a) AS s FROM t";

#[test]
fn a_resource_shows_what_it_is_made_of_now_and_then() {
    let world = World::new();
    world.put("data", "1.csv", "timestamp,a\n1,10\n");
    let applied = world.apply(&sql("total", "/data/*.csv", SUM)).unwrap();
    assert!(applied.created && applied.path == "/Sql/total.yaml");
    assert_eq!(world.now("/Sql/total/out.csv").unwrap(), "s\n10\n");
    let then = world.pond.sync().unwrap();
    world.put("data", "2.csv", "timestamp,a\n2,5\n");
    assert_eq!(world.now("/Sql/total/out.csv").unwrap(), "s\n15\n");
    world
        .apply(&sql("total", "/data/*.csv", "SELECT count(*) AS n FROM t"))
        .unwrap();
    assert_eq!(world.now("/Sql/total/out.csv").unwrap(), "n\n2\n");
    assert_eq!(world.read(then, "/Sql/total/out.csv").unwrap(), "s\n10\n");
}

#[test]
fn equal_inputs_are_made_once_wherever_they_are() {
    let world = World::new();
    world.put("data", "1.csv", "timestamp,a\n1,10\n");
    world.apply(&sql("total", "/data/*.csv", SUM)).unwrap();
    world.pond.sync().unwrap();
    let key = |at| {
        let view = world.derive.view(at).unwrap();
        world
            .derive
            .key(&find_file(&view, b"/Sql/total/out.csv").unwrap())
            .unwrap()
    };
    let before = key(Version::NOW);
    let version = world.pond.latest().version;
    assert_eq!(key(version), before);
    // Written again, byte for byte; later from stored extents.
    world.put("data", "1.csv", "timestamp,a\n1,10\n");
    assert_eq!(key(Version::NOW), before);
    world.put("data", "1.csv", "timestamp,a\n1,11\n");
    assert_ne!(key(Version::NOW), before);
    assert_eq!(key(version), before);
}

#[test]
fn a_format_is_part_of_what_a_file_is() {
    let world = World::new();
    world.put("data", "1.csv", "timestamp\ta\n1\t10\n");
    world.apply(&sql("x", "/data/*", SUM)).unwrap();
    assert!(world.now("/Sql/x/out.csv").is_err());
    let dir = world.make(NodeId::ROOT, "data", Kind::Directory, 0o755);
    let (from, to) = (Name::new(b"1.csv").unwrap(), Name::new(b"1.tsv").unwrap());
    let mode = crate::tinyfs::ops::RenameMode::Replace;
    world
        .pond
        .rename(&ROOT, (dir, &from), (dir, &to), mode, false)
        .unwrap();
    assert_eq!(world.now("/Sql/x/out.csv").unwrap(), "s\n10\n");
}

/// An input that changes while it is read leaves no wrong result behind, under any version.
#[test]
fn an_input_that_changes_meanwhile_is_never_half_of_a_result() {
    let world = Arc::new(World::new());
    world.put("data", "1.csv", "timestamp,a\n0,1\n");
    world
        .apply(&sql(
            "x",
            "/data/*",
            "SELECT count(*) AS n, sum(a) AS s FROM t",
        ))
        .unwrap();
    let writer = {
        let world = world.clone();
        std::thread::spawn(move || {
            for n in 1..=150 {
                let rows: String = (0..=n).map(|row| format!("{row},1\n")).collect();
                world.put("data", "1.csv", &format!("timestamp,a\n{rows}"));
                if n % 10 == 0 {
                    world.pond.sync().unwrap();
                }
            }
        })
    };
    while !writer.is_finished() {
        let _ = world.now("/Sql/x/out.csv");
    }
    writer.join().unwrap();
    assert_eq!(world.now("/Sql/x/out.csv").unwrap(), "n,s\n151,151\n");
    for version in 1..=world.pond.latest().version.0 {
        let at = Version(version);
        let Ok(Some(_)) = world.pond.find(at, b"data/1.csv") else {
            continue;
        };
        let (id, node) = world.pond.walk(at, b"data/1.csv").unwrap();
        let bytes = world.pond.read(at, id, 0, node.size).unwrap();
        let rows = bytes
            .iter()
            .filter(|byte| **byte == b'\n')
            .count()
            .saturating_sub(1);
        if rows > 0 && world.pond.find(at, b"Sql/x.yaml").unwrap().is_some() {
            let found = world.read(at, "/Sql/x/out.csv");
            assert_eq!(
                found.unwrap(),
                format!("n,s\n{rows},{rows}\n"),
                "version {version}"
            );
        }
    }
}

#[test]
fn the_identity_stays_through_later_documents() {
    let world = World::new();
    let first = world.apply(&sql("x", "/data/*", SUM)).unwrap();
    let again = world.apply(&sql("x", "/data/*", SUM)).unwrap();
    assert_eq!(
        (again.created, again.changed, again.uuid),
        (false, false, first.uuid)
    );
    let other = world.apply(&sql("x", "/other/*", SUM)).unwrap();
    assert_eq!(
        (other.created, other.changed, other.uuid),
        (false, true, first.uuid)
    );
    let kind = KINDS.find("Sql").unwrap();
    delete(&world.pond, KINDS, kind, "x").unwrap();
    assert!(delete(&world.pond, KINDS, kind, "x").is_err());
}

#[test]
fn nothing_is_made_of_itself() {
    let world = World::new();
    world.apply(&sql("a", "/Sql/b/*.csv", SUM)).unwrap();
    let error = world.apply(&sql("b", "/Sql/a/*.csv", SUM)).unwrap_err();
    assert!(
        error.contains("/Sql/b takes from /Sql/a takes from /Sql/b"),
        "{error}"
    );
    let error = world.apply(&sql("c", "/Sql/*/out.csv", SUM)).unwrap_err();
    assert!(error.contains("/Sql/c"), "{error}");
    // Written past the check, they show an error file.
    world.put("Sql", "b.yaml", &sql("b", "/Sql/a/*.csv", SUM));
    for name in ["a", "b"] {
        let error = world.now(&format!("/Sql/{name}/ERROR")).unwrap();
        assert!(error.contains("made of itself"), "{error}");
    }
    world.apply(&sql("b", "/data/*.csv", SUM)).unwrap();
    world.put("data", "1.csv", "timestamp,a\n1,10\n");
    let error = world.now("/Sql/a/out.csv").unwrap_err();
    assert!(error.contains('a'), "{error}");
}

#[test]
fn resources_take_from_each_other_in_order() {
    let world = World::new();
    world.put("data", "1.csv", "timestamp,a\n1,10\n");
    world
        .apply(&sql("a", "/Sql/b/out.csv", "SELECT s * 2 AS d FROM t"))
        .unwrap();
    let b = world.apply(&sql("b", "/data/*.csv", SUM)).unwrap();
    assert_eq!(world.now("/Sql/a/out.csv").unwrap(), "d\n20\n");
    let view = world.derive.view(Version::NOW).unwrap();
    let order = view.registry.order();
    let name = |n: &usize| view.registry.resource(*n).unwrap().name.clone();
    assert_eq!(order.iter().map(name).collect::<Vec<_>>(), ["b", "a"]);
    // By its UUID as well.
    let by_uuid = format!("/Sql/{}/out.csv", b.uuid);
    world
        .apply(&sql("c", &by_uuid, "SELECT s + 1 AS d FROM t"))
        .unwrap();
    assert_eq!(world.now("/Sql/c/out.csv").unwrap(), "d\n11\n");
}

#[test]
fn what_is_no_resource_says_so() {
    let world = World::new();
    for (name, text, words) in [
        ("a.yaml", "kind: [", "line "),
        (
            "b.yaml",
            "apiVersion: v1\nkind: Reduce\nname: b\ndesc: x\nspec: {collections: []}\n",
            "line",
        ),
        (
            "c.yaml",
            &sql("other", "/x", SUM)[..],
            "is to be called other.yaml",
        ),
    ] {
        world.put("Sql", name, text);
        let error = world.now(&format!("/Sql/{}/ERROR", &name[..1])).unwrap();
        assert!(error.contains(words), "{name}: {error}");
    }
    let view = world.derive.view(Version::NOW).unwrap();
    assert_eq!(view.registry.problems.len(), 3);
}

#[test]
fn an_owner_reads_no_more_than_they_may() {
    let world = World::new();
    let secret = world.put("data", "1.csv", "timestamp,a\n1,10\n");
    let set = crate::tinyfs::ops::SetAttr {
        mode: Some(0o600),
        ..Default::default()
    };
    world.pond.setattr(&ROOT, secret, &set).unwrap();
    let file = world.put("Sql", "x.yaml", &sql("x", "/data/*.csv", SUM));
    assert_eq!(world.now("/Sql/x/out.csv").unwrap(), "s\n10\n");
    let set = crate::tinyfs::ops::SetAttr {
        uid: Some(1_000),
        gid: Some(1_000),
        ..Default::default()
    };
    world.pond.setattr(&ROOT, file, &set).unwrap();
    let error = world.now("/Sql/x/ERROR").unwrap();
    assert!(error.contains("may not be read"), "{error}");
}

#[test]
fn a_failure_is_told_to_all_and_tried_again() {
    let world = World::new();
    world.put("data", "1.csv", "timestamp,b\n1,10\n");
    world.apply(&sql("x", "/data/*.csv", SUM)).unwrap();
    let error = world.now("/Sql/x/out.csv").unwrap_err();
    assert!(error.contains('a') && !error.contains('\n'), "{error}");
    world.put("data", "1.csv", "timestamp,a\n1,10\n");
    assert_eq!(world.now("/Sql/x/out.csv").unwrap(), "s\n10\n");
}

#[test]
fn every_old_document_loads() {
    let variables = [
        ("combine", "/Combine/noyo-data"),
        ("derive", "/Derive/csvextract"),
        ("endpoint", "https://r2.example.org"),
        ("hydrovu", "/HydroVu/noyo"),
        ("key", "x"),
        ("reduce", "/Reduce/downsampled"),
        ("resolution", "1h"),
        ("resource", "/Inbox/csvin"),
        ("after", "2024-01-01"),
        ("uuid", "3f0c1a52-9d0b-4f6e-8a53-0d6a5f2a7c11"),
    ];
    let variables = variables
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .into();
    for text in [
        include_str!("../../resource/examples/hydrovu.yaml"),
        include_str!("../../resource/examples/backup.yaml"),
        include_str!("../../resource/examples/copy.yaml"),
        include_str!("../../resource/examples/scribble.yaml"),
        include_str!("../../resource/examples/inbox.yaml"),
        include_str!("../../resource/examples/derive.yaml"),
        include_str!("../../resource/examples/combine.yaml"),
        include_str!("../../resource/examples/reduce.yaml"),
        include_str!("../../resource/examples/all-new.yaml"),
    ] {
        let world = World::new();
        let text = Document::expand(text, &variables, KINDS).unwrap();
        let applied = world.apply(&text).unwrap();
        let view = world.derive.view(Version::NOW).unwrap();
        let wrong: Vec<_> = (view.registry.problems.iter())
            .filter(|(_, why)| !why.contains("there is no directory"))
            .collect();
        assert!(wrong.is_empty(), "{}: {wrong:?}", applied.path);
    }
}

/// The watcher may wait for replies to the kernel's requests, so none of them may wait for it.
#[test]
fn every_operation_goes_on_while_changes_are_announced() {
    let world = World::new();
    world.put("data", "1.csv", "timestamp,a\n1,10\n");
    let before = world.pond.sync().unwrap();
    let file = world.put("data", "1.csv", "timestamp,a\n1,20\n");
    let (pond, announced) = (Arc::downgrade(&world.pond), Arc::new(AtomicUsize::new(0)));
    let count = announced.clone();
    world.pond.watch(Arc::new(move |_| {
        let pond = pond.upgrade().unwrap();
        let n = count.fetch_add(1, Ordering::Relaxed);
        let (done, end) = channel();
        std::thread::spawn(move || {
            let name = Name::new(format!("n{n}").as_bytes()).unwrap();
            let new = NewNode {
                kind: Kind::File,
                mode: 0o644,
                rdev: 0,
                target: &[],
            };
            let (id, _) = pond.create(&ROOT, NodeId::ROOT, &name, &new).unwrap();
            pond.write(&ROOT, id, 0, b"text").unwrap();
            pond.truncate(&ROOT, id, 2).unwrap();
            pond.read(Version::NOW, id, 0, 2).unwrap();
            pond.read(Version::NOW, file, 0, 2).unwrap();
            pond.fsync().unwrap();
            pond.sync().unwrap();
            pond.give_tag(&format!("t{n}"), None, "").unwrap();
            pond.take_tag(&format!("t{n}")).unwrap();
            pond.unlink(&ROOT, NodeId::ROOT, &name).unwrap();
            done.send(()).unwrap();
        });
        let waited = end.recv_timeout(Duration::from_secs(60));
        waited.expect("an operation waits for the announcement");
    }));
    world.pond.restore(None, before).unwrap();
    world.pond.undo().unwrap();
    world.apply(&sql("x", "/data/*.csv", SUM)).unwrap();
    delete(&world.pond, KINDS, KINDS.find("Sql").unwrap(), "x").unwrap();
    assert_eq!(announced.load(Ordering::Relaxed), 4);
}

#[test]
fn what_a_killed_process_spilled_is_removed_and_nothing_else() {
    let world = World::new();
    world.put("data", "1.csv", "timestamp,a\n1,10\n");
    world.apply(&sql("total", "/data/*.csv", SUM)).unwrap();
    let spill = world.pond.path().join("cache/spill");
    let left = spill.join("datafusion-x");
    std::fs::create_dir_all(&left).unwrap();
    std::fs::write(left.join("rows"), "x").unwrap();
    assert_eq!(world.now("/Sql/total/out.csv").unwrap(), "s\n10\n");
    assert!(!left.exists());
    // The folder of this process stays when another one begins.
    let folders = || std::fs::read_dir(&spill).unwrap().count();
    assert_eq!(folders(), 1);
    let other = Derive::new(world.pond.clone(), KINDS);
    let view = other.view(Version::NOW).unwrap();
    let file = find_file(&view, b"/Sql/total/out.csv").unwrap();
    other.render(&file).unwrap();
    assert_eq!(folders(), 2);
}
