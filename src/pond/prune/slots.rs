//! History with fewer versions: what was changed up to a version that is kept becomes a change of that one.
//!
//! In: the changes of every version, in order. Out: those of the versions that are to be. Holds always: at a
//! version that is kept, the tree is what it was; at any other number it is that of the one kept before it, so
//! far as it is of the scope.

use crate::tinyfs::{Attrs, Changes, ContentId, Extents, Name, Names, NodeId, Nodes, Version};
use std::collections::{BTreeSet, HashSet};

/// The part of the tree whose history is thinned.
#[derive(Debug, Default)]
pub(in crate::pond) struct Scope {
    /// What the path leads to in the newest version, if that is one of the nodes.
    pub root: Option<NodeId>,
    pub nodes: HashSet<NodeId>,
    /// All contents that these nodes ever had.
    pub contents: HashSet<ContentId>,
}

/// The versions as they come out.
pub(super) struct Slots<'a> {
    kept: &'a BTreeSet<Version>,
    /// Versions that are to be there even if nothing is left of them.
    named: &'a BTreeSet<Version>,
    /// Everything, where there is none.
    scope: Option<&'a Scope>,
    /// What waits for the next version that is kept.
    pending: Changes,
    /// Names that lead to the scope in what came out so far.
    shown: HashSet<(NodeId, Name)>,
}

impl<'a> Slots<'a> {
    pub(super) fn new(
        kept: &'a BTreeSet<Version>,
        named: &'a BTreeSet<Version>,
        scope: Option<&'a Scope>,
    ) -> Slots<'a> {
        Slots {
            kept,
            named,
            scope,
            pending: Changes::default(),
            shown: HashSet::new(),
        }
    }

    /// Takes in the changes of a version. Answers those that it has now, if it is to be there.
    pub(super) fn take(&mut self, version: Version, changes: Changes) -> Option<Changes> {
        let mut now = match self.scope {
            None => {
                self.pending.absorb(changes);
                Changes::default()
            }
            Some(scope) => self.split(scope, changes),
        };
        if !self.kept.contains(&version) {
            return (!now.is_empty() || self.named.contains(&version)).then_some(now);
        }
        let waited = std::mem::take(&mut self.pending);
        if self.scope.is_some() {
            for (key, value) in &waited.names {
                match value {
                    Some(_) => self.shown.insert(key.clone()),
                    None => self.shown.remove(key),
                };
            }
        }
        now.absorb(waited);
        Some(now)
    }

    /// Has what is of the scope wait, and answers the rest.
    fn split(&mut self, scope: &Scope, changes: Changes) -> Changes {
        let mut now = Changes::default();
        let mut put = |pending: &mut Changes, ours: bool, more: Changes| match ours {
            true => pending.absorb(more),
            false => now.absorb(more),
        };
        for (id, node) in changes.nodes {
            let mut one = Changes::default();
            one.set::<Nodes>(id, node);
            put(&mut self.pending, scope.nodes.contains(&id), one);
        }
        for (key, value) in changes.attrs {
            let ours = scope.nodes.contains(&key.0);
            let mut one = Changes::default();
            one.set::<Attrs>(key, value);
            put(&mut self.pending, ours, one);
        }
        for (key, extent) in changes.extents {
            let ours = scope.contents.contains(&key.0);
            let mut one = Changes::default();
            one.set::<Extents>(key, extent);
            put(&mut self.pending, ours, one);
        }
        for (key, value) in changes.names {
            let shown = self.shown.contains(&key);
            let waits = self.pending.names.remove(&key).is_some();
            let led = value.as_ref().map(|dentry| dentry.child);
            let ours = scope.nodes.contains(&key.0)
                || led.is_some_and(|child| scope.nodes.contains(&child))
                || led.is_none() && (shown || waits);
            if ours && (shown || led.is_some()) {
                if !shown && !waits {
                    // What it led to before was of the rest.
                    now.set::<Names>(key.clone(), None);
                }
                self.pending.set::<Names>(key, value);
            } else if !ours {
                self.shown.remove(&key);
                now.set::<Names>(key, value);
            }
        }
        now
    }
}
