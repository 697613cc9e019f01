//! Restores the past into the present, as one change that is itself a version.

use crate::index::{Index, VersionInfo};
use crate::pond::commit::Log;
use crate::pond::prune::Folded;
use crate::pond::{Pond, PondError};
use crate::tinyfs::ops::{self, Place, Restored, Reverted};
use crate::tinyfs::{Changes, Errno, FsResult, NodeId, Nodes, Store, Tx, Version, describe};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The result of a restoration or an undo.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Return {
    /// The version that was restored.
    pub from: Version,
    /// The version that holds the result.
    pub version: Version,
    /// Number of names and nodes that were changed.
    pub changes: usize,
}

/// The changes that an undo reverts.
enum Undone {
    /// The changes that are in no version yet, as the generation that ends with them.
    Open(u64),
    Version(VersionInfo),
}

/// A version that can be undone.
struct Committed {
    info: VersionInfo,
    /// The version before it.
    since: Version,
    changes: Changes,
    /// Nodes for which the changes of that version are unknown.
    kept: BTreeSet<NodeId>,
}

impl Committed {
    fn reverted(&self) -> Reverted<'_> {
        Reverted {
            since: self.since,
            changes: &self.changes,
            kept: &self.kept,
        }
    }
}

/// A callback for changes of the tree that do not come from the kernel's requests.
pub type Watcher = Arc<dyn Fn(&Restored) + Send + Sync>;

/// A callback after each change, from any source. It returns soon, and makes no changes itself.
pub type OnChange = Box<dyn Fn() + Send + Sync>;

impl Pond {
    /// Registers `watcher` for changes that do not come through the mount.
    pub fn watch(&self, watcher: Watcher) {
        *self.watcher.lock() = Some(watcher);
    }

    /// Registers a callback after each change of the present, before the caller of the change gets
    /// its result.
    pub fn on_change(&self, told: OnChange) {
        *self.on_change.write() = Some(told);
    }

    /// Reports names and nodes to the watcher that changed without a request of the kernel.
    ///
    /// The watcher may wait until requests of the kernel are answered. So the caller holds no lock
    /// that an operation, a flush or a commit takes; nor does this function.
    pub fn announce(&self, changed: &Restored) {
        let watcher = self.watcher.lock().clone();
        if let Some(watcher) = watcher {
            watcher(changed);
        }
    }

    /// Restores `place` as it was at version `at`; without a place, the whole tree.
    ///
    /// When this returns, the previous state has a version of its own, and the restored state the
    /// next one. Neither holds half of a save, unless saves continue for a minute.
    pub fn restore(&self, place: Option<Place<'_>>, at: Version) -> Result<Return, PondError> {
        // No version is forgotten while the log is held.
        let is_there = |_: &Log| self.check_version(at);
        let restored = self.between_versions(is_there, |before, ()| {
            let restored = self.change_history(|tx, is_open, fresh| {
                ops::restore(tx, (self.clock)(), place, at, is_open, fresh)
            });
            Ok((before + 1, restored.map_err(PondError::Tree)?))
        });
        let (generation, restored) = self.made_in_between(restored)?;
        self.returned(at, generation, &restored)
    }

    /// Reverts the changes of the newest version, and nothing else. A version that only names
    /// another one is skipped, since it changes nothing. Returns the version and the result.
    ///
    /// Errors: [`PondError::Folded`] and [`PondError::Entangled`] where the changes of that version
    /// cannot be distinguished, or separated, from those of forgotten versions.
    pub fn undo(&self) -> Result<(VersionInfo, Return), PondError> {
        let undone = self.between_versions(
            |log| Ok((self.latest(), self.newest_change(log))),
            |before, (latest, committed)| {
                let (changes, none) = (self.index.sealed(before)?, BTreeSet::new());
                let open = Reverted {
                    since: latest.version,
                    changes: &changes,
                    kept: &none,
                };
                if open.is_visible(&self.index).map_err(PondError::Tree)? {
                    let restored = self.take_back(open).map_err(PondError::Tree)?;
                    return Ok((before + 1, Undone::Open(before), open.since, restored));
                }
                let committed = committed?;
                let restored = self.take_back(committed.reverted());
                let restored = restored.map_err(|error| match error.errno() {
                    Errno::EBUSY => PondError::Entangled(committed.info.version),
                    _ => PondError::Tree(error),
                })?;
                let undone = Undone::Version(committed.info);
                Ok((before + 1, undone, committed.since, restored))
            },
        );
        let (generation, undone, since, restored) = self.made_in_between(undone)?;
        let done = self.returned(since, generation, &restored)?;
        let undone = match undone {
            Undone::Version(info) => info,
            Undone::Open(generation) => self.version_of(generation),
        };
        Ok((undone, done))
    }

    /// Returns the newest version with a visible change.
    fn newest_change(&self, log: &Log) -> Result<Committed, PondError> {
        let mut info = self.latest();
        loop {
            let earlier = match info.version.0.checked_sub(1).map(Version) {
                Some(earlier) => self.index.nth_back(earlier, 0)?,
                None => None,
            };
            let earlier = earlier.ok_or(PondError::NothingToUndo)?;
            let kept = match self.folded_into(info.version).map_err(PondError::Tree)? {
                Folded::Everything => return Err(PondError::Folded(info.version)),
                Folded::Nodes(nodes) => self.all_below(info.version, nodes),
            };
            let found = Committed {
                info,
                since: earlier.version,
                changes: log.changes_of(info.version)?,
                kept: kept.map_err(PondError::Tree)?,
            };
            let none = BTreeSet::new();
            let all = Reverted {
                kept: &none,
                ..found.reverted()
            };
            let is_visible = |what: Reverted<'_>| what.is_visible(&self.index);
            if is_visible(found.reverted()).map_err(PondError::Tree)? {
                return Ok(found);
            }
            if is_visible(all).map_err(PondError::Tree)? {
                return Err(PondError::Folded(info.version));
            }
            info = earlier;
        }
    }

    /// Returns these nodes and everything below them at a version, except files that also have a
    /// name elsewhere, whose history was not forgotten.
    fn all_below(&self, at: Version, nodes: Vec<NodeId>) -> FsResult<BTreeSet<NodeId>> {
        let mut names: BTreeMap<NodeId, u32> = BTreeMap::new();
        let mut found = BTreeSet::new();
        let mut waiting = nodes;
        while let Some(id) = waiting.pop() {
            *names.entry(id).or_default() += 1;
            if found.insert(id) && self.has_node(at, id)? && self.node(at, id)?.is_dir() {
                let below = self.list(at, id)?;
                waiting.extend(below.iter().map(|(_, dentry)| dentry.child));
            }
        }
        for (id, names) in names {
            let node = self.index.get::<Nodes>(at, &id)?;
            if node.is_some_and(|node| !node.is_dir() && node.nlink > names) {
                found.remove(&id);
            }
        }
        Ok(found)
    }

    fn take_back(&self, what: Reverted<'_>) -> FsResult<Restored> {
        self.change_history(|tx, is_open, fresh| {
            ops::revert(tx, (self.clock)(), what, is_open, fresh)
        })
    }

    /// Notes the result of a change between two versions. If it failed, commits the changes that
    /// were made until then as their own version.
    fn made_in_between<T>(&self, changed: Result<T, PondError>) -> Result<T, PondError> {
        self.committer.changed();
        changed.inspect_err(|_| {
            if let Err(error) = self.commit() {
                tracing::warn!("no version was made: {}", describe(&error));
            }
        })
    }

    /// Reports what was restored in a generation, and commits it.
    fn returned(
        &self,
        from: Version,
        generation: u64,
        restored: &Restored,
    ) -> Result<Return, PondError> {
        self.announce(restored);
        self.commit()?;
        Ok(Return {
            from,
            version: self.version_of(generation).version,
            changes: restored.names.len() + restored.nodes.len(),
        })
    }

    /// Returns the version that a generation became; the newest one if it changed nothing, or if
    /// many were made since.
    fn version_of(&self, generation: u64) -> VersionInfo {
        let made = self.log.lock().version_of(generation);
        made.unwrap_or_else(|| self.latest())
    }

    fn check_version(&self, at: Version) -> Result<(), PondError> {
        match self.version(at).map_err(PondError::Tree)? {
            Some(_) => Ok(()),
            None => Err(PondError::NoVersion(at.to_string())),
        }
    }

    /// Changes the present by a past state. The caller holds `changing`.
    fn change_history(
        &self,
        change: impl FnOnce(
            &mut Tx<'_, Index>,
            &dyn Fn(NodeId) -> bool,
            &mut dyn FnMut() -> u64,
        ) -> FsResult<Restored>,
    ) -> FsResult<Restored> {
        let mut tx = Tx::new(&self.index);
        let is_open = |id| self.pins.is_pinned(id);
        let restored = change(&mut tx, &is_open, &mut || self.index.new_id())?;
        self.index.apply(tx.finish(), None);
        for unlinked in restored.unlinked.iter().filter(|gone| is_open(gone.id)) {
            self.index.apply(Changes::default(), Some(unlinked.clone()));
        }
        Ok(restored)
    }
}
