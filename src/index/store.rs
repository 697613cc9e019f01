//! The index as a [`Store`]: the open version above the committed entries.
//!
//! A reader of the present copies the entries of the memtables under their lock and takes a
//! snapshot of the key-value store under the same lock. Otherwise it could mix the state before an
//! operation or a commit with the state after it.

use super::Index;
use super::memtables::Memtables;
use super::reads;
use super::slot::View;
use crate::tinyfs::{Entries, Entry, FsResult, Map, Page, Store, Version, page_by_scan};
use std::collections::BTreeSet;
use std::ops::{ControlFlow, Range, RangeInclusive};

impl Store for Index {
    fn get<M: Map>(&self, at: Version, key: &M::Key) -> FsResult<Option<M::Value>> {
        if at == Version::NOW {
            let memtables = self.memtables.read();
            if let Some(open) = memtables.get::<M>(key) {
                return Ok(open.cloned());
            }
            if M::owner(key) >= memtables.born() {
                return Ok(None);
            }
        }
        Ok(self.disk.get()?.get::<M>(at, key)?)
    }

    fn scan<M: Map>(
        &self,
        at: Version,
        from: &M::Key,
        to: &M::Key,
        visit: &mut dyn FnMut(M::Key, M::Value) -> ControlFlow<()>,
    ) -> FsResult<()> {
        if at != Version::NOW {
            return self.disk.view()?.scan::<M>(at, from, to, visit);
        }
        let (open, below) = {
            let memtables = self.memtables.read();
            let open = open_entries::<M>(&memtables, from, to);
            (open, self.below::<M>(&memtables, from)?)
        };
        self.scan_over::<M>(open, below.as_ref(), from, to, visit)
    }

    fn last<M: Map>(&self, at: Version, from: &M::Key, to: &M::Key) -> FsResult<Option<Entry<M>>> {
        if at != Version::NOW {
            return self.disk.view()?.last::<M>(at, from, to, &|_| false);
        }
        let (open, below) = {
            let memtables = self.memtables.read();
            let open = OpenLast::<M>::of(&memtables, from, to);
            (open, self.below::<M>(&memtables, from)?)
        };
        self.last_over(open, below.as_ref(), from, to)
    }

    fn scan_with_last<M: Map>(
        &self,
        at: Version,
        before: RangeInclusive<M::Key>,
        range: Range<M::Key>,
        visit: &mut dyn FnMut(M::Key, M::Value) -> ControlFlow<()>,
    ) -> FsResult<()> {
        let (first, until) = (before.start(), before.end());
        let (from, to) = (&range.start, &range.end);
        if at != Version::NOW {
            // A past version does not change, so two reads need no common snapshot.
            if let Some((key, value)) = self.last::<M>(at, first, until)?
                && visit(key, value).is_break()
            {
                return Ok(());
            }
            return self.scan::<M>(at, from, to, visit);
        }
        let (last, open, below) = {
            let memtables = self.memtables.read();
            let last = OpenLast::<M>::of(&memtables, first, until);
            let open = open_entries::<M>(&memtables, from, to);
            (last, open, self.below::<M>(&memtables, first)?)
        };
        if let Some((key, value)) = self.last_over(last, below.as_ref(), first, until)?
            && visit(key, value).is_break()
        {
            return Ok(());
        }
        self.scan_over::<M>(open, below.as_ref(), from, to, visit)
    }

    fn page<M: Map>(
        &self,
        at: Version,
        from: &M::Key,
        to: &M::Key,
        limit: usize,
    ) -> FsResult<Page<M>> {
        if at != Version::NOW || from >= to {
            return page_by_scan(self, at, from, to, limit);
        }
        let (open, rest, below) = {
            let memtables = self.memtables.read();
            let (open, rest) = open_page::<M>(&memtables, from, to, limit);
            (open, rest, self.below::<M>(&memtables, from)?)
        };
        let to = rest.as_ref().unwrap_or(to);
        let mut page = Page::default();
        self.scan_over::<M>(open, below.as_ref(), from, to, &mut |key, value| {
            page.add(limit, key, value)
        })?;
        page.next = page.next.or(rest);
        Ok(page)
    }
}

impl Index {
    /// Returns a view of the store below these memtables, if it can have entries of the owner of
    /// `key`.
    fn below<M: Map>(&self, memtables: &Memtables, key: &M::Key) -> FsResult<Option<View<'_>>> {
        Ok(match M::owner(key) < memtables.born() {
            true => Some(self.disk.view()?),
            false => None,
        })
    }

    /// Visits the entries in `from..to` of the store, overlaid by those of the open version.
    fn scan_over<M: Map>(
        &self,
        open: Entries<M>,
        below: Option<&View<'_>>,
        from: &M::Key,
        to: &M::Key,
        visit: &mut dyn FnMut(M::Key, M::Value) -> ControlFlow<()>,
    ) -> FsResult<()> {
        let mut open = open.into_iter().peekable();
        let mut stopped = false;
        if let Some(disk) = below {
            disk.scan::<M>(Version::NOW, from, to, &mut |key, value| {
                while let Some((earlier, value)) = open.next_if(|(other, _)| *other < key) {
                    if let Some(value) = value
                        && visit(earlier, value).is_break()
                    {
                        stopped = true;
                        return ControlFlow::Break(());
                    }
                }
                let flow = match open.next_if(|(other, _)| *other == key) {
                    None => visit(key, value),
                    Some((key, Some(value))) => visit(key, value),
                    Some((_, None)) => ControlFlow::Continue(()),
                };
                stopped = flow.is_break();
                flow
            })?;
        }
        if !stopped {
            for (key, value) in open {
                if let Some(value) = value
                    && visit(key, value).is_break()
                {
                    break;
                }
            }
        }
        Ok(())
    }

    /// Returns the last entry in `from..=to` of the store, overlaid by the open version.
    fn last_over<M: Map>(
        &self,
        open: OpenLast<M>,
        below: Option<&View<'_>>,
        from: &M::Key,
        to: &M::Key,
    ) -> FsResult<Option<Entry<M>>> {
        let OpenLast { best, removed } = open;
        let Some(disk) = below else {
            return Ok(best);
        };
        let hidden = |key: &M::Key| removed.contains(key);
        let committed = disk.last::<M>(Version::NOW, from, to, &hidden)?;
        // For a key that both have, the open version has the newer value.
        Ok(match (best, committed) {
            (Some(open), Some(committed)) if committed.0 > open.0 => Some(committed),
            (None, committed) => committed,
            (open, _) => open,
        })
    }
}

/// Returns the entries and removal marks of the open version in `from..to`.
fn open_entries<M: Map>(memtables: &Memtables, from: &M::Key, to: &M::Key) -> Entries<M> {
    let mut open = Entries::<M>::new();
    for memtable in memtables.newest_first() {
        for (key, value) in M::of(memtable).range(from..to) {
            reads::note();
            if !open.contains_key(key) {
                open.insert(key.clone(), value.clone());
            }
        }
    }
    open
}

/// Returns the first `limit` entries and removal marks of the open version in `from..to`, and the
/// key of the next one, if there are more.
fn open_page<M: Map>(
    memtables: &Memtables,
    from: &M::Key,
    to: &M::Key,
    limit: usize,
) -> (Entries<M>, Option<M::Key>) {
    let ranges = memtables
        .newest_first()
        .map(|memtable| M::of(memtable).range(from..to));
    let mut ranges: Vec<_> = ranges.map(Iterator::peekable).collect();
    let mut open = Entries::<M>::new();
    loop {
        let heads = ranges.iter_mut().filter_map(|range| range.peek());
        let Some(key) = heads.map(|(key, _)| *key).min() else {
            return (open, None);
        };
        if open.len() == limit {
            return (open, Some(key.clone()));
        }
        // All memtables continue after the key; the newest one decides.
        let mut newest: Option<&Option<M::Value>> = None;
        for range in &mut ranges {
            if let Some((_, value)) = range.next_if(|(other, _)| *other == key) {
                reads::note();
                newest = newest.or(Some(value));
            }
        }
        if let Some(value) = newest {
            open.insert(key.clone(), value.clone());
        }
    }
}

/// The last entry of the open version in a range, and the keys after it that it removed.
struct OpenLast<M: Map> {
    best: Option<Entry<M>>,
    removed: BTreeSet<M::Key>,
}

impl<M: Map> OpenLast<M> {
    /// Finds both. The newest memtable with a key decides; a removal mark hides older entries.
    fn of(memtables: &Memtables, from: &M::Key, to: &M::Key) -> OpenLast<M> {
        let mut removed = BTreeSet::new();
        let mut best: Option<(&M::Key, &M::Value)> = None;
        for memtable in memtables.newest_first() {
            for (key, value) in M::of(memtable).range(from..=to).rev() {
                if best.is_some_and(|(later, _)| later >= key) {
                    break;
                }
                if removed.contains(key) {
                    continue;
                }
                match value {
                    Some(value) => {
                        best = Some((key, value));
                        break;
                    }
                    None => {
                        removed.insert(key.clone());
                    }
                }
            }
        }
        let best = best.map(|(key, value)| (key.clone(), value.clone()));
        OpenLast { best, removed }
    }
}
