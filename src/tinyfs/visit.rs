//! Visiting what a glob matches: in the order of names, looking only where a match can be.

use super::glob::{Component, Pattern};
use super::matching::match_component;
use super::path::{Last, checked};
use super::{Errno, FsResult, Item, Kind, Name, Place, Store, Wd};
use std::collections::BTreeSet;
use std::ops::ControlFlow;

/// How deep a tree is visited. A deeper one has a directory within itself, and was made elsewhere.
const MAX_DEPTH: usize = 512;

/// One match of a glob.
#[derive(Clone)]
pub struct Match<'s> {
    /// The names on the way, from the working directory on.
    pub path: Vec<Name>,
    /// What the wildcards stood for.
    pub captures: Vec<Vec<u8>>,
    /// What was found. A symbolic link that a wildcard matched is itself; one that was named, what it
    /// leads to.
    pub place: Place<'s>,
}

impl<'s, S: Store> Wd<'s, S> {
    /// Visits everything that `pattern` matches from here, each once, until `visit` breaks.
    ///
    /// A symbolic link is entered only where the pattern names it literally. `ENOTDIR` and missing
    /// names are no errors: then nothing matches.
    pub fn glob(
        &self,
        pattern: &Pattern,
        visit: &mut dyn FnMut(Match<'s>) -> ControlFlow<()>,
    ) -> FsResult<()> {
        let states = closed(&pattern.components, [0].into());
        descend(self, pattern, &states, &mut Vec::new(), visit).map(|_| ())
    }

    /// All that `pattern` matches from here.
    pub fn matches(&self, pattern: &Pattern) -> FsResult<Vec<Match<'s>>> {
        let mut all = Vec::new();
        self.glob(pattern, &mut |found| {
            all.push(found);
            ControlFlow::Continue(())
        })?;
        Ok(all)
    }
}

/// Components that the next name may belong to. `**` may stand for no directory, so what follows it
/// is possible where it is; the last `**` wants a name.
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
        // By a literal name a link is followed, by a wildcard it is not.
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
            // A `**` passes a link as its last name, but not through it.
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

/// The entries that may match: looked up where all that is wanted has a name, listed otherwise.
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
