//! A [`Store`] in memory for tests and models. It keeps every version of every entry.

use super::{Changes, Entries, Entry, FsResult, Map, Page, Store, Version, page_by_scan};
use std::collections::BTreeMap;
use std::ops::ControlFlow;

/// Four versioned maps in memory. The changes of each version are kept apart, so that a look-up is
/// the definition itself: the newest entry at or before a version.
#[derive(Debug, Default)]
pub struct MemoryStore {
    committed: BTreeMap<Version, Changes>,
    open: Changes,
}

impl MemoryStore {
    /// Applies the changes of an operation to the open version.
    pub fn apply(&mut self, changes: Changes) {
        self.open.absorb(changes);
    }

    /// Commits the open version as `number`, which must be newer than every committed version.
    pub fn commit(&mut self, number: Version) {
        self.committed
            .insert(number, std::mem::take(&mut self.open));
    }

    /// Returns all changes visible at version `at`, newest first.
    fn layers(&self, at: Version) -> impl Iterator<Item = &Changes> {
        let open = (at == Version::NOW).then_some(&self.open);
        open.into_iter().chain(
            self.committed
                .range(..=at)
                .rev()
                .map(|(_, changes)| changes),
        )
    }

    fn range<M: Map>(&self, at: Version, from: &M::Key, to: &M::Key, upto: bool) -> Entries<M> {
        let mut merged = Entries::<M>::new();
        for layer in self.layers(at) {
            for (key, value) in M::of(layer).range(from.clone()..) {
                if key > to || (key == to && !upto) {
                    break;
                }
                merged.entry(key.clone()).or_insert_with(|| value.clone());
            }
        }
        merged
    }
}

impl Store for MemoryStore {
    fn get<M: Map>(&self, at: Version, key: &M::Key) -> FsResult<Option<M::Value>> {
        let newest = self.layers(at).find_map(|layer| layer.get::<M>(key));
        Ok(newest.flatten().cloned())
    }

    fn scan<M: Map>(
        &self,
        at: Version,
        from: &M::Key,
        to: &M::Key,
        visit: &mut dyn FnMut(M::Key, M::Value) -> ControlFlow<()>,
    ) -> FsResult<()> {
        for (key, value) in self.range::<M>(at, from, to, false) {
            if let Some(value) = value
                && visit(key, value).is_break()
            {
                break;
            }
        }
        Ok(())
    }

    fn last<M: Map>(&self, at: Version, from: &M::Key, to: &M::Key) -> FsResult<Option<Entry<M>>> {
        let merged = self.range::<M>(at, from, to, true);
        Ok(merged
            .into_iter()
            .rev()
            .find_map(|(key, value)| value.map(|value| (key, value))))
    }

    fn page<M: Map>(
        &self,
        at: Version,
        from: &M::Key,
        to: &M::Key,
        limit: usize,
    ) -> FsResult<Page<M>> {
        page_by_scan(self, at, from, to, limit)
    }
}
