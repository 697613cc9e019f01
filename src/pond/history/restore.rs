//! The past brought back into the present, as one change that is itself a version.

use crate::index::VersionInfo;
use crate::pond::{Pond, PondError};
use crate::tinyfs::ops::{self, Place, Restored};
use crate::tinyfs::{Changes, Errno, FsError, FsResult, Tx, Version};

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

/// Is told of what changes in the tree otherwise than by its own requests.
pub type Watcher = Box<dyn Fn(&Restored) + Send + Sync>;

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

    /// Tells whoever watches of names and nodes that are not what they were.
    pub fn tell(&self, changed: &Restored) {
        if let Some(watcher) = &*self.watcher.lock() {
            watcher(changed);
        }
    }

    /// Makes what `name` in directory `dir` leads to as it was at version `at`, or with `None` the whole tree.
    /// It is a version when this returns.
    pub fn restore(&self, place: Option<Place<'_>>, at: Version) -> Result<Return, PondError> {
        self.check_version(at)?;
        // What was changed until now has a version of its own.
        self.sync()?;
        let restored = self.restore_live(place, at).map_err(PondError::Tree)?;
        self.returned(at, &restored)
    }

    /// Makes the whole tree as it was before the newest version that changed it: to name a version makes one
    /// too. Answers which that was, and what came of it.
    pub fn undo(&self) -> Result<(VersionInfo, Return), PondError> {
        self.sync()?;
        let mut undone = self.latest();
        loop {
            let before = undone.version.0.checked_sub(1).map(Version);
            let target = match before {
                Some(before) => self.index.nth_back(before, 0)?,
                None => None,
            };
            let target = target.ok_or(PondError::NothingToUndo)?;
            let restored = self.restore_live(None, target.version);
            let restored = restored.map_err(PondError::Tree)?;
            if !restored.is_nothing() {
                return Ok((undone, self.returned(target.version, &restored)?));
            }
            undone = target;
        }
    }

    /// Tells of what was brought back, and makes it a version.
    fn returned(&self, from: Version, restored: &Restored) -> Result<Return, PondError> {
        self.tell(restored);
        Ok(Return {
            from,
            version: self.sync()?,
            changes: restored.names.len() + restored.nodes.len(),
        })
    }

    fn check_version(&self, at: Version) -> Result<(), PondError> {
        match self.version(at).map_err(PondError::Tree)? {
            Some(_) => Ok(()),
            None => Err(PondError::NoVersion(at.to_string())),
        }
    }

    fn restore_live(&self, place: Option<Place<'_>>, at: Version) -> FsResult<Restored> {
        if self.health.is_read_only() {
            return Err(FsError::from(Errno::EROFS));
        }
        let _one_at_a_time = self.changing.lock();
        let mut tx = Tx::new(&self.index);
        let is_open = |id| self.pins.is_pinned(id);
        let fresh = || self.index.new_id();
        let restored = ops::restore(&mut tx, (self.clock)(), place, at, is_open, fresh)?;
        self.index.apply(tx.finish(), None);
        for unlinked in restored.unlinked.iter().filter(|gone| is_open(gone.id)) {
            self.index.apply(Changes::default(), Some(unlinked.clone()));
        }
        self.committer.changed();
        Ok(restored)
    }
}
