//! Finds what a glob matches, in the order of names. Lists only directories that can have matches.

use super::glob::{Component, Pattern};
use super::matching::match_component;
use super::path::{Last, checked};
use super::{Errno, FsResult, Item, Kind, Name, Place, Store, Wd};
use std::collections::BTreeSet;
use std::ops::ControlFlow;

/// Maximum depth of a visit. Bounds the visit of a damaged tree in which a directory contains
/// itself.
const MAX_DEPTH: usize = 512;

/// One match of a glob.
#[derive(Clone)]
pub struct Match<'s> {
    /// Names from the working directory to the match.
    pub path: Vec<Name>,
    /// Text that each wildcard matched.
    pub captures: Vec<Vec<u8>>,
    /// The node that was found. A symbolic link is followed if the pattern names it literally, and
    /// not if a wildcard matches it.
    pub place: Place<'s>,
}

impl<'s, S: Store> Wd<'s, S> {
    /// Visits everything that `pattern` matches from here, each match once, until `visit` breaks.
    ///
    /// A symbolic link is entered only if the pattern names it literally. `ENOTDIR` and missing
    /// names are not errors: nothing matches then.
    pub fn glob(
        &self,
        pattern: &Pattern,
        visit: &mut dyn FnMut(Match<'s>) -> ControlFlow<()>,
    ) -> FsResult<()> {
        let states = closed(&pattern.components, [0].into());
        descend(self, pattern, &states, &mut Vec::new(), visit).map(|_| ())
    }

    /// Returns everything that `pattern` matches from here.
    pub fn matches(&self, pattern: &Pattern) -> FsResult<Vec<Match<'s>>> {
        let mut all = Vec::new();
        self.glob(pattern, &mut |found| {
            all.push(found);
            ControlFlow::Continue(())
        })?;
        Ok(all)
    }
}

/// Returns the components that the next name may match. `**` may match no directory, so the
/// component behind it is possible too; a `**` at the end needs a name.
fn closed(components: &[Component], mut states: BTreeSet<usize>) -> BTreeSet<usize> {
    let trees: Vec<usize> = (states.iter().copied())
        .filter(|i| components.get(*i) == Some(&Component::Tree) && i + 1 < components.len())
        .collect();
    states.extend(trees.into_iter().map(|i| i + 1));
    states
}

fn descend<'s, S: Store>(
    wd: &Wd<'s, S>,
    pattern: &Pattern,
    states: &BTreeSet<usize>,
    path: &mut Vec<Name>,
    visit: &mut dyn FnMut(Match<'s>) -> ControlFlow<()>,
) -> FsResult<ControlFlow<()>> {
    let components = &pattern.components;
    if path.len() > MAX_DEPTH {
        return Err(Errno::ELOOP.into());
    }
    for (name, item) in candidates(wd, components, states)? {
        let kind = item.kind();
        let mut next = BTreeSet::new();
        // A literal name follows a symbolic link, a wildcard does not.
        let mut named = false;
        for i in states.iter().copied() {
            match components.get(i) {
                Some(Component::Tree) => drop(next.insert(i)),
                Some(of) if match_component(of, name.as_bytes(), &mut Vec::new()) => {
                    let literal = matches!(of, Component::Name(_));
                    named |= literal;
                    if kind != Kind::Symlink || literal || i + 1 == components.len() {
                        next.insert(i + 1);
                    }
                }
                _ => {}
            }
        }
        if kind == Kind::Symlink {
            // `**` matches a symbolic link as its last name, but does not enter it.
            next.retain(|i| named || *i >= components.len() - 1);
        }
        let ends = next.contains(&components.len())
            || next.contains(&(components.len() - 1))
                && components.last() == Some(&Component::Tree);
        let place = match named && kind == Kind::Symlink {
            true => match wd.open_path(name.as_bytes(), Last::Follow) {
                Ok(place) => place,
                Err(super::FsError::Posix(_)) => continue,
                Err(error) => return Err(error),
            },
            false => wd.place_of(item)?,
        };
        let through =
            next.iter().any(|i| *i < components.len()) && (named || kind != Kind::Symlink);
        path.push(name);
        let mut flow = ControlFlow::Continue(());
        if ends {
            let names: Vec<&[u8]> = path.iter().map(Name::as_bytes).collect();
            if let Some(captures) = pattern.matches(&names) {
                let (path, place) = (path.clone(), place.clone());
                flow = visit(Match {
                    path,
                    captures,
                    place,
                });
            }
        }
        if flow.is_continue() && through && place.kind() == Kind::Directory {
            let states = closed(components, next);
            flow = descend(&wd.entered(place)?, pattern, &states, path, visit)?;
        }
        path.pop();
        if flow.is_break() {
            return Ok(flow);
        }
    }
    Ok(ControlFlow::Continue(()))
}

/// Returns the entries that may match: looked up if all candidates are literal names, else listed.
fn candidates<'s, S: Store>(
    wd: &Wd<'s, S>,
    components: &[Component],
    states: &BTreeSet<usize>,
) -> FsResult<Vec<(Name, Item<'s>)>> {
    let mut names = BTreeSet::new();
    for component in states.iter().filter_map(|i| components.get(*i)) {
        match component {
            Component::Name(name) => match checked(name) {
                Ok(name) => drop(names.insert(name)),
                Err(_) => continue,
            },
            _ => return wd.list(),
        }
    }
    let mut found = Vec::new();
    for name in names {
        if let Some(item) = wd.entry(&name)? {
            found.push((name, item));
        }
    }
    Ok(found)
}
