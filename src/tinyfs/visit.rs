//! Finds what a glob matches, in the order of names. Lists only directories that can have matches.

use super::glob::{Component, Pattern};
use super::matching::match_component;
use super::path::{Last, checked};
use super::{Errno, FsError, FsResult, Item, Kind, Name, NodeId, Place, Store, Wd};
use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::vec;

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
        // An explicit stack: the tree may be `MAX_DEPTH` deep, and a thread's stack is small.
        let mut levels = vec![Level::new(self.clone(), pattern, [0].into())?];
        let mut path: Vec<Name> = Vec::new();
        while let Some(level) = levels.last_mut() {
            let Some((name, item)) = level.rest.next() else {
                levels.pop();
                path.pop();
                continue;
            };
            let Some(found) = step(level, &pattern.components, &name, item)? else {
                continue;
            };
            let enters = found.next.is_empty() || level.enters(&name, &found)?;
            path.push(name);
            if found.ends {
                let names: Vec<&[u8]> = path.iter().map(Name::as_bytes).collect();
                if let Some(captures) = pattern.matches(&names) {
                    let found = Match {
                        path: path.clone(),
                        captures,
                        place: found.place.clone(),
                    };
                    if visit(found).is_break() {
                        return Ok(());
                    }
                }
            }
            if found.next.is_empty() || !enters {
                path.pop();
                continue;
            }
            if path.len() > MAX_DEPTH {
                return Err(Errno::ELOOP.into());
            }
            let wd = level.wd.entered(found.place)?;
            levels.push(Level::new(wd, pattern, found.next)?);
        }
        Ok(())
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

/// A directory that is being visited.
struct Level<'s, S> {
    wd: Wd<'s, S>,
    /// Components that the next name may match.
    states: BTreeSet<usize>,
    /// Entries that are still to be matched.
    rest: vec::IntoIter<(Name, Item<'s>)>,
    /// Directories that were entered from here.
    entered: BTreeSet<NodeId>,
}

impl<'s, S: Store> Level<'s, S> {
    fn new(wd: Wd<'s, S>, pattern: &Pattern, states: BTreeSet<usize>) -> FsResult<Self> {
        let states = closed(&pattern.components, states);
        let rest = candidates(&wd, &pattern.components, &states)?.into_iter();
        Ok(Level {
            wd,
            states,
            rest,
            entered: BTreeSet::new(),
        })
    }

    /// Returns whether the visit enters the directory `name`: only in its parent, and once there.
    /// `ELOOP` in a damaged or forged tree, whose number of paths may have no bound. A directory
    /// that was moved since it was listed is skipped.
    fn enters(&mut self, name: &Name, found: &Step<'s>) -> FsResult<bool> {
        let (Place::Node(here, _), Place::Node(id, node)) = (self.wd.place(), &found.place) else {
            return Ok(true);
        };
        if found.followed || node.parent == Some(*here) && self.entered.insert(*id) {
            return Ok(true);
        }
        match self.wd.entry(name)? {
            Some(Item::Node(dentry)) if dentry.child == *id => Err(Errno::ELOOP.into()),
            _ => Ok(false),
        }
    }
}

/// What an entry means for the visit.
struct Step<'s> {
    place: Place<'s>,
    /// Whether the pattern may end here.
    ends: bool,
    /// Components that names in this directory may match; empty if it is not to be entered.
    next: BTreeSet<usize>,
    /// Whether a symbolic link was followed to the place.
    followed: bool,
}

/// Matches one entry. Returns `None` if a symbolic link that the pattern names leads nowhere.
fn step<'s, S: Store>(
    level: &Level<'s, S>,
    components: &[Component],
    name: &Name,
    item: Item<'s>,
) -> FsResult<Option<Step<'s>>> {
    let kind = item.kind();
    let mut next = BTreeSet::new();
    // A literal name follows a symbolic link, a wildcard does not.
    let mut named = false;
    for i in level.states.iter().copied() {
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
        || next.contains(&(components.len() - 1)) && components.last() == Some(&Component::Tree);
    let place = match named && kind == Kind::Symlink {
        true => match level.wd.open_path(name.as_bytes(), Last::Follow) {
            Ok(place) => place,
            Err(FsError::Posix(_)) => return Ok(None),
            Err(error) => return Err(error),
        },
        false => level.wd.place_of(item)?,
    };
    let through = next.iter().any(|i| *i < components.len())
        && (named || kind != Kind::Symlink)
        && place.kind() == Kind::Directory;
    if !through {
        next.clear();
    }
    Ok(Some(Step {
        place,
        ends,
        next,
        followed: named && kind == Kind::Symlink,
    }))
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
