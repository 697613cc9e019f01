//! Resolves references to versions, and lists the versions of a directory or a file.

use super::Reference;
use super::timeline::{Believed, Dated, Versions};
use crate::index::{Link, VersionInfo};
use crate::pond::{Behind, Pond};
use crate::tinyfs::{Errno, FsError, FsResult, Name, NodeId, Time, Version};

/// A version in which a path led to another file, or to other content, than in the previous one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Edit {
    /// The version.
    pub version: Version,
    /// The node that the path leads to in that version.
    pub node: NodeId,
}

impl Versions for Pond {
    fn last_at(&self, number: Version) -> FsResult<Option<VersionInfo>> {
        self.last_at_or_before(number)
    }

    fn list(&self, from: Version, to: Version) -> FsResult<Vec<VersionInfo>> {
        Ok(self.index.versions(from, to)?)
    }

    fn steps(&self, after: Option<Version>) -> FsResult<Vec<Version>> {
        Ok(self.index.clock_steps(after)?)
    }
}

impl Pond {
    /// Returns the description of a version; `None` if there is no such version.
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

    /// Returns the version whose tree the table has at a number. The numbers between versions are
    /// of commits that moved rows and changed nothing.
    fn numbered(&self, version: Version) -> FsResult<Option<VersionInfo>> {
        if version > self.latest().version {
            return Ok(None);
        }
        let found = self.last_at_or_before(version)?;
        let forgotten = version <= self.pruned_to()?;
        Ok(found.filter(|info| info.version == version || !forgotten))
    }

    /// Returns the version that a reference means, of those up to `at`.
    pub fn resolve(&self, reference: &Reference, at: Version) -> FsResult<Option<Version>> {
        let newest = at.min(self.latest().version);
        let found = match reference {
            Reference::Number(version) => self.numbered(*version)?.map(|info| info.version),
            Reference::Latest(back) => self.index.nth_back(newest, *back)?.map(|info| info.version),
            Reference::Time(time) => self.dated_at(*time, newest)?,
            Reference::Ago(length) => {
                let length = i64::try_from(length.as_micros()).unwrap_or(i64::MAX);
                let time = (self.clock)().micros().saturating_sub(length);
                self.dated_at(Time::from_micros(time), newest)?
            }
            Reference::Tag(name) => self.tag(name)?.map(|tag| tag.version),
        };
        Ok(found.filter(|version| *version <= newest))
    }

    /// Returns the last version up to `newest` with a date of `time` or before.
    fn dated_at(&self, time: Time, newest: Version) -> FsResult<Option<Version>> {
        let (latest, now) = (self.latest().version, (self.clock)());
        // A date that the clock has passed is looked up by that clock. A future date that this pond
        // has shows that the clock is behind.
        let believed = self.believed((time <= now).then_some(now))?;
        let found = believed.at(time, latest, self)?;
        match found {
            Some(version) if version > newest => {
                Ok(self.last_at_or_before(newest)?.map(|info| info.version))
            }
            found => Ok(found),
        }
    }

    /// Returns the versions whose readings of the clock are believed; with `now`, no later reading
    /// is.
    fn believed(&self, now: Option<Time>) -> FsResult<Believed> {
        let latest = self.latest();
        let mut timeline = self.timeline.lock();
        timeline.advance(&latest, self)?;
        timeline.believed(now, self)
    }

    /// Returns `versions`, which are in order and up to the newest, with their dates. `now` is the
    /// time of a clock that is right: no later reading is believed.
    pub(in crate::pond) fn dates(
        &self,
        versions: &[VersionInfo],
        now: Option<Time>,
    ) -> FsResult<Vec<Dated>> {
        Ok(self.believed(now)?.date(versions))
    }

    /// Returns those of `versions`, which are in order, whose reading of the clock is doubted.
    pub fn doubted(&self, versions: &[VersionInfo]) -> FsResult<Vec<Version>> {
        let dates = self.dates(versions, None)?;
        let doubted = dates.iter().filter(|dated| dated.doubted.is_some());
        Ok(doubted.map(|dated| dated.version).collect())
    }

    /// Returns by how much the clock is behind: a believed version has a later reading than now.
    pub fn clock_behind(&self) -> FsResult<Option<Behind>> {
        let latest = self.latest();
        let mut timeline = self.timeline.lock();
        timeline.advance(&latest, self)?;
        let now = (self.clock)();
        Ok(timeline.newest().and_then(|(version, reading)| {
            (now < reading).then_some(Behind {
                now,
                version,
                reading,
            })
        }))
    }

    /// Returns the versions up to `at` that changed directory `dir` or anything below it.
    pub fn directory_versions(&self, at: Version, dir: NodeId) -> FsResult<Vec<Version>> {
        if dir == NodeId::ROOT {
            let versions = self.versions(Version(0), at).map_err(FsError::store)?;
            return Ok(versions.iter().map(|info| info.version).collect());
        }
        Ok(self.index.trail(dir, Version(0), at)?)
    }

    /// Returns the last of the [`Pond::directory_versions`].
    pub fn last_directory_version(&self, at: Version, dir: NodeId) -> FsResult<Option<Version>> {
        if dir == NodeId::ROOT {
            return Ok(self.last_at_or_before(at)?.map(|info| info.version));
        }
        Ok(self.index.last_change(dir, Version(0), at)?)
    }

    /// Returns whether a node exists at a version.
    pub fn has_node(&self, at: Version, id: NodeId) -> FsResult<bool> {
        match self.node(at, id) {
            Ok(_) => Ok(true),
            Err(error) if error.errno() == Errno::ENOENT => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Returns the versions up to `at` in which the file at `name` in `dir` was changed or
    /// replaced, the oldest first. Directories that the name led to are skipped.
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

    /// Returns the last of the [`Pond::file_versions`] up to `at`, and the first version of its
    /// node under this name.
    pub fn last_file_version(
        &self,
        at: Version,
        dir: NodeId,
        name: &Name,
    ) -> FsResult<Option<(Edit, Version)>> {
        let mut until = at.min(self.latest().version);
        while let Some(link) = self.index.name_link(dir, name, until)? {
            let node = link.child;
            if !self.node(link.begun, node)?.is_dir() {
                let last = Version(link.ended.0.saturating_sub(1)).min(until);
                let changed = match link.begun < last {
                    true => (self.index).last_change(node, Version(link.begun.0 + 1), last)?,
                    false => None,
                };
                let version = changed.unwrap_or(link.begun);
                return Ok(Some((Edit { version, node }, link.begun)));
            }
            let Some(before) = link.begun.0.checked_sub(1) else {
                break;
            };
            until = Version(before);
        }
        Ok(None)
    }

    /// Returns the nodes that `name` led to in `dir`, up to version `at`.
    pub fn name_history(&self, at: Version, dir: NodeId, name: &Name) -> FsResult<Vec<Link>> {
        let mut links = self.index.name_history(dir, name)?;
        links.retain(|link| link.begun <= at);
        Ok(links)
    }
}
