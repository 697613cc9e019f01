//! The [`Store`] trait that the semantics are built on, and [`Tx`], the view of one operation.

use super::{Changes, Entry, FsResult, Map, Version};
use std::ops::{ControlFlow, Range, RangeInclusive};

/// Four versioned maps. A look-up at a version returns the newest entry at or before it.
pub trait Store {
    /// Returns the value of `key` at version `at`, or `None` if there is none.
    fn get<M: Map>(&self, at: Version, key: &M::Key) -> FsResult<Option<M::Value>>;

    /// Visits the entries with keys in `from..to` at version `at`, in order, until `visit` breaks.
    fn scan<M: Map>(
        &self,
        at: Version,
        from: &M::Key,
        to: &M::Key,
        visit: &mut dyn FnMut(M::Key, M::Value) -> ControlFlow<()>,
    ) -> FsResult<()>;

    /// Returns the last entry with a key in `from..=to` at version `at`.
    fn last<M: Map>(&self, at: Version, from: &M::Key, to: &M::Key) -> FsResult<Option<Entry<M>>>;

    /// Visits the last entry in `before`, then the entries in `range`, as one consistent read. The
    /// default makes two reads, which is enough if nothing changes in between, as within an
    /// operation.
    fn scan_with_last<M: Map>(
        &self,
        at: Version,
        before: RangeInclusive<M::Key>,
        range: Range<M::Key>,
        visit: &mut dyn FnMut(M::Key, M::Value) -> ControlFlow<()>,
    ) -> FsResult<()> {
        if let Some((key, value)) = self.last::<M>(at, before.start(), before.end())?
            && visit(key, value).is_break()
        {
            return Ok(());
        }
        self.scan::<M>(at, &range.start, &range.end, visit)
    }

    /// Returns up to `limit` (at least 1) entries with keys in `from..to` at version `at`, in
    /// order, and the key at which the next page starts. The cost does not depend on how many
    /// entries follow. A page may have fewer entries than `limit` although others follow.
    fn page<M: Map>(
        &self,
        at: Version,
        from: &M::Key,
        to: &M::Key,
        limit: usize,
    ) -> FsResult<Page<M>>;
}

/// Consecutive entries of a range. See [`Store::page`].
#[derive(Debug)]
pub struct Page<M: Map> {
    /// The entries, in order.
    pub entries: Vec<Entry<M>>,
    /// The key at which the next page starts; `None` if no entries follow.
    pub next: Option<M::Key>,
}

impl<M: Map> Default for Page<M> {
    fn default() -> Self {
        Page {
            entries: Vec::new(),
            next: None,
        }
    }
}

impl<M: Map> Page<M> {
    /// Adds an entry, or notes it as the next one and breaks if the page has `limit` entries.
    pub fn add(&mut self, limit: usize, key: M::Key, value: M::Value) -> ControlFlow<()> {
        if self.entries.len() == limit {
            self.next = Some(key);
            return ControlFlow::Break(());
        }
        self.entries.push((key, value));
        ControlFlow::Continue(())
    }
}

/// [`Store::page`] of a store whose scans read no further than they are visited.
pub fn page_by_scan<M: Map, S: Store>(
    store: &S,
    at: Version,
    from: &M::Key,
    to: &M::Key,
    limit: usize,
) -> FsResult<Page<M>> {
    let mut page = Page::default();
    if from < to {
        store.scan::<M>(at, from, to, &mut |key, value| page.add(limit, key, value))?;
    }
    Ok(page)
}

/// An operation in progress. It reads the present and its own changes. Others see its changes only
/// after they are applied.
pub struct Tx<'s, S> {
    store: &'s S,
    changes: Changes,
}

impl<'s, S: Store> Tx<'s, S> {
    /// Begins an operation on the present of `store`.
    pub fn new(store: &'s S) -> Self {
        Tx {
            store,
            changes: Changes::default(),
        }
    }

    /// Returns the maps without the changes of this operation.
    pub fn store(&self) -> &'s S {
        self.store
    }

    /// Returns the value of `key`, including this operation's own changes.
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

    /// Returns the operation's own changes so far.
    pub fn changes(&self) -> &Changes {
        &self.changes
    }

    /// Returns the changes of the operation, to be applied atomically.
    pub fn finish(self) -> Changes {
        self.changes
    }
}

/// Reads of the present include the operation's own changes; reads of the past do not.
impl<S: Store> Store for Tx<'_, S> {
    fn get<M: Map>(&self, at: Version, key: &M::Key) -> FsResult<Option<M::Value>> {
        match at {
            Version::NOW => Tx::get::<M>(self, key),
            _ => self.store.get::<M>(at, key),
        }
    }

    fn scan<M: Map>(
        &self,
        at: Version,
        from: &M::Key,
        to: &M::Key,
        visit: &mut dyn FnMut(M::Key, M::Value) -> ControlFlow<()>,
    ) -> FsResult<()> {
        let own = M::of(&self.changes);
        if at != Version::NOW || own.is_empty() || from >= to {
            return self.store.scan::<M>(at, from, to, visit);
        }
        let mut own = own.range(from..to).peekable();
        let mut stopped = false;
        self.store.scan::<M>(at, from, to, &mut |key, value| {
            while let Some((earlier, value)) = own.next_if(|(other, _)| **other < key) {
                if let Some(value) = value
                    && visit(earlier.clone(), value.clone()).is_break()
                {
                    stopped = true;
                    return ControlFlow::Break(());
                }
            }
            let flow = match own.next_if(|(other, _)| **other == key) {
                None => visit(key, value),
                Some((_, Some(value))) => visit(key, value.clone()),
                Some((_, None)) => ControlFlow::Continue(()),
            };
            stopped = flow.is_break();
            flow
        })?;
        let rest = own.filter_map(|(key, value)| Some((key, value.as_ref()?)));
        for (key, value) in rest {
            if stopped || visit(key.clone(), value.clone()).is_break() {
                break;
            }
        }
        Ok(())
    }

    fn last<M: Map>(&self, at: Version, from: &M::Key, to: &M::Key) -> FsResult<Option<Entry<M>>> {
        let own = M::of(&self.changes);
        if at != Version::NOW || own.is_empty() || from > to {
            return self.store.last::<M>(at, from, to);
        }
        let stored = self.store.last::<M>(at, from, to)?;
        match (stored, own.range(from..=to).next_back()) {
            (Some(stored), Some((key, _))) if stored.0 > *key => Ok(Some(stored)),
            (stored, None) => Ok(stored),
            (_, Some((key, Some(value)))) => Ok(Some((key.clone(), value.clone()))),
            // The operation removed the last entry: scan forward for the one before it.
            (_, Some((key, None))) => {
                let mut last = None;
                self.scan::<M>(at, from, key, &mut |key, value| {
                    last = Some((key, value));
                    ControlFlow::Continue(())
                })?;
                Ok(last)
            }
        }
    }

    fn page<M: Map>(
        &self,
        at: Version,
        from: &M::Key,
        to: &M::Key,
        limit: usize,
    ) -> FsResult<Page<M>> {
        let own = M::of(&self.changes);
        match at == Version::NOW && from < to && own.range(from..to).next().is_some() {
            true => page_by_scan(self, at, from, to, limit),
            false => self.store.page(at, from, to, limit),
        }
    }
}
