//! Thins a history: the changes up to a kept version become changes of that version.
//!
//! In: the changes of every version, in order. Out: those of the remaining versions. Invariant:
//! at a kept version the tree is unchanged; at any other number the scope shows the tree of the
//! last kept version before it.

use crate::tinyfs::{Attrs, Changes, ContentId, Extents, Name, Names, NodeId, Nodes, Version};
use std::collections::{BTreeSet, HashSet};

/// The part of the tree whose history is thinned.
#[derive(Debug, Default)]
pub(in crate::pond) struct Scope {
    /// The node that the path leads to in the newest version, if it is one of the nodes.
    pub root: Option<NodeId>,
    pub nodes: HashSet<NodeId>,
    /// All contents that these nodes ever had.
    pub contents: HashSet<ContentId>,
}

/// Produces the changes of the remaining versions.
pub(super) struct Slots<'a> {
    kept: &'a BTreeSet<Version>,
    /// Versions that remain even without changes.
    named: &'a BTreeSet<Version>,
    /// The scope; `None` is the whole tree.
    scope: Option<&'a Scope>,
    /// Changes that are postponed to the next kept version.
    pending: Changes,
    /// Names that lead to the scope in the changes returned so far.
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

    /// Adds the changes of a version. Returns its new changes if the version remains.
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

    /// Postpones the changes within the scope, and returns the rest.
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
                    // The node that the name led to before was outside the scope.
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
