//! The past brought back into the present, as one change that is itself a version.

use crate::index::VersionInfo;
use crate::pond::{Pond, PondError};
use crate::tinyfs::ops::{self, Place, Restored};
use crate::tinyfs::{Changes, FsResult, Tx, Version, describe};
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
        let mut log = self.log.lock();
        let restored = self.between_versions(&mut log, |before| {
            // No version is forgotten while `log` is held.
            self.check_version(at)?;
            let restored = self.restore_live(place, at).map_err(PondError::Tree)?;
            Ok((before + 1, restored))
        });
        drop(log);
        let (generation, restored) = self.made_in_between(restored)?;
        self.returned(at, generation, &restored)
    }

    /// Makes the whole tree as it was before the newest version that changed it: to name a version makes one
    /// too. Answers which that was, and what came of it.
    pub fn undo(&self) -> Result<(VersionInfo, Return), PondError> {
        let mut log = self.log.lock();
        let undone = self.between_versions(&mut log, |before| {
            let latest = self.latest();
            let mut undone = match self.index.sealed(before)?.is_empty() {
                true => Undone::Version(latest),
                false => Undone::Open(before),
            };
            loop {
                let target = match undone {
                    Undone::Open(_) => Some(latest),
                    Undone::Version(info) => match info.version.0.checked_sub(1).map(Version) {
                        Some(earlier) => self.index.nth_back(earlier, 0)?,
                        None => None,
                    },
                };
                let target = target.ok_or(PondError::NothingToUndo)?;
                let restored = self.restore_live(None, target.version);
                let restored = restored.map_err(PondError::Tree)?;
                if !restored.is_nothing() {
                    return Ok((before + 1, undone, target.version, restored));
                }
                undone = Undone::Version(target);
            }
        });
        drop(log);
        let (generation, undone, target, restored) = self.made_in_between(undone)?;
        let done = self.returned(target, generation, &restored)?;
        let undone = match undone {
            Undone::Version(info) => info,
            Undone::Open(generation) => self.version_of(generation),
        };
        Ok((undone, done))
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

    /// Changes the present. The caller holds `changing`.
    fn restore_live(&self, place: Option<Place<'_>>, at: Version) -> FsResult<Restored> {
        let mut tx = Tx::new(&self.index);
        let is_open = |id| self.pins.is_pinned(id);
        let fresh = || self.index.new_id();
        let restored = ops::restore(&mut tx, (self.clock)(), place, at, is_open, fresh)?;
        self.index.apply(tx.finish(), None);
        for unlinked in restored.unlinked.iter().filter(|gone| is_open(gone.id)) {
            self.index.apply(Changes::default(), Some(unlinked.clone()));
        }
        Ok(restored)
    }
}
