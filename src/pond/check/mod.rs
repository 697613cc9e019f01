//! Checks a pond: the oplog by itself and against the index, the maps of a version against each
//! other, and the content against its checksums.
//!
//! In: an open pond. Out: a sentence for each problem, with the path if there is one. Invariant:
//! nothing is changed; data that cannot be read is a finding, and the rest is checked all the
//! same.
//!
//! [`paths`] finds names for the findings, [`tree`] checks one tree, [`links`] the link counts of
//! every version, [`data`] the content.

mod data;
mod links;
mod paths;
mod tree;

use super::{Pond, PondError};
use crate::oplog::OplogError;
use crate::tinyfs::{
    Attrs, Changes, Extents, FsResult, Map, Names, Nodes, Store, Version, describe,
};

use data::Contents;
use paths::Paths;
use std::fmt;

/// Findings in past entries of the index that are listed one by one: the index is rebuilt as a
/// whole.
const MOST: usize = 20;

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem(pub String);

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a check has found, and the parts of the pond that are affected.
#[derive(Debug, Default)]
pub(super) struct Findings {
    pub(super) problems: Vec<Problem>,
    paths: Paths,
    /// Whether a finding is about the index, which can be rebuilt.
    pub(super) index: bool,
    /// Number of findings about past versions in the index.
    index_findings: usize,
    /// Number of wrong link counts, in any version. A rewrite of the oplog corrects them.
    pub(super) links: usize,
    /// Whether a finding is about the oplog, where a damaged checkpoint may be the only problem.
    pub(super) log: bool,
}

impl Findings {
    fn add(&mut self, text: String) {
        self.problems.push(Problem(text));
    }
}

impl Pond {
    /// Returns the problems of the pond. Reads the whole oplog, compares its newest version with
    /// the index, and checks the maps of that version against each other. Checks the link counts of
    /// every version, and that the segments exist that any version needs. With `read_data`, reads
    /// and verifies all that was ever stored in them.
    pub fn check(&self, read_data: bool) -> Result<Vec<Problem>, PondError> {
        Ok(self.look_for_damage(read_data)?.problems)
    }

    pub(super) fn look_for_damage(&self, read_data: bool) -> Result<Findings, PondError> {
        let mut found = Findings::default();
        if let Some(damage) = &self.damage {
            found.add(damage.to_string());
        }
        let mut contents = Contents::default();
        let (latest, tree) = self.read_oplog(&mut found, &mut contents)?;
        match tree {
            Some(tree) => {
                self.compare::<Nodes>(latest, &tree, &mut found);
                self.compare::<Names>(latest, &tree, &mut found);
                self.compare::<Extents>(latest, &tree, &mut found);
                self.compare::<Attrs>(latest, &tree, &mut found);
                tree::check(&tree, &mut found);
            }
            // The oplog cannot be read: only the index can be checked.
            None => match self.read_index(latest) {
                Ok(tree) => tree::check(&tree, &mut found),
                Err(error) => found.add(describe(&error)),
            },
        }
        for changes in self.index.open_changes() {
            found.paths.note(&changes);
            contents.note(&changes);
        }
        data::check(&self.content, &contents, read_data, &mut found)?;
        Ok(found)
    }

    /// Returns the newest version, and its tree by the oplog if all of that can be read. No version
    /// is committed and no file is cleaned up meanwhile.
    fn read_oplog(
        &self,
        found: &mut Findings,
        contents: &mut Contents,
    ) -> Result<(Version, Option<Changes>), PondError> {
        // A concurrent clean-up of the log would look like damage.
        let _alone = self.keeper.alone();
        let log = self.log.lock();
        let latest = self.latest().version;
        let oplog = log.oplog();
        let mut damaged = Vec::new();
        oplog.audit(&mut |error| damaged.push(describe(&error)))?;
        let (mut tree, mut counts) = (Changes::default(), links::Counts::default());
        let read = oplog.replay(None, &mut |commit, changes| {
            found.paths.note(&changes);
            contents.note(&changes);
            // The newest version is checked as a whole.
            let is_past = commit.version < latest;
            counts.check(commit.version, &tree, &changes, is_past, found);
            self.compare_version(commit.version, &tree, &changes, found);
            tree.absorb(changes);
            Ok::<(), OplogError>(())
        });
        let whole = match read {
            Ok(()) => true,
            Err(error) if error.is_damage() => {
                damaged.push(describe(&error));
                false
            }
            Err(error) => return Err(error.into()),
        };
        if let Some(more) = found.links.checked_sub(MOST + 1) {
            found.add(format!("{} more link counts are wrong", more + 1));
        }
        damaged.dedup();
        found.log = !damaged.is_empty();
        damaged.into_iter().for_each(|text| found.add(text));
        Ok((latest, whole.then_some(tree)))
    }

    fn read_index(&self, at: Version) -> Result<Changes, PondError> {
        fn one<M: Map>(pond: &Pond, at: Version, tree: &mut Changes) -> Result<(), PondError> {
            Ok(pond.index.visit_all::<M>(at, &mut |key, value| {
                tree.set::<M>(key, Some(value));
            })?)
        }
        let mut tree = Changes::default();
        one::<Nodes>(self, at, &mut tree)?;
        one::<Names>(self, at, &mut tree)?;
        one::<Extents>(self, at, &mut tree)?;
        one::<Attrs>(self, at, &mut tree)?;
        Ok(tree)
    }

    /// Compares the entries that a version changed with the index, at that version and at the
    /// previous one. `before` is the tree of the previous one by the oplog.
    fn compare_version(
        &self,
        version: Version,
        before: &Changes,
        changes: &Changes,
        found: &mut Findings,
    ) {
        fn one<M: Map>(
            pond: &Pond,
            version: Version,
            (before, changes): (&Changes, &Changes),
            found: &mut Findings,
        ) {
            let earlier = Version(version.0.saturating_sub(1));
            for (key, value) in M::of(changes) {
                if found.index_findings >= MOST {
                    return;
                }
                let then = before.get::<M>(key).flatten();
                let told = pond.index.get::<M>(version, key);
                let told_before = pond.index.get::<M>(earlier, key);
                let same = |told: &FsResult<Option<M::Value>>, expected: Option<&M::Value>| {
                    told.as_ref().is_ok_and(|told| told.as_ref() == expected)
                };
                if same(&told, value.as_ref()) && (version.0 == 0 || same(&told_before, then)) {
                    continue;
                }
                let path = found.paths.of(M::owner(key));
                found.add(format!(
                    "{path}: the index differs from the oplog at version {version}"
                ));
                found.index_findings += 1;
                found.index = true;
            }
        }
        one::<Nodes>(self, version, (before, changes), found);
        one::<Names>(self, version, (before, changes), found);
        one::<Extents>(self, version, (before, changes), found);
        one::<Attrs>(self, version, (before, changes), found);
    }

    /// Compares one map of the index at version `at` with the tree by the oplog.
    fn compare<M: Map>(&self, at: Version, tree: &Changes, found: &mut Findings) {
        let mut expected = M::of(tree)
            .iter()
            .filter_map(|(key, value)| Some((key, value.as_ref()?)))
            .peekable();
        let mut differing = Vec::new();
        // Both are sorted by key.
        let read = self.index.visit_all::<M>(at, &mut |key, value| {
            while let Some((missing, _)) = expected.next_if(|(next, _)| **next < key) {
                differing.push((M::owner(missing), "in the oplog and not in the index"));
            }
            match expected.next_if(|(next, _)| **next == key) {
                Some((_, same)) if *same == value => {}
                Some(_) => differing.push((M::owner(&key), "the index differs from the oplog")),
                None => differing.push((M::owner(&key), "in the index and not in the oplog")),
            }
        });
        differing
            .extend(expected.map(|(key, _)| (M::owner(key), "in the oplog and not in the index")));
        if let Err(error) = read {
            found.add(format!("the index cannot be read: {}", describe(&error)));
            found.index = true;
            return;
        }
        found.index |= !differing.is_empty();
        for (owner, what) in differing {
            let path = found.paths.of(owner);
            found.add(format!("{path}: {what}"));
        }
    }
}
