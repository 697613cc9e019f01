//! Which version is meant, and the versions of a directory or a file.

use super::Reference;
use crate::index::{Link, VersionInfo};
use crate::pond::Pond;
use crate::tinyfs::{Errno, FsError, FsResult, Name, NodeId, Time, Version};

/// A version in which what a path leads to was another file, or had other content, than in the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Edit {
    /// The version.
    pub version: Version,
    /// The node that the path leads to in it.
    pub node: NodeId,
}

impl Pond {
    /// What is known of a version, if it is one.
    pub fn version(&self, version: Version) -> FsResult<Option<VersionInfo>> {
        let found = self.last_at_or_before(version)?;
        Ok(found.filter(|info| info.version == version))
    }

    fn last_at_or_before(&self, version: Version) -> FsResult<Option<VersionInfo>> {
        let latest = self.latest();
        match latest.version <= version {
            true => Ok(Some(latest)),
            false => Ok(self.index.nth_back(version, 0)?),
        }
    }

    /// The version that shows what the table has at a number: numbers between those of versions are of commits
    /// that moved rows and changed nothing.
    fn numbered(&self, version: Version) -> FsResult<Option<VersionInfo>> {
        if version > self.latest().version {
            return Ok(None);
        }
        let found = self.last_at_or_before(version)?;
        let forgotten = version <= self.pruned_to()?;
        Ok(found.filter(|info| info.version == version || !forgotten))
    }

    /// The version that a reference means, of those up to `at`.
    pub fn resolve(&self, reference: &Reference, at: Version) -> FsResult<Option<Version>> {
        let newest = at.min(self.latest().version);
        let found = match reference {
            Reference::Number(version) => self.numbered(*version)?.map(|info| info.version),
            Reference::Latest(back) => self.index.nth_back(newest, *back)?.map(|info| info.version),
            Reference::Time(time) => self.as_of(*time, newest)?,
            Reference::Ago(length) => {
                let length = i64::try_from(length.as_micros()).unwrap_or(i64::MAX);
                let time = (self.clock)().micros().saturating_sub(length);
                self.as_of(Time::from_micros(time), newest)?
            }
            Reference::Tag(name) => self.tag(name)?.map(|tag| tag.version),
        };
        Ok(found.filter(|version| *version <= newest))
    }

    /// The last version up to `newest` that was committed at or before `time`. The times of versions grow with
    /// their numbers.
    fn as_of(&self, time: Time, newest: Version) -> FsResult<Option<Version>> {
        let (mut low, mut high) = (0, newest.0);
        let mut found = None;
        while low <= high {
            let middle = low + (high - low) / 2;
            let info = self.last_at_or_before(Version(middle))?;
            match info {
                Some(info) if info.committed > time => match middle.checked_sub(1) {
                    Some(below) => high = below,
                    None => break,
                },
                // Where there is none, those that were are forgotten.
                earlier => {
                    found = earlier.map(|info| info.version).or(found);
                    low = middle + 1;
                }
            }
        }
        Ok(found)
    }

    /// The versions up to `at` in which something below directory `dir` was changed, or it itself.
    pub fn directory_versions(&self, at: Version, dir: NodeId) -> FsResult<Vec<Version>> {
        if dir == NodeId::ROOT {
            let versions = self.versions(Version(0), at).map_err(FsError::store)?;
            return Ok(versions.iter().map(|info| info.version).collect());
        }
        Ok(self.index.trail(dir, Version(0), at)?)
    }

    /// The last of them.
    pub fn last_directory_version(&self, at: Version, dir: NodeId) -> FsResult<Option<Version>> {
        if dir == NodeId::ROOT {
            return Ok(self.last_at_or_before(at)?.map(|info| info.version));
        }
        Ok(self.index.last_change(dir, Version(0), at)?)
    }

    /// Whether a node is there at a version.
    pub fn has_node(&self, at: Version, id: NodeId) -> FsResult<bool> {
        match self.node(at, id) {
            Ok(_) => Ok(true),
            Err(error) if error.errno() == Errno::ENOENT => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// The versions up to `at` in which the file that `name` leads to in `dir` was changed or exchanged, the
    /// oldest first. Directories that the name led to are passed over.
    pub fn file_versions(&self, at: Version, dir: NodeId, name: &Name) -> FsResult<Vec<Edit>> {
        let mut edits = Vec::new();
        for link in self.name_history(at, dir, name)? {
            let node = link.child;
            if self.node(link.begun, node)?.is_dir() {
                continue;
            }
            edits.push(Edit {
                version: link.begun,
                node,
            });
            let from = Version(link.begun.0 + 1);
            let to = match link.ended {
                Version::NOW => at,
                ended => Version(ended.0 - 1).min(at),
            };
            if from <= to {
                let changed = self.index.trail(node, from, to)?;
                edits.extend(changed.into_iter().map(|version| Edit { version, node }));
            }
        }
        Ok(edits)
    }

    /// What `name` led to in `dir`, up to version `at`.
    pub fn name_history(&self, at: Version, dir: NodeId, name: &Name) -> FsResult<Vec<Link>> {
        let mut links = self.index.name_history(dir, name)?;
        links.retain(|link| link.begun <= at);
        Ok(links)
    }
}
