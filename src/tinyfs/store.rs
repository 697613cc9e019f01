//! The small trait that all semantics stand on, and the read-your-writes view that operations use.

use super::{Changes, Entry, FsResult, Map, Version};
use std::ops::ControlFlow;

/// Four versioned maps. A look-up names a version, and gets the newest entry at or before it.
pub trait Store {
    /// The value of `key` at version `at`, or `None` where there was none.
    fn get<M: Map>(&self, at: Version, key: &M::Key) -> FsResult<Option<M::Value>>;

    /// Visits the entries with keys in `from..to` at version `at`, in order, until `visit` breaks.
    fn scan<M: Map>(
        &self,
        at: Version,
        from: &M::Key,
        to: &M::Key,
        visit: &mut dyn FnMut(M::Key, M::Value) -> ControlFlow<()>,
    ) -> FsResult<()>;

    /// The last entry with a key in `from..=to` at version `at`.
    fn last<M: Map>(&self, at: Version, from: &M::Key, to: &M::Key) -> FsResult<Option<Entry<M>>>;
}

/// One operation under way: it sees the present and its own changes, and nobody else sees them
/// before they are applied.
pub struct Tx<'s, S> {
    store: &'s S,
    changes: Changes,
}

impl<'s, S: Store> Tx<'s, S> {
    /// An operation on the present of `store`.
    pub fn new(store: &'s S) -> Self {
        Tx {
            store,
            changes: Changes::default(),
        }
    }

    /// The maps as they were before this operation.
    pub fn store(&self) -> &'s S {
        self.store
    }

    /// The value of `key`, this operation's own changes included.
    pub fn get<M: Map>(&self, key: &M::Key) -> FsResult<Option<M::Value>> {
        match self.changes.get::<M>(key) {
            Some(changed) => Ok(changed.cloned()),
            None => self.store.get::<M>(Version::NOW, key),
        }
    }

    /// Puts an entry.
    pub fn put<M: Map>(&mut self, key: M::Key, value: M::Value) {
        self.changes.set::<M>(key, Some(value));
    }

    /// Removes an entry.
    pub fn remove<M: Map>(&mut self, key: M::Key) {
        self.changes.set::<M>(key, None);
    }

    /// What the operation changes, to be applied as one.
    pub fn finish(self) -> Changes {
        self.changes
    }
}
