//! Builds a second index beside the one in use, to replace it when versions are pruned.
//!
//! `pond` pushes the versions to keep, in order, and then exchanges the two.
//!
//! Invariant: the old index serves reads until the new one is complete. A crash before that leaves
//! a stray folder, which the next open removes.

use super::disk::Disk;
use super::{Index, IndexError, VersionInfo};
use crate::limits::Limits;
use crate::tinyfs::{
    Changes, Extent, Extents, Links, Names, NodeId, Nodes, SegmentId, Version, own_links,
};
use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use uuid::Uuid;

/// Extensions of the folder of an index that is being built, and of one that was replaced.
const NEW: &str = "new";
pub(super) const OLD: &str = "old";

pub(super) fn beside(dir: &Path, end: &str) -> PathBuf {
    dir.with_extension(end)
}

/// Removes the folders that a crash left beside the index in `dir`.
pub(super) fn remove_strays(dir: &Path) -> Result<(), IndexError> {
    for stray in [NEW, OLD].map(|end| beside(dir, end)) {
        match fs::remove_dir_all(&stray) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(IndexError::files("remove", &stray)(error));
            }
            _ => {}
        }
    }
    Ok(())
}

/// An index that is being built.
pub struct Rebuild {
    disk: Disk,
    dir: PathBuf,
    next_id: u64,
}

impl Rebuild {
    fn begin(dir: &Path, pond: Uuid, limits: &Limits, next_id: u64) -> Result<Rebuild, IndexError> {
        Ok(Rebuild {
            disk: Disk::open(dir, pond, limits)?,
            dir: dir.to_owned(),
            next_id,
        })
    }

    /// Adds a version, later than all before. Returns the changes that differ from the version
    /// before. If none do, that is the root's node, so that every version has a record.
    ///
    /// Link counts are made to agree with the names: a name that is left out of a version does not
    /// count in it, and counts that were wrong are corrected.
    pub fn push(
        &mut self,
        mut info: VersionInfo,
        mut changes: Changes,
    ) -> Result<Changes, IndexError> {
        self.correct_links(&mut changes)?;
        self.disk.drop_unchanged(&mut changes, u64::MAX)?;
        if changes.is_empty() {
            let root = self.disk.get::<Nodes>(Version::NOW, &NodeId::ROOT)?;
            changes.set::<Nodes>(NodeId::ROOT, root);
        }
        info.changes = changes.len() as u64;
        self.disk.commit(&info, &changes, self.next_id)?;
        Ok(changes)
    }

    /// Derives the link counts of the nodes that `changes` concern from those before and the names.
    fn correct_links(&self, changes: &mut Changes) -> Result<(), IndexError> {
        let mut gained = Links::default();
        for (key, new) in &changes.names {
            if let Some(old) = self.disk.get::<Names>(Version::NOW, key)? {
                gained.remove(key.0, &old);
            }
            if let Some(new) = new {
                gained.add(key.0, new);
            }
        }
        let changed = changes.nodes.keys().copied();
        let ids: BTreeSet<NodeId> = gained.nodes().chain(changed).collect();
        for id in ids {
            let before = self.disk.get::<Nodes>(Version::NOW, &id)?;
            let links = before.as_ref().map(|node| node.nlink);
            let node = match changes.get::<Nodes>(&id) {
                Some(changed) => changed.cloned(),
                None => before,
            };
            if let Some(mut node) = node {
                let links = links.unwrap_or_else(|| own_links(id, node.kind));
                node.nlink = gained.apply(id, links);
                changes.set::<Nodes>(id, Some(node));
            }
        }
        Ok(())
    }

    /// Returns the segments that any of its versions refers to.
    pub fn segments(&self) -> Result<BTreeSet<SegmentId>, IndexError> {
        let mut found = BTreeSet::new();
        self.disk.visit_history::<Extents>(&mut |_, extent| {
            if let Extent::Stored(run) = extent {
                found.insert(run.segment);
            }
        })?;
        Ok(found)
    }
}

impl Index {
    /// Begins a new index beside this one.
    pub fn rebuild(&self, pond: Uuid) -> Result<Rebuild, IndexError> {
        let next_id = self.next_id.load(Ordering::Relaxed);
        remove_strays(self.dir())?;
        Rebuild::begin(&beside(self.dir(), NEW), pond, self.disk.limits(), next_id)
    }

    /// Returns the folder of the index.
    pub fn dir(&self) -> &Path {
        self.disk.dir()
    }

    /// Replaces the index by the new one.
    pub fn exchange(&self, rebuilt: Rebuild) -> Result<(), IndexError> {
        let Rebuild { disk, dir, .. } = rebuilt;
        disk.rotate()?;
        disk.close_in_order();
        drop(disk);
        self.disk.exchange(&dir)
    }

    /// Returns the segments that the open version refers to.
    pub fn open_segments(&self) -> BTreeSet<SegmentId> {
        let memtables = self.memtables.read();
        let extents = memtables
            .newest_first()
            .flat_map(|memtable| memtable.extents.values());
        let stored = extents.filter_map(|extent| match extent {
            Some(Extent::Stored(run)) => Some(run.segment),
            _ => None,
        });
        stored.collect()
    }
}
