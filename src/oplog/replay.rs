//! Replays the data commits of the table in the order of their versions.
//!
//! Role: rebuild from the source of truth. In: a snapshot and the version to start after. Out: the
//! changes of each later version, one at a time. Invariant: only one version's changes are in
//! memory; files that hold many versions are merged with those that hold one; every payload is
//! verified before any change of its version is passed on; a version without changes is skipped,
//! and one with changes that a damaged checkpoint does not list is detected.

use super::error::OplogError;
use super::payload::absorb;
use super::scan::active;
use super::source::Source;
use super::{Commit, Oplog, Stamp, actions, tail};
use crate::tinyfs::{Changes, Version};
use std::collections::{HashSet, VecDeque};
use std::ops::Range;

impl Oplog {
    pub(super) fn replay_after<E: From<OplogError>>(
        &self,
        after: Option<Version>,
        visit: &mut dyn FnMut(Commit, Changes) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut files = active(&self.table, &self.snapshot, after)?;
        files.sort_by(|a, b| (a.versions, &a.path).cmp(&(b.versions, &b.path)));
        let mut waiting = VecDeque::from(files);
        let mut open: Vec<Source<'_>> = Vec::new();
        let mut gaps = Gaps::default();
        let mut expected = after.map_or(0, |after| after.0 + 1);
        loop {
            // Open every file that may hold the lowest version that is left.
            let low = open.iter().filter_map(Source::version).min();
            match waiting.pop_front() {
                Some(file) if low.is_none_or(|low| file.versions.0 <= low) => {
                    let source = Source::open(&self.table, file, after)?;
                    if source.version().is_some() {
                        open.push(source);
                    }
                    continue;
                }
                Some(file) => waiting.push_front(file),
                None => {}
            }
            let Some(version) = low else {
                gaps.check(self, expected..self.snapshot.version() + 1)?;
                return Ok(());
            };
            gaps.check(self, expected..version)?;
            expected = version + 1;
            let (stamp, changes) = merge(version, &mut open)?;
            open.retain(|source| source.version().is_some());
            let version = Version(version);
            visit(Commit { version, stamp }, changes)?;
        }
    }
}

/// Explains versions without rows.
#[derive(Default)]
struct Gaps {
    /// The data files that any commit of the log removed, once they have been listed.
    removed: Option<HashSet<String>>,
}

impl Gaps {
    /// Checks that these commits, for which no file was found, added no files, or only files that
    /// others have replaced.
    fn check(&mut self, oplog: &Oplog, versions: Range<u64>) -> Result<(), OplogError> {
        if versions.is_empty() {
            return Ok(());
        }
        // For commits that were cleaned up, their checkpoint is the evidence.
        let kept = tail::oldest_commit(&oplog.table)?;
        let versions = versions.start.max(kept.0)..versions.end;
        for version in versions.map(Version) {
            let why = match actions::read(&oplog.table, version)? {
                Ok(actions) if actions.txns.is_empty() || actions.is_merge() => continue,
                Ok(actions) => {
                    let removed = self.removed(oplog, kept)?;
                    match actions.adds.iter().all(|(path, _)| removed.contains(path)) {
                        true => continue,
                        false => "the log's checkpoint does not lead to its data files".into(),
                    }
                }
                Err(why) => why,
            };
            return Err(OplogError::Damaged { version, why });
        }
        Ok(())
    }

    fn removed(&mut self, oplog: &Oplog, kept: Version) -> Result<&HashSet<String>, OplogError> {
        let removed = match self.removed.take() {
            Some(removed) => removed,
            None => {
                let mut removed = HashSet::new();
                for version in (kept.0..=oplog.snapshot.version()).map(Version) {
                    if let Ok(actions) = actions::read(&oplog.table, version)? {
                        removed.extend(actions.removes);
                    }
                }
                removed
            }
        };
        Ok(self.removed.insert(removed))
    }
}

/// Reads all rows of a version from the open files.
fn merge(version: u64, open: &mut [Source<'_>]) -> Result<(Stamp, Changes), OplogError> {
    let mut changes = Changes::default();
    let mut stamp = None;
    for source in open.iter_mut().filter(|s| s.version() == Some(version)) {
        let file = source.file().clone();
        source.read(&mut |row| {
            if *stamp.get_or_insert(row.stamp()) != row.stamp() {
                let why = format!("version {version} was committed at two times");
                return Err(file.damaged(why));
            }
            absorb(&row, file.part, &file.path, &mut changes)
        })?;
    }
    let version = Version(version);
    let why = "it has no rows".to_string();
    let stamp = stamp.ok_or(OplogError::Damaged { version, why })?;
    Ok((stamp, changes))
}
