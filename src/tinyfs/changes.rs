//! A set of changed entries of the four maps: of one operation, of the open version or of a commit.

use super::{Attrs, Extents, Map, Names, Nodes};
use std::collections::BTreeMap;

/// Changed entries of one map: the new value, or `None` where the entry was removed.
pub type Entries<M> = BTreeMap<<M as Map>::Key, Option<<M as Map>::Value>>;

/// Changed entries of all four maps, at most one per key: the newest.
#[derive(Clone, Debug, Default)]
pub struct Changes {
    /// Changes of the map *nodes*.
    pub nodes: Entries<Nodes>,
    /// Changes of the map *names*.
    pub names: Entries<Names>,
    /// Changes of the map *extents*.
    pub extents: Entries<Extents>,
    /// Changes of the map *attrs*.
    pub attrs: Entries<Attrs>,
}

impl Changes {
    /// Returns the number of changed entries.
    pub fn len(&self) -> usize {
        self.nodes.len() + self.names.len() + self.extents.len() + self.attrs.len()
    }

    /// Returns whether nothing is changed.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Records that an entry is put, or with `None` removed.
    pub fn set<M: Map>(&mut self, key: M::Key, value: Option<M::Value>) {
        M::of_mut(self).insert(key, value);
    }

    /// Returns the change of a key: `None` if there is none, `Some(None)` if the entry is removed.
    pub fn get<M: Map>(&self, key: &M::Key) -> Option<Option<&M::Value>> {
        M::of(self).get(key).map(Option::as_ref)
    }

    /// Adds `newer` changes. They replace older changes of the same keys.
    pub fn absorb(&mut self, newer: Changes) {
        fn one<M: Map>(into: &mut Changes, mut newer: Entries<M>) {
            let into = M::of_mut(into);
            if newer.len() <= into.len() {
                return into.extend(newer);
            }
            // The smaller set goes into the larger one.
            std::mem::swap(into, &mut newer);
            let older = newer;
            for (key, value) in older {
                into.entry(key).or_insert(value);
            }
        }
        one::<Nodes>(self, newer.nodes);
        one::<Names>(self, newer.names);
        one::<Extents>(self, newer.extents);
        one::<Attrs>(self, newer.attrs);
    }
}
