//! The past brought back into the present, as one change that is itself a version.

use crate::index::{Index, VersionInfo};
use crate::pond::commit::Log;
use crate::pond::prune::Folded;
use crate::pond::{Pond, PondError};
use crate::tinyfs::ops::{self, Place, Restored, Reverted};
use crate::tinyfs::{Changes, Errno, FsResult, NodeId, Nodes, Store, Tx, Version, describe};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What was brought back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Return {
    /// The version that it came from.
    pub from: Version,
    /// The version that has it now.
    pub version: Version,
    /// How many names and nodes had to be changed for it.
    pub changes: usize,
}

/// What an undo takes back.
enum Undone {
    /// The changes that are in no version yet, as the generation that ends with them.
    Open(u64),
    Version(VersionInfo),
}

/// A version that can be taken back.
struct Committed {
    info: VersionInfo,
    /// The version before it.
    since: Version,
    changes: Changes,
    /// Nodes of which nobody knows what it changed.
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

/// Is told of what changes in the tree otherwise than by its own requests.
pub type Watcher = Arc<dyn Fn(&Restored) + Send + Sync>;

/// What is called after a change, whoever made it. Returns soon, and changes nothing itself.
pub type OnChange = Box<dyn Fn() + Send + Sync>;

impl Pond {
    /// Has `watcher` told of changes that come from elsewhere than the mount.
    pub fn watch(&self, watcher: Watcher) {
        *self.watcher.lock() = Some(watcher);
    }

    /// Has `told` called after each change of the present, before whoever made it hears that it is made.
    pub fn on_change(&self, told: OnChange) {
        *self.on_change.write() = Some(told);
    }

    /// Tells the watcher of names and nodes that changed otherwise than by its own requests.
    ///
    /// The watcher may wait until requests of the kernel are answered. So the caller holds no lock
    /// that an operation, a flush or a commit takes; nor does this function.
    pub fn announce(&self, changed: &Restored) {
        let watcher = self.watcher.lock().clone();
        if let Some(watcher) = watcher {
            watcher(changed);
        }
    }

    /// Makes what is at `place` as it was at version `at`; the whole tree without a place.
    ///
    /// What was there until then has a version of its own when this returns, and what came back has
    /// the next one. Neither holds half of a save, unless saves go on for a minute.
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

    /// Takes back what the newest version changed, and nothing else: to name a version makes one too, which
    /// changes nothing. Answers which that was, and what came of it.
    ///
    /// Errors: [`PondError::Folded`] and [`PondError::Entangled`] where what that version changed cannot be
    /// told from, or parted from, what versions changed that are forgotten.
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

    /// The newest version that changed anything that can be seen.
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

    /// These nodes, and all that is below them at a version; but no file that has a name elsewhere too,
    /// whose history was not forgotten.
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

    /// What came of a change between two versions. Where it failed, what was changed until then still
    /// gets its version.
    fn made_in_between<T>(&self, changed: Result<T, PondError>) -> Result<T, PondError> {
        self.committer.changed();
        changed.inspect_err(|_| {
            if let Err(error) = self.commit() {
                tracing::warn!("no version was made: {}", describe(&error));
            }
        })
    }

    /// Tells of what was brought back in a generation, and makes it a version.
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

    /// The version that a generation became; the newest one where it changed nothing, or where many
    /// were made since.
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

    /// Changes the present by what was. The caller holds `changing`.
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
