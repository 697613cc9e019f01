//! Prunes in random histories of a tree: kept versions are unchanged, and nothing else remains.

use super::*;
use crate::pond::history::tests::{Life, Seen, alike, see};
use crate::pond::{OpenOptions, Pond};
use crate::tinyfs::{NodeId, Nodes};
use std::sync::Arc;

fn grown(seed: u8) -> Life {
    let mut life = Life::new(seed);
    for _ in 0..24 {
        for _ in 0..1 + life.below(12) {
            life.step();
        }
        life.commit();
    }
    life
}

fn policy(life: &mut Life) -> Policy {
    let mut policy = Policy {
        keep_last: life.below(6),
        ..Policy::default()
    };
    if policy.keep_last == 0 {
        policy.keep_yearly = 1;
    }
    policy
}

/// Returns the pond with an index that was rebuilt from the oplog alone.
fn reopened(pond: &Arc<Pond>) -> Arc<Pond> {
    pond.close().unwrap();
    std::fs::remove_dir_all(pond.index.dir()).unwrap();
    Pond::open(pond.path(), &OpenOptions::default()).unwrap()
}

fn shows(pond: &Pond, versions: &BTreeMap<Version, Seen>, seed: u8) {
    for (version, seen) in versions {
        assert!(
            see(pond, *version) == *seen,
            "seed {seed}: version {version}"
        );
    }
    assert_eq!(pond.check(true).unwrap(), Vec::new(), "seed {seed}");
}

fn numbers(pond: &Pond) -> BTreeSet<Version> {
    let versions = pond.versions(Version(0), Version::NOW).unwrap();
    versions.iter().map(|info| info.version).collect()
}

#[test]
fn versions_that_are_kept_show_what_they_showed() {
    for seed in 0..12 {
        let mut life = grown(seed);
        let all = numbers(&life.pond);
        let tagged = *life.versions.keys().nth(5).unwrap();
        life.pond.give_tag("kept", Some(tagged), "").unwrap();
        let policy = policy(&mut life);
        let plan = life.pond.prune(&policy, None, true).unwrap();
        assert_eq!(numbers(&life.pond).len(), all.len() + 1, "a dry run");
        // Changes that are in no version yet survive the prune.
        life.step();
        let (_, present) = (life.commit(), see(&life.pond, Version::NOW));
        life.versions.pop_last();
        let done = life.pond.prune(&policy, None, false).unwrap();
        let kept: BTreeSet<Version> = done.kept.keys().copied().collect();
        assert!(kept.contains(&tagged) && kept.len() <= plan.kept.len() + 1);
        assert_eq!(numbers(&life.pond), kept, "seed {seed}");
        assert!(see(&life.pond, Version::NOW) == present);
        life.versions.retain(|version, _| kept.contains(version));
        shows(&life.pond, &life.versions, seed);
        for version in all.difference(&kept) {
            assert!(life.pond.is_forgotten(*version));
        }
        assert_eq!(life.pond.tags().unwrap().len(), 1);
        let pond = reopened(&life.pond);
        assert_eq!(numbers(&pond), kept, "seed {seed}");
        shows(&pond, &life.versions, seed);
        // And it goes on from there.
        life.pond = pond;
        for _ in 0..3 {
            life.step();
            life.commit();
        }
        shows(&life.pond, &life.versions, seed);
        life.pond.close().unwrap();
    }
}

/// Returns the directory of a path, if it exists.
fn dir_of(seen: &Seen, path: &[u8]) -> Option<NodeId> {
    match path.iter().rposition(|b| *b == b'/') {
        Some(end) => seen.get(&path[..end]).map(|(id, ..)| *id),
        None => Some(NodeId::ROOT),
    }
}

/// Sets the link count of each node to the number of its paths.
fn count_links(seen: &mut Seen) {
    let mut links = crate::tinyfs::Links::default();
    for (path, (child, node, ..)) in &*seen {
        let dir = dir_of(seen, path).expect("the directory around it");
        let dentry = crate::tinyfs::Dentry {
            child: *child,
            kind: node.kind,
        };
        links.add(dir, &dentry);
    }
    for (id, node, ..) in seen.values_mut() {
        node.nlink = links.apply(*id, crate::tinyfs::own_links(*id, node.kind));
    }
}

#[test]
fn a_path_that_is_forgotten_was_never_there() {
    let mut forgotten = 0;
    for seed in 20..36 {
        let mut life = grown(seed);
        let newest = life.pond.latest().version;
        let paths: BTreeSet<Vec<u8>> = (life.versions.values())
            .flat_map(|seen| seen.keys().cloned())
            .collect();
        let n = life.below(paths.len() as u64) as usize;
        let path = paths.into_iter().nth(n).unwrap();
        let scope = life.pond.scope_of(&path).unwrap().scope;
        // Rules that keep only the newest version do the same.
        let newest_alone = Policy {
            keep_last: 1,
            ..Policy::default()
        };
        match seed % 2 {
            0 => life.pond.forget(&path, false).unwrap(),
            _ => life.pond.prune(&newest_alone, Some(&path), false).unwrap(),
        };
        forgotten += scope.nodes.len();
        // Names that lead to the scope, and everything below, are gone from all versions but the
        // newest.
        for (version, seen) in &mut life.versions {
            if *version == newest {
                continue;
            }
            let gone: Vec<Vec<u8>> = seen
                .iter()
                .filter(|(_, (id, ..))| scope.nodes.contains(id))
                .map(|(path, _)| path.clone())
                .collect();
            seen.retain(|path, _| {
                !gone
                    .iter()
                    .any(|gone| path == gone || path.starts_with(&[gone, &b"/"[..]].concat()))
            });
            count_links(seen);
        }
        let there = numbers(&life.pond);
        life.versions.retain(|version, _| there.contains(version));
        assert!(there.contains(&newest));
        shows(&life.pond, &life.versions, seed);
        let pond = reopened(&life.pond);
        shows(&pond, &life.versions, seed);
        pond.close().unwrap();
    }
    assert!(forgotten > 16, "{forgotten}");
}

/// Returns whether the file of any segment contains the bytes `text`.
fn holds(pond: &Pond, text: &[u8]) -> bool {
    let folder = pond.path().join("segments");
    std::fs::read_dir(folder).unwrap().any(|entry| {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        bytes.windows(text.len()).any(|window| window == text)
    })
}

#[test]
fn the_bytes_of_what_is_forgotten_are_gone_and_those_of_others_stay() {
    let mut life = Life::new(99);
    let noise = |seed: &[u8]| {
        let mut noise = vec![0; 60_000];
        blake3::Hasher::new()
            .update(seed)
            .finalize_xof()
            .fill(&mut noise);
        noise
    };
    let (secret, other) = (noise(b"secret"), noise(b"other"));
    let caller = crate::tinyfs::ops::Caller {
        uid: 0,
        gid: 0,
        member: true,
        now: crate::tinyfs::Time::from_micros(0),
    };
    let put = |life: &Life, name: &[u8], bytes: &[u8]| {
        let name = crate::tinyfs::Name::new(name).unwrap();
        let new = crate::tinyfs::ops::NewNode {
            kind: crate::tinyfs::Kind::File,
            mode: 0o600,
            rdev: 0,
            target: b"",
        };
        let (id, _) = life
            .pond
            .create(&caller, NodeId::ROOT, &name, &new)
            .unwrap();
        life.pond.write(&caller, id, 0, bytes).unwrap();
        name
    };
    let name = put(&life, b"secret", &secret);
    put(&life, b"other", &other);
    life.commit();
    life.pond.unlink(&caller, NodeId::ROOT, &name).unwrap();
    life.commit();
    assert!(holds(&life.pond, &secret[..100]) && holds(&life.pond, &other[..100]));
    life.pond.forget(b"/secret", false).unwrap();
    assert!(!holds(&life.pond, &secret[..100]) && holds(&life.pond, &other[..100]));
    assert_eq!(life.pond.find(Version(1), b"secret").unwrap(), None);
    assert_eq!(life.pond.check(true).unwrap(), Vec::new());
    life.pond.close().unwrap();
}

const CALLER: crate::tinyfs::ops::Caller = crate::tinyfs::ops::Caller {
    uid: 0,
    gid: 0,
    member: true,
    now: crate::tinyfs::Time {
        sec: 1_700_000_000,
        nsec: 0,
    },
};

fn name(text: &str) -> crate::tinyfs::Name {
    crate::tinyfs::Name::new(text.as_bytes()).unwrap()
}

fn make(pond: &Pond, kind: crate::tinyfs::Kind, dir: NodeId, text: &str) -> NodeId {
    let new = crate::tinyfs::ops::NewNode {
        kind,
        mode: 0o755,
        rdev: 0,
        target: b"",
    };
    pond.create(&CALLER, dir, &name(text), &new).unwrap().0
}

fn file(pond: &Pond, dir: NodeId, text: &str, bytes: &[u8]) -> NodeId {
    let id = make(pond, crate::tinyfs::Kind::File, dir, text);
    pond.write(&CALLER, id, 0, bytes).unwrap();
    id
}

#[test]
fn a_removed_file_that_is_open_keeps_its_bytes_while_versions_are_forgotten() {
    let life = Life::new(98);
    let pond = &life.pond;
    let bytes = vec![7; 20_000];
    let id = file(pond, NodeId::ROOT, "open", &bytes);
    pond.sync().unwrap();
    pond.pin(id);
    pond.unlink(&CALLER, NodeId::ROOT, &name("open")).unwrap();
    pond.sync().unwrap();
    let newest = Policy {
        keep_last: 1,
        ..Policy::default()
    };
    pond.prune(&newest, None, false).unwrap();
    assert!(pond.read(Version::NOW, id, 0, 30_000).unwrap() == bytes);
    pond.unpin(id, 1);
    assert_eq!(pond.check(true).unwrap(), Vec::new());
    pond.close().unwrap();
}

#[test]
fn an_undo_after_a_path_was_forgotten_takes_back_only_what_the_newest_version_changed() {
    let (mut kept, mut refused) = (0, 0);
    for seed in 40..72 {
        let mut life = grown(seed);
        let newest = life.pond.latest().version;
        let paths: Vec<Vec<u8>> = life.versions[&newest].keys().cloned().collect();
        if paths.is_empty() {
            continue;
        }
        let path = paths[life.below(paths.len() as u64) as usize].clone();
        life.pond.forget(&path, false).unwrap();
        assert_eq!(life.pond.check(true).unwrap(), Vec::new(), "seed {seed}");
        let before = life
            .pond
            .versions(Version(0), Version(newest.0 - 1))
            .unwrap();
        let before = before.last().unwrap().version;
        // The node at the path stays, unless it is elsewhere and keeps its history.
        let (now, then) = (see(&life.pond, Version::NOW), see(&life.pond, before));
        let is_kept = |p: &[u8]| {
            p.strip_prefix(&path[..])
                .is_some_and(|rest| rest.is_empty() || rest.first() == Some(&b'/'))
                && !then.values().any(|(id, ..)| *id == now[&path].0)
        };
        let mut expected: Seen = then.clone();
        expected.extend(
            (now.iter())
                .filter(|(p, _)| is_kept(p))
                .map(|(p, w)| (p.clone(), w.clone())),
        );
        match life.pond.undo() {
            // The version changed the parent of the path, or nothing else.
            Err(PondError::Entangled(version) | PondError::Folded(version)) => {
                assert_eq!(version, newest);
                assert_eq!(alike(&see(&life.pond, Version::NOW)), alike(&now));
                refused += 1;
            }
            undone => {
                undone.unwrap();
                let undone = see(&life.pond, Version::NOW);
                // A node that stays moves with its directory.
                if dir_of(&then, &path) == dir_of(&now, &path) {
                    count_links(&mut expected);
                    assert_eq!(alike(&undone), alike(&expected), "seed {seed}");
                }
                for (_, (id, ..)) in now.iter().filter(|(p, _)| is_kept(p)) {
                    let is_there = undone.values().any(|(there, ..)| there == id);
                    assert!(is_there, "seed {seed}: node {id}");
                    kept += 1;
                }
            }
        }
        assert_eq!(life.pond.check(true).unwrap(), Vec::new(), "seed {seed}");
        life.pond.close().unwrap();
    }
    assert!(kept > 20, "{kept} kept, {refused} refused");
}

#[test]
fn an_undo_is_refused_where_what_the_newest_version_changed_is_not_known() {
    let life = Life::new(97);
    let pond = &life.pond;
    for n in 0..4 {
        file(pond, NodeId::ROOT, &format!("f{n}"), b"x");
        pond.sync().unwrap();
    }
    let newest = pond.latest().version;
    let every_second = Policy {
        keep_last: 1,
        keep_tag: vec!["second".into()],
        ..Policy::default()
    };
    pond.give_tag("second", Some(Version(2)), "").unwrap();
    pond.prune(&every_second, None, false).unwrap();
    assert!(pond.latest().version > newest, "the name is a version");
    match pond.undo() {
        Err(PondError::Folded(version)) => assert_eq!(version, pond.latest().version),
        undone => panic!("{undone:?}"),
    }
    // A new version is unaffected.
    file(pond, NodeId::ROOT, "new", b"x");
    pond.undo().unwrap();
    assert_eq!(pond.find(Version::NOW, b"new").unwrap(), None);
    assert!(pond.find(Version::NOW, b"f3").unwrap().is_some());
    assert_eq!(pond.check(true).unwrap(), Vec::new());
    pond.close().unwrap();
}

#[test]
fn wrong_link_counts_of_past_versions_are_found_and_repaired() {
    let life = Life::new(96);
    let pond = &life.pond;
    let dir = make(pond, crate::tinyfs::Kind::Directory, NodeId::ROOT, "d");
    file(pond, dir, "f", b"x");
    let sound = pond.sync().unwrap();
    // Wrong counts, as earlier versions of the program left them when they forgot a path.
    let count = |id: NodeId, links: u32| {
        let changed = pond.change(|tx| {
            let mut node = tx.get::<Nodes>(&id)?.unwrap();
            node.nlink = links;
            tx.put::<Nodes>(id, node);
            Ok(())
        });
        changed.unwrap();
        pond.sync().unwrap()
    };
    let wrong = count(dir, 7);
    count(dir, 2);
    let root = count(NodeId::ROOT, 5);
    let found = pond.check(false).unwrap();
    let told: Vec<String> = found.iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        [
            format!("/d: it has 2 links in version {wrong} and says 7"),
            "/: it has 3 links and says 5".to_string()
        ]
    );
    // Restored nodes have the right counts, despite the wrong ones in the past.
    pond.restore(None, wrong).unwrap();
    let links = |at, id| pond.node(at, id).unwrap().nlink;
    assert_eq!(links(Version::NOW, dir), 2);
    assert_eq!(links(Version::NOW, NodeId::ROOT), 3);
    let path = pond.path().to_owned();
    pond.close().unwrap();
    let repaired = Pond::repair(&path, true).unwrap();
    assert_eq!(repaired.problems, Vec::new());
    assert_eq!(
        repaired.done,
        ["the link counts of all versions were counted anew"]
    );
    let pond = Pond::open(&path, &OpenOptions::default()).unwrap();
    let links = |at, id| pond.node(at, id).unwrap().nlink;
    assert_eq!((links(wrong, dir), links(root, NodeId::ROOT)), (2, 3));
    assert_eq!(pond.check(true).unwrap(), Vec::new());
    assert!(
        pond.version(sound).unwrap().is_some(),
        "nothing is forgotten"
    );
    pond.close().unwrap();
}
