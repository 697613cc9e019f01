//! The index as a [`Store`]: the open version over what is committed.
//!
//! What the open version says is copied out while the layers stand still, and a snapshot of the disk is taken with
//! it: otherwise entries of before and after an operation or a commit mix.

use super::Index;
use super::layers::Layers;
use super::slot::View;
use crate::tinyfs::{Entries, Entry, FsResult, Map, Store, Version};
use std::collections::BTreeSet;
use std::ops::{ControlFlow, Range, RangeInclusive};

impl Store for Index {
    fn get<M: Map>(&self, at: Version, key: &M::Key) -> FsResult<Option<M::Value>> {
        if at == Version::NOW {
            let layers = self.layers.read();
            if let Some(open) = layers.get::<M>(key) {
                return Ok(open.cloned());
            }
            if M::owner(key) >= layers.born() {
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
            let layers = self.layers.read();
            let open = open_entries::<M>(&layers, from, to);
            (open, self.below::<M>(&layers, from)?)
        };
        self.scan_over::<M>(open, below.as_ref(), from, to, visit)
    }

    fn last<M: Map>(&self, at: Version, from: &M::Key, to: &M::Key) -> FsResult<Option<Entry<M>>> {
        if at != Version::NOW {
            return self.disk.view()?.last::<M>(at, from, to, &|_| false);
        }
        let (open, below) = {
            let layers = self.layers.read();
            let open = OpenLast::<M>::of(&layers, from, to);
            (open, self.below::<M>(&layers, from)?)
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
            // The past stands still.
            if let Some((key, value)) = self.last::<M>(at, first, until)?
                && visit(key, value).is_break()
            {
                return Ok(());
            }
            return self.scan::<M>(at, from, to, visit);
        }
        let (last, open, below) = {
            let layers = self.layers.read();
            let last = OpenLast::<M>::of(&layers, first, until);
            let open = open_entries::<M>(&layers, from, to);
            (last, open, self.below::<M>(&layers, first)?)
        };
        if let Some((key, value)) = self.last_over(last, below.as_ref(), first, until)?
            && visit(key, value).is_break()
        {
            return Ok(());
        }
        self.scan_over::<M>(open, below.as_ref(), from, to, visit)
    }
}

impl Index {
    /// The disk as it is below these layers, if it can have anything of the owner of `key`.
    fn below<M: Map>(&self, layers: &Layers, key: &M::Key) -> FsResult<Option<View<'_>>> {
        Ok(match M::owner(key) < layers.born() {
            true => Some(self.disk.view()?),
            false => None,
        })
    }

    /// Visits what stands in `from..to` on disk and what the open version puts over it.
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

    /// The last entry in `from..=to` of the disk and of the open version over it.
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
        // Where both have the key, the open version says what it holds now.
        Ok(match (best, committed) {
            (Some(open), Some(committed)) if committed.0 > open.0 => Some(committed),
            (None, committed) => committed,
            (open, _) => open,
        })
    }
}

/// What the open version says of the keys in `from..to`.
fn open_entries<M: Map>(layers: &Layers, from: &M::Key, to: &M::Key) -> Entries<M> {
    let mut open = Entries::<M>::new();
    for layer in layers.newest_first() {
        for (key, value) in M::of(layer).range(from..to) {
            if !open.contains_key(key) {
                open.insert(key.clone(), value.clone());
            }
        }
    }
    open
}

/// The last entry of the open version in some range, and what it removed behind that.
struct OpenLast<M: Map> {
    best: Option<Entry<M>>,
    removed: BTreeSet<M::Key>,
}

impl<M: Map> OpenLast<M> {
    /// A key's newest layer decides; an entry that was removed hides those below it.
    fn of(layers: &Layers, from: &M::Key, to: &M::Key) -> OpenLast<M> {
        let mut removed = BTreeSet::new();
        let mut best: Option<(&M::Key, &M::Value)> = None;
        for layer in layers.newest_first() {
            for (key, value) in M::of(layer).range(from..=to).rev() {
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
