//! Erases a path from history, such as a secret that was written by mistake.

use super::scope::Found;
use super::{Pruned, Purpose, runs_of};
use crate::index::VersionInfo;
use crate::pond::{Pond, PondError};
use crate::tinyfs::Version;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// How long to wait until the removed files of the path are closed. The kernel releases a file a
/// moment after its last close.
const LET_GO: Duration = Duration::from_secs(2);
const LOOK: Duration = Duration::from_millis(20);
/// How often segments are emptied of the live bytes beside erased ones, while others write to
/// them. The housekeeping thread empties the segments that are left after that.
const PASSES: usize = 3;

impl Pond {
    /// Forgets all nodes that a path led to in any version but the newest, and erases the bytes
    /// that nothing else needs. The node that it leads to now stays. With `dry_run`, only returns
    /// what would be forgotten.
    pub fn forget(&self, path: &[u8], dry_run: bool) -> Result<Pruned, PondError> {
        let until = Instant::now() + LET_GO;
        loop {
            // Concurrent writes must not share a segment with forgotten bytes.
            self.end_segment();
            self.sync()?;
            let alone = self.keeper.alone();
            let mut log = self.log.lock();
            self.commit_sealed(&mut log)?;
            let versions = self.versions(Version(0), Version::NOW)?;
            let found = self.scope_of(path)?;
            let before = self.stored_bytes(&log)?;
            let mut done = told(&versions, &found);
            (done.before, done.after) = (before, before);
            if dry_run {
                return Ok(done);
            }
            let open = self.index.orphan_contents();
            if !open.is_disjoint(&found.scope.contents) {
                drop((log, alone));
                if Instant::now() >= until {
                    return Err(PondError::StillOpen(format!(
                        "/{}",
                        String::from_utf8_lossy(path)
                    )));
                }
                std::thread::sleep(LOOK);
                continue;
            }
            let newest = versions.last().map(|info| info.version);
            let kept: BTreeSet<Version> = newest.into_iter().collect();
            let rewritten = self.rewrite(&mut log, &kept, Purpose::Erase(&found.scope));
            drop((log, alone));
            self.announce_forgotten();
            let mut left = rewritten?;
            for _ in 0..PASSES {
                if !left.is_empty() {
                    left = self.finish_rewrite()?;
                }
            }
            if !left.is_empty() {
                tracing::warn!(
                    "{} segments with forgotten bytes are written to; they are emptied after the next version",
                    left.len()
                );
            }
            done.after = self.stored_bytes(&self.log.lock())?;
            return Ok(done);
        }
    }
}

/// Returns the versions, except the newest, in which the path shows a forgotten node, and the
/// number of such nodes.
fn told(versions: &[VersionInfo], found: &Found) -> Pruned {
    let shows = |info: &&VersionInfo| found.shown.iter().any(|link| link.stands_at(info.version));
    let (_, past) = versions.split_last().unzip();
    let past: &[VersionInfo] = past.unwrap_or_default();
    let stay = past.iter().filter(|info| !shows(info));
    let stay: BTreeMap<Version, Vec<String>> =
        stay.map(|info| (info.version, Vec::new())).collect();
    Pruned {
        forgotten: past.len() - stay.len(),
        runs: runs_of(past, &stay),
        nodes: found.scope.nodes.len(),
        left: found.left.clone(),
        ..Pruned::default()
    }
}
