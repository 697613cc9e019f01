//! Plans: which files the directory of a resource has, and the recipe of each.
//!
//! Each kind implements [`Plan`] and fills [`Listing`]s. [`View`](super::View) asks for the
//! directory of a resource when it is first needed. Invariant: a plan reads names only.

use super::DeriveError;
use super::kinds::plan_of;
use super::node::{DerivedFile, Dir, Node};
use super::recipes::{Notice, Recipe};
use super::view::{Entries, Finder, Found};
use crate::query::Format;
use crate::resource::{Owner, Resource, Spec};
use crate::tinyfs::{self, Name, Time};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The name of the file that explains why a resource shows nothing else.
pub(super) const ERROR: &[u8] = b"ERROR";

/// Returns the directory of a resource; on an error, with a file that explains it.
pub(super) fn directory(finder: &Finder<'_>, resource: &Resource) -> Dir {
    let planner = Planner {
        finder,
        owner: resource.owner,
    };
    let path = resource.path().into_bytes();
    let planned = match &resource.document {
        Ok(document) => planner.directory(&path, Some(&*document.spec)),
        Err(error) => Err(error.clone().into()),
    };
    planned.unwrap_or_else(|error| planner.error(path, &error))
}

/// Returns why a directory shows nothing else, if it has an error file.
pub(super) fn told(dir: &Dir) -> Option<String> {
    match dir.entries.first_key_value() {
        Some((name, Node::File(file))) if name.as_bytes() == ERROR => {
            file.recipe.notice().map(|why| why.trim_end().to_owned())
        }
        _ => None,
    }
}

/// Lays out the directory of a spec.
pub(super) trait Plan {
    /// Returns the directory at a path. Only names are read for it.
    fn plan(&self, planner: &Planner<'_>, path: &[u8]) -> Planned;
}

/// A directory, or the reason why there is none.
pub(super) type Planned = Result<Dir, DeriveError>;

/// What a plan uses: a search for inputs, and the owner of the resource.
pub(super) struct Planner<'p> {
    pub(super) finder: &'p Finder<'p>,
    owner: Owner,
}

impl Planner<'_> {
    /// Returns the directory of a spec, if its kind is derived.
    pub(super) fn directory(&self, path: &[u8], spec: Option<&dyn Spec>) -> Planned {
        match spec.and_then(plan_of) {
            Some(plan) => plan.plan(self, path),
            None => Err(DeriveError::new("resources of this kind show no directory")),
        }
    }

    fn error(&self, path: Vec<u8>, error: &DeriveError) -> Dir {
        let mut dir = Listing::new(self, path);
        // `ERROR` is a valid name.
        let _ = dir.file(
            &String::from_utf8_lossy(ERROR),
            Notice(format!("{error}\n")),
            None,
            None,
        );
        dir.end()
    }
}

/// Returns the name of a result: `out` with `$N` replaced by the captures of an input.
pub(super) fn output_name(out: &str, found: &Found) -> Result<String, DeriveError> {
    let captures: Vec<Vec<u8>> = found
        .captures
        .iter()
        .map(|c| c.clone().into_bytes())
        .collect();
    let name = tinyfs::substitute(out.as_bytes(), &captures);
    let name = name.ok().and_then(|name| String::from_utf8(name).ok());
    name.ok_or_else(|| {
        DeriveError::new(format!(
            "{out:?} has more `$N` than the pattern has wildcards"
        ))
    })
}

/// Returns when the newest of the inputs changed last.
pub(super) fn newest(found: &[&Found]) -> Option<Time> {
    found.iter().map(|found| found.modified).max()
}

/// A directory that is being listed.
pub(super) struct Listing<'p> {
    planner: &'p Planner<'p>,
    path: Vec<u8>,
    entries: Entries,
    modified: Time,
}

impl<'p> Listing<'p> {
    pub(super) fn new(planner: &'p Planner<'p>, path: Vec<u8>) -> Listing<'p> {
        Listing {
            planner,
            path,
            entries: BTreeMap::new(),
            modified: planner.owner.modified,
        }
    }

    fn path_of(&self, name: &str) -> Vec<u8> {
        [&self.path[..], b"/", name.as_bytes()].concat()
    }

    /// Begins a directory in this one.
    pub(super) fn below(&self, name: &str) -> Result<Listing<'p>, DeriveError> {
        Ok(Listing::new(self.planner, self.path_of(name)))
    }

    pub(super) fn add(&mut self, name: &str, node: Node) -> Result<(), DeriveError> {
        let shown = Name::new(name.as_bytes());
        let shown =
            shown.map_err(|_| DeriveError::new(format!("{name:?} is no name of a file")))?;
        let modified = match &node {
            Node::Dir(dir) => dir.owner.modified,
            Node::File(file) => file.owner.modified,
        };
        self.modified = self.modified.max(modified);
        match self.entries.insert(shown, node) {
            None => Ok(()),
            Some(_) => {
                let folder = String::from_utf8_lossy(&self.path).into_owned();
                Err(DeriveError::new(format!(
                    "two results are called {folder}/{name}"
                )))
            }
        }
    }

    pub(super) fn file(
        &mut self,
        name: &str,
        recipe: impl Recipe + 'static,
        format: Option<Format>,
        modified: Option<Time>,
    ) -> Result<(), DeriveError> {
        let own = self.planner.owner;
        let file = DerivedFile {
            path: self.path_of(name),
            at: self.planner.finder.view.at,
            recipe: Arc::new(recipe),
            format,
            owner: Owner {
                modified: modified.map_or(own.modified, |time| time.max(own.modified)),
                ..own
            },
            key: Mutex::new(None),
            instead: std::sync::OnceLock::new(),
        };
        self.add(name, Node::File(Arc::new(file)))
    }

    /// Adds a file of rows, in the format of its name, or as Parquet.
    pub(super) fn table(
        &mut self,
        name: &str,
        recipe: impl Recipe + 'static,
        of: &[&Found],
    ) -> Result<(), DeriveError> {
        let packed = name
            .strip_suffix(".gz")
            .or_else(|| name.strip_suffix(".zst"));
        let name = packed.unwrap_or(name);
        let format = Format::of_name(name).map_or(Format::Parquet, |(format, _)| format);
        self.file(name, recipe, Some(format), newest(of))
    }

    /// Adds a file of rows with this name, and `.parquet` if the name has no format.
    pub(super) fn parquet(
        &mut self,
        name: &str,
        recipe: impl Recipe + 'static,
        of: &[&Found],
    ) -> Result<(), DeriveError> {
        match Format::of_name(name) {
            Some(_) => self.table(name, recipe, of),
            None => self.table(&format!("{name}.parquet"), recipe, of),
        }
    }

    pub(super) fn end(self) -> Dir {
        Dir {
            path: self.path,
            entries: self.entries,
            owner: Owner {
                modified: self.modified,
                ..self.planner.owner
            },
        }
    }
}
