//! Forgetting, in random lives of a tree: what is kept shows what it showed, and nothing else is left.

use super::*;
use crate::pond::history::tests::{Life, Seen, see};
use crate::pond::{OpenOptions, Pond};
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

/// The pond again, with an index made from the oplog alone.
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
        // What no version has yet goes on through it.
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
        let (scope, _) = life.pond.scope_of(&path).unwrap();
        // With rules that keep the newest version alone, that is the same.
        let newest_alone = Policy {
            keep_last: 1,
            ..Policy::default()
        };
        match seed % 2 {
            0 => life.pond.forget(&path).unwrap(),
            _ => life.pond.prune(&newest_alone, Some(&path), false).unwrap(),
        };
        forgotten += scope.nodes.len();
        // Names that lead to the scope, and what is below them, are gone from all versions but the newest.
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

/// What all segments hold, unpacked as far as it can be.
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
    life.pond.forget(b"/secret").unwrap();
    assert!(!holds(&life.pond, &secret[..100]) && holds(&life.pond, &other[..100]));
    assert_eq!(life.pond.find(Version(1), b"secret").unwrap(), None);
    assert_eq!(life.pond.check(true).unwrap(), Vec::new());
    life.pond.close().unwrap();
}
