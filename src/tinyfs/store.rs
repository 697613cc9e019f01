//! The small trait that all semantics stand on: versioned maps to look things up in.

use super::{FsResult, Map, Version};
use std::ops::ControlFlow;

/// Four versioned maps. A look-up names a version, and gets the newest entry at or before it.
pub trait Store {
    /// The value of `key` at version `at`, or `None` where there was none.
    fn get<M: Map>(&self, at: Version, key: &M::Key) -> FsResult<Option<M::Value>>;

    /// Visits the entries of `from..to` at version `at`, in the order of their keys, until `visit`
    /// breaks.
    fn scan<M: Map>(
        &self,
        at: Version,
        from: &M::Key,
        to: Option<&M::Key>,
        visit: &mut dyn FnMut(M::Key, M::Value) -> ControlFlow<()>,
    ) -> FsResult<()>;

    /// The last entry with a key in `from..=to` at version `at`.
    fn last<M: Map>(
        &self,
        at: Version,
        from: &M::Key,
        to: &M::Key,
    ) -> FsResult<Option<(M::Key, M::Value)>>;
}
