//! Whether a pond is whole: the oplog by itself, against the index, the maps against each other, and the
//! content against its checksums.
//!
//! In: an open pond. Out: what is wrong, each in a sentence that names the path if there is one. Holds
//! always: nothing is changed; what cannot be read is itself a finding, and the rest is looked at all the
//! same.
//!
//! [`paths`] finds names for what is found, [`tree`] looks at one tree, [`data`] at content.

mod data;
mod paths;
mod tree;

use super::{Pond, PondError};
use crate::oplog::OplogError;
use crate::tinyfs::{
    Attrs, Changes, Entries, Extents, FsError, Map, Names, Nodes, Version, describe,
};
use data::Contents;
use paths::Paths;
use std::fmt;

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem(pub String);

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a check has found, and what it is about.
#[derive(Debug, Default)]
pub(super) struct Findings {
    pub(super) problems: Vec<Problem>,
    paths: Paths,
    /// Whether some of it is of the index, which can be made anew.
    pub(super) index: bool,
    /// Whether some of it is of the log, where a damaged checkpoint may be all that is wrong.
    pub(super) log: bool,
}

impl Findings {
    fn add(&mut self, text: String) {
        self.problems.push(Problem(text));
    }
}

impl Pond {
    /// Reads the whole oplog and compares what it says of the newest version with the index; checks
    /// the maps of that version against each other; looks whether the segments that any version needs
    /// are there, and with `read_data` reads and verifies all that was ever stored in them. Answers what
    /// is wrong.
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
            // The index is all there is to go by.
            None => match self.read_index(latest) {
                Ok(tree) => tree::check(&tree, &mut found),
                Err(error) => found.add(describe(&error)),
            },
        }
        data::check(&self.content, &contents, read_data, &mut found)?;
        Ok(found)
    }

    /// The newest version, and its tree by the oplog, if all of that can be read. No version is made
    /// meanwhile.
    fn read_oplog(
        &self,
        found: &mut Findings,
        contents: &mut Contents,
    ) -> Result<(Version, Option<Changes>), PondError> {
        let log = self.log.lock();
        let latest = self.latest().version;
        let oplog = log.oplog();
        let mut damaged = Vec::new();
        oplog.audit(&mut |error| damaged.push(describe(&error)))?;
        let mut tree = Changes::default();
        let read = oplog.replay(None, &mut |_, changes| {
            found.paths.note(&changes);
            contents.note(&changes);
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

    /// Compares one map of the index at version `at` with what the oplog says.
    fn compare<M: Map>(&self, at: Version, tree: &Changes, found: &mut Findings) {
        let before = found.problems.len();
        let mut there = Entries::<M>::new();
        let read = self.index.visit_all::<M>(at, &mut |key, value| {
            there.insert(key, Some(value));
        });
        if let Err(error) = read {
            found.add(format!("the index cannot be read: {}", describe(&error)));
            found.index = true;
            return;
        }
        for (key, value) in M::of(tree) {
            let in_index = there.remove(key).flatten();
            if in_index != *value {
                let path = found.paths.of(M::owner(key));
                found.add(format!("{path}: the index differs from the oplog"));
            }
        }
        for key in there.keys() {
            let path = found.paths.of(M::owner(key));
            found.add(format!("{path}: in the index and not in the oplog"));
        }
        found.index |= found.problems.len() > before;
    }
}

impl From<PondError> for FsError {
    fn from(error: PondError) -> FsError {
        FsError::store(error)
    }
}
