//! The index as a [`Store`]: the open version over what is committed.

use super::Index;
use crate::tinyfs::{Entries, Entry, FsResult, Map, Store, Version};
use std::collections::BTreeSet;
use std::ops::ControlFlow;

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
        Ok(self.disk.get::<M>(at, key)?)
    }

    fn scan<M: Map>(
        &self,
        at: Version,
        from: &M::Key,
        to: &M::Key,
        visit: &mut dyn FnMut(M::Key, M::Value) -> ControlFlow<()>,
    ) -> FsResult<()> {
        if at != Version::NOW {
            return Ok(self
                .disk
                .scan::<M>(&self.disk.snapshot(), at, from, to, visit)?);
        }
        let mut open = Entries::<M>::new();
        let on_disk = {
            let layers = self.layers.read();
            for layer in layers.newest_first() {
                for (key, value) in M::of(layer).range(from..to) {
                    if !open.contains_key(key) {
                        open.insert(key.clone(), value.clone());
                    }
                }
            }
            // Taken while the layers stand still: otherwise entries of before and after a commit mix.
            (M::owner(from) < layers.born()).then(|| self.disk.snapshot())
        };
        let mut open = open.into_iter().peekable();
        let mut stopped = false;
        if let Some(snapshot) = on_disk {
            self.disk
                .scan::<M>(&snapshot, at, from, to, &mut |key, value| {
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

    fn last<M: Map>(&self, at: Version, from: &M::Key, to: &M::Key) -> FsResult<Option<Entry<M>>> {
        if at != Version::NOW {
            return Ok(self
                .disk
                .last::<M>(&self.disk.snapshot(), at, from, to, &|_| false)?);
        }
        // A key's newest layer decides; an entry that was removed hides those below it.
        let mut removed = BTreeSet::new();
        let (best, on_disk) = {
            let layers = self.layers.read();
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
            let on_disk = (M::owner(from) < layers.born()).then(|| self.disk.snapshot());
            (best, on_disk)
        };
        let Some(snapshot) = on_disk else {
            return Ok(best);
        };
        let hidden = |key: &M::Key| removed.contains(key);
        let committed = self.disk.last::<M>(&snapshot, at, from, to, &hidden)?;
        // Where both have the key, the open version says what it holds now.
        Ok(match (best, committed) {
            (Some(open), Some(committed)) if committed.0 > open.0 => Some(committed),
            (None, committed) => committed,
            (open, _) => open,
        })
    }
}
