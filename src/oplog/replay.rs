//! Replay: the data commits of the table in the order of their versions.
//!
//! Role: rebuild from the truth. In: a snapshot and the version to start after. Out: each later
//! version's changes, one at a time. Holds always: only one version's changes are in memory; files
//! that hold many versions are merged with those that hold one; every payload is verified before
//! anything of its version is shown; a version that changed nothing is passed over, and one that did
//! is missed, if a damaged checkpoint does not lead to it.

use super::error::OplogError;
use super::payload::absorb;
use super::scan::active;
use super::source::Source;
use super::{Commit, Oplog, actions, tail};
use crate::tinyfs::{Changes, Time, Version};
use std::collections::VecDeque;
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
                return Ok(self.changed_nothing(expected..self.snapshot.version() + 1)?);
            };
            self.changed_nothing(expected..version)?;
            expected = version + 1;
            let (committed, changes) = merge(version, &mut open)?;
            open.retain(|source| source.version().is_some());
            let committed = Time::from_micros(committed);
            visit(
                Commit {
                    version: Version(version),
                    committed,
                },
                changes,
            )?;
        }
    }
}

impl Oplog {
    /// Makes sure that the commits of these versions, of which no file was found, added none.
    fn changed_nothing(&self, versions: Range<u64>) -> Result<(), OplogError> {
        // Of what was cleaned away, its checkpoint is the witness.
        let kept = tail::oldest_commit(&self.table)?;
        let versions = versions.start.max(kept.0)..versions.end;
        for version in versions.map(Version) {
            let why = match actions::read(&self.table, version)? {
                Ok(actions) if actions.txns.is_empty() || actions.is_merge() => continue,
                Ok(_) => "the log's checkpoint does not lead to its data files".into(),
                Err(why) => why,
            };
            return Err(OplogError::Damaged { version, why });
        }
        Ok(())
    }
}

/// Reads all that the open files have of a version.
fn merge(version: u64, open: &mut [Source<'_>]) -> Result<(i64, Changes), OplogError> {
    let mut changes = Changes::default();
    let mut committed = None;
    for source in open.iter_mut().filter(|s| s.version() == Some(version)) {
        let file = source.file().clone();
        source.read(&mut |row| {
            let time = *committed.get_or_insert(row.committed);
            if time != row.committed {
                let why = format!("version {version} was committed at two times");
                return Err(file.damaged(why));
            }
            absorb(&row, file.part, &file.path, &mut changes)
        })?;
    }
    let version = Version(version);
    let why = "it has no rows".to_string();
    let committed = committed.ok_or(OplogError::Damaged { version, why })?;
    Ok((committed, changes))
}
