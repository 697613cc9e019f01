//! Forgets versions by a policy, or a path from all of history.
//!
//! Role: reclaim the space that only forgotten versions need. In: a policy, or a path. Out: a pond
//! whose table, index and segments hold the kept versions. Invariant: a kept version shows the
//! same tree as before; the newest version and every named one are kept; one commit of the table
//! replaces the old table, index and segments by the new; a crash leaves the one or the other.
//!
//! The table is rewritten as though only the kept versions had ever been committed ([`slots`]),
//! and with it the index, in which link counts agree with the names of each version. Segments of
//! which less than half is needed are copied together; unneeded ones are removed. Operations and
//! flushes continue meanwhile; commits wait.
//!
//! [`forget`] erases a path from history, [`scope`] finds the nodes that it led to, [`notes`]
//! records what was forgotten.

mod forget;
mod notes;
mod policy;
mod scope;
mod slots;

pub(in crate::pond) use notes::Folded;
pub use policy::{Policy, Within};

use super::commit::{Log, replay};
use super::history::Timeline;
use super::open::REBUILD;
use super::{Pond, PondError};
use crate::index::VersionInfo;
use crate::oplog::{Commit, Stamp};
use crate::tinyfs::ops::Restored;
use crate::tinyfs::{
    Changes, ContentId, Entries, Extent, Extents, SegmentId, Stored, Version, describe,
};
use notes::{note_folded, note_pruned};
use slots::{Scope, Slots};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fs::File;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// How often versions are forgotten by the rules of the pond.
const EVERY: Duration = Duration::from_secs(86_400);
/// The delay before a prune is retried when the clock is behind.
const CLOCK_RETRY: Duration = Duration::from_secs(3_600);

/// The result of a prune or its dry run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pruned {
    /// The versions that are kept, with the rules that keep them.
    pub kept: BTreeMap<Version, Vec<String>>,
    /// Number of forgotten versions.
    pub forgotten: usize,
    /// The first and the last version of each run of forgotten ones.
    pub runs: Vec<(Version, Version)>,
    /// Number of files and directories that are erased from all versions but the newest.
    pub nodes: usize,
    /// Paths of nodes that were below the path once, and are elsewhere now with all their history.
    pub left: Vec<String>,
    /// Bytes of the oplog and the segments before the prune.
    pub before: u64,
    /// Bytes of the oplog and the segments after it.
    pub after: u64,
}

/// The purpose of a rewrite of the history.
#[derive(Clone, Copy)]
pub(in crate::pond) enum Purpose<'a> {
    /// Versions are forgotten.
    Prune,
    /// Versions of these nodes are forgotten.
    PruneNodes(&'a Scope),
    /// These nodes are erased from all versions that are not kept, and their bytes from segments.
    Erase(&'a Scope),
    /// Nothing is forgotten: link counts of past versions are corrected.
    CorrectLinks,
    /// Nothing is forgotten: segments with erased bytes beside live ones are emptied.
    Empty,
}

impl<'a> Purpose<'a> {
    fn scope(self) -> Option<&'a Scope> {
        match self {
            Purpose::PruneNodes(scope) | Purpose::Erase(scope) => Some(scope),
            Purpose::Prune | Purpose::CorrectLinks | Purpose::Empty => None,
        }
    }

    fn erased(self) -> Option<&'a Scope> {
        match self {
            Purpose::Erase(scope) => Some(scope),
            _ => None,
        }
    }
}

impl Pond {
    /// Forgets the versions that `policy` does not keep: of the whole tree, or of the present and
    /// past nodes at a path. With `dry_run`, only returns which.
    pub fn prune(
        &self,
        policy: &Policy,
        path: Option<&[u8]>,
        dry_run: bool,
    ) -> Result<Pruned, PondError> {
        self.prune_by_clock(policy, path, dry_run, false)
    }

    /// Like [`Pond::prune`]. With `trusts_clock` the clock is right, and later readings of versions
    /// are wrong.
    pub fn prune_by_clock(
        &self,
        policy: &Policy,
        path: Option<&[u8]>,
        dry_run: bool,
        trusts_clock: bool,
    ) -> Result<Pruned, PondError> {
        let policy = match policy.is_given() {
            true => policy.clone(),
            false => self.identity()?.prune.unwrap_or_default(),
        };
        self.sync()?;
        let alone = self.keeper.alone();
        let mut log = self.log.lock();
        // No tag can be added to an existing version until the log is released.
        let tags: Vec<(String, Version)> = (self.tags().map_err(PondError::Tree)?.into_iter())
            .map(|tag| (tag.name, tag.version))
            .collect();
        if let Some(missing) = policy
            .keep_tag
            .iter()
            .find(|name| !tags.iter().any(|(tag, _)| tag == *name))
        {
            return Err(PondError::NoVersion(missing.clone()));
        }
        self.commit_sealed(&mut log)?;
        let versions = self.versions(Version(0), Version::NOW)?;
        let now = trusts_clock.then(|| (self.clock)());
        if policy.goes_by_time()
            && !trusts_clock
            && let Some(behind) = self.clock_behind().map_err(PondError::Tree)?
        {
            return Err(PondError::ClockBehind(behind));
        }
        let dates = self.dates(&versions, now).map_err(PondError::Tree)?;
        let kept = policy.kept(&dates, &tags);
        let found = path.map(|path| self.scope_of(path)).transpose()?;
        let runs = runs_of(&versions, &kept);
        let mut done = Pruned {
            forgotten: versions.len() - kept.len(),
            runs,
            left: found
                .as_ref()
                .map_or(Vec::new(), |found| found.left.clone()),
            before: self.stored_bytes(&log)?,
            kept,
            ..Pruned::default()
        };
        done.after = done.before;
        if !dry_run && (done.forgotten > 0 || !policy.is_given()) {
            let kept = done.kept.keys().copied().collect();
            let purpose = match &found {
                Some(found) => Purpose::PruneNodes(&found.scope),
                None => Purpose::Prune,
            };
            let rewritten = self.rewrite(&mut log, &kept, purpose);
            done.after = self.stored_bytes(&log)?;
            drop((log, alone));
            self.announce_forgotten();
            rewritten?;
        }
        Ok(done)
    }

    /// Forgets what the rules of the pond do not keep, if it has any and the clock can be trusted
    /// for them. Returns the delay before the next prune.
    pub(super) fn prune_by_rule(&self) -> Result<Duration, PondError> {
        let given = self.identity()?.prune;
        let Some(policy) = given.filter(Policy::is_given) else {
            return Ok(EVERY);
        };
        if policy.goes_by_time() {
            if let Some(behind) = self.clock_behind().map_err(PondError::Tree)? {
                tracing::warn!("no version is forgotten by rule: {behind}");
                return Ok(CLOCK_RETRY);
            }
            if let Some(wait) = self.leaps.note((self.clock)(), Instant::now()) {
                let hours = wait.as_secs().div_ceil(3_600);
                tracing::warn!(
                    "no version is forgotten by rule for {hours} hours: the clock has leapt ahead by \
                     more than a month, and may be wrong"
                );
                return Ok(wait);
            }
        }
        let pruned = self.prune(&policy, None, false)?;
        tracing::info!("{} versions are forgotten", pruned.forgotten);
        Ok(EVERY)
    }

    /// Returns whether a version was forgotten since the pond was opened, so that a process that
    /// still views it must not see another one.
    pub fn is_forgotten(&self, version: Version) -> bool {
        self.forgotten.lock().contains(&version)
    }

    /// Has the mount invalidate what the kernel caches of the past. The caller holds no lock.
    fn announce_forgotten(&self) {
        self.announce(&Restored {
            past: true,
            ..Restored::default()
        });
    }

    /// Rewrites the whole history with correct link counts in every version.
    pub(super) fn correct_links(&self) -> Result<(), PondError> {
        self.sync()?;
        let _alone = self.keeper.alone();
        let mut log = self.log.lock();
        self.commit_sealed(&mut log)?;
        let versions = self.versions(Version(0), Version::NOW)?;
        let all = versions.iter().map(|info| info.version).collect();
        self.rewrite(&mut log, &all, Purpose::CorrectLinks)
            .map(drop)
    }

    /// Returns the bytes of all segments and of the oplog.
    fn stored_bytes(&self, log: &Log) -> Result<u64, PondError> {
        let segments: u64 = self.content.segments()?.values().sum();
        Ok(segments + log.oplog().bytes()?)
    }

    /// Rewrites table, index and segments with the versions that are kept. Returns the segments
    /// that still hold erased bytes, because the open version needs other bytes of them:
    /// [`Pond::finish_rewrite`] empties them.
    pub(in crate::pond) fn rewrite(
        &self,
        log: &mut Log,
        kept: &BTreeSet<Version>,
        purpose: Purpose<'_>,
    ) -> Result<BTreeSet<SegmentId>, PondError> {
        if let Some(reason) = self.health.reason() {
            return Err(PondError::ReadOnly(reason));
        }
        self.must_hold_the_lock()?;
        let before: Vec<Version> = (self.versions(Version(0), Version::NOW)?.iter())
            .map(|info| info.version)
            .collect();
        let scope = purpose.scope();
        // The committed content of a removed file that is still open is read from the index.
        let (mut contents, mut needed) = (self.index.orphan_contents(), Needed::default());
        if let Some(erased) = purpose.erased() {
            contents.retain(|content| !erased.contents.contains(content));
        }
        self.each_kept(log, kept, scope, None, &mut |_, changes| {
            let nodes = changes.nodes.values().flatten();
            contents.extend(nodes.filter_map(|node| node.content));
            Ok(())
        })?;
        self.each_kept(log, kept, scope, Some(&contents), &mut |_, changes| {
            needed.note_extents(&changes);
            Ok(())
        })?;
        self.content.end_segment();
        let mut tainted = self.content.unfinished()?.unwrap_or_default();
        if let Some(erased) = purpose.erased() {
            tainted.extend(self.tainted_by(log, &needed, erased)?);
        }
        let mut sparse = self.sparse(&needed, &tainted)?;
        // Bytes written before any are removed: the table, and the live bytes of sparse segments.
        let copied = sparse
            .iter()
            .filter_map(|segment| needed.segments.get(segment));
        let copied: u64 = copied.sum();
        let table = log.oplog().bytes()? + self.index.working_space()?;
        let may_stay = purpose.erased().is_none() && !matches!(purpose, Purpose::Empty);
        if may_stay && !self.free_space.has(copied + table)? {
            tracing::warn!("the disk is too full to copy what sparse segments hold: they stay");
            sparse.clear();
        }
        self.free_space.must_have(match sparse.is_empty() {
            true => table,
            false => copied + table,
        })?;
        // From here on the index may describe a table that no longer exists.
        let mut rewrite = log.oplog_mut().rewrite()?;
        let mut rebuild = self.index.rebuild(self.id)?;
        let newest = kept.last().copied();
        let folded = self.folded_by(purpose, kept, &before)?;
        let mut moved = HashMap::new();
        self.each_kept(
            log,
            kept,
            scope,
            Some(&contents),
            &mut |mut info, mut changes| {
                self.relocate(&mut changes.extents, &sparse, &mut moved);
                if Some(info.version) == newest {
                    if matches!(purpose, Purpose::Prune) {
                        note_pruned(&mut changes, info.version)?;
                    }
                    if let Some((already, more)) = &folded {
                        note_folded(&mut changes, info.version, already, more)?;
                    }
                }
                let changes = rebuild.push(info, changes)?;
                info.changes = changes.len() as u64;
                let stamp = Stamp {
                    committed: info.committed,
                    clock: Some(info.clock),
                };
                let version = info.version;
                let commit = Commit { version, stamp };
                Ok(rewrite.push(commit, &changes)?)
            },
        )?;
        self.sync_content()?;
        self.mark_index()?;
        // From here until all unneeded files are removed, a crash leaves some of them behind.
        self.content.note_unfinished(&tainted)?;
        log.oplog_mut().commit_rewrite(rewrite)?;
        let segments = rebuild.segments()?;
        self.index.exchange(rebuild)?;
        *self.timeline.lock() = Timeline::default();
        let there: HashSet<Version> = (self.versions(Version(0), Version::NOW)?.iter())
            .map(|info| info.version)
            .collect();
        (self.forgotten.lock()).extend(before.into_iter().filter(|v| !there.contains(v)));
        // Readers that looked up an old position must look it up again.
        self.rewrites.fetch_add(1, Ordering::AcqRel);
        self.remove_unneeded(log, segments, &tainted)
    }

    /// Removes the data files and segments that nothing needs. `segments` are those that versions
    /// need. Returns the `tainted` ones that stay.
    fn remove_unneeded(
        &self,
        log: &mut Log,
        mut segments: BTreeSet<SegmentId>,
        tainted: &BTreeSet<SegmentId>,
    ) -> Result<BTreeSet<SegmentId>, PondError> {
        log.oplog_mut().sweep()?;
        {
            let _settling = self.flusher.settling.lock();
            let _no_short_change = self.gate.alone();
            let _no_change_is_half_done = self.changing.lock();
            segments.extend(self.index.open_segments());
            self.content.retain(&segments)?;
        }
        let left: BTreeSet<SegmentId> = tainted.intersection(&segments).copied().collect();
        match left.is_empty() {
            true => self.content.note_finished()?,
            false => self.content.note_unfinished(&left)?,
        }
        Ok(left)
    }

    /// Finishes a rewrite of the history that a crash interrupted, or that had to leave a segment
    /// with bytes to be erased because the open version needed it. The caller holds no lock.
    /// Returns the segments that still hold such bytes.
    pub(in crate::pond) fn finish_rewrite(&self) -> Result<BTreeSet<SegmentId>, PondError> {
        if self.health.is_read_only() {
            return Ok(BTreeSet::new());
        }
        let Some(tainted) = self.content.unfinished()? else {
            return Ok(BTreeSet::new());
        };
        if !tainted.is_empty() {
            // The rewrite moves the bytes that versions need, but not those of the open version.
            self.end_segment();
            self.sync()?;
        }
        let _alone = self.keeper.alone();
        let mut log = self.log.lock();
        self.must_hold_the_lock()?;
        // Another thread may have finished it meanwhile.
        let Some(tainted) = self.content.unfinished()? else {
            return Ok(BTreeSet::new());
        };
        if tainted.is_empty() {
            // Those of the table too: the index may be older, if it could not be exchanged.
            let mut needed = Needed::default();
            replay(log.oplog(), None, &mut |_, changes: &Changes| {
                needed.note_extents(changes);
                Ok::<(), PondError>(())
            })?;
            let mut segments: BTreeSet<SegmentId> = needed.segments.into_keys().collect();
            self.index.visit_history::<Extents>(&mut |_, extent| {
                if let Extent::Stored(run) = extent {
                    segments.insert(run.segment);
                }
            })?;
            return self.remove_unneeded(&mut log, segments, &tainted);
        }
        self.commit_sealed(&mut log)?;
        let versions = self.versions(Version(0), Version::NOW)?;
        let all = versions.iter().map(|info| info.version).collect();
        self.rewrite(&mut log, &all, Purpose::Empty)
    }

    /// Ends the current segment: content that is stored from now on goes to other segments.
    fn end_segment(&self) {
        let _settling = self.flusher.settling.lock();
        self.content.end_segment();
    }

    /// Returns the changes of forgotten versions that the newest version shows as its own: those
    /// that it shows already, and those that a rewrite adds.
    fn folded_by(
        &self,
        purpose: Purpose<'_>,
        kept: &BTreeSet<Version>,
        before: &[Version],
    ) -> Result<Option<(Folded, Folded)>, PondError> {
        let [.., last_but_one, newest] = before else {
            return Ok(None);
        };
        let more = match purpose {
            Purpose::CorrectLinks | Purpose::Empty => return Ok(None),
            _ if kept.contains(last_but_one) => return Ok(None),
            Purpose::Prune => Folded::Everything,
            Purpose::PruneNodes(scope) | Purpose::Erase(scope) => match scope.root {
                Some(root) => Folded::Nodes(vec![root]),
                None => return Ok(None),
            },
        };
        let already = self.folded_into(*newest).map_err(PondError::Tree)?;
        Ok(Some((already, more)))
    }

    /// Visits the remaining versions in order, with their changes. Extents of contents other than
    /// `contents` are left out.
    fn each_kept(
        &self,
        log: &Log,
        kept: &BTreeSet<Version>,
        scope: Option<&Scope>,
        contents: Option<&HashSet<ContentId>>,
        visit: &mut dyn FnMut(VersionInfo, Changes) -> Result<(), PondError>,
    ) -> Result<(), PondError> {
        let tags = self.tags().map_err(PondError::Tree)?;
        let named = tags.into_iter().map(|tag| tag.version).collect();
        let mut slots = Slots::new(kept, &named, scope);
        replay(log.oplog(), None, &mut |info, changes| {
            let Some(mut changes) = slots.take(info.version, changes.clone()) else {
                return Ok(());
            };
            if let Some(contents) = contents {
                changes
                    .extents
                    .retain(|(content, _), _| contents.contains(content));
            }
            visit(*info, changes)
        })
    }

    /// Returns the segments whose bytes are to be copied elsewhere: less than half of them is
    /// needed, or they hold bytes to be erased. The former exclude segments of the open version.
    fn sparse(
        &self,
        needed: &Needed,
        tainted: &BTreeSet<SegmentId>,
    ) -> Result<HashSet<SegmentId>, PondError> {
        let open = self.index.open_segments();
        let mut sparse = HashSet::new();
        for (segment, len) in self.content.segments()? {
            let live = needed.segments.get(&segment).copied().unwrap_or_default();
            let is_sparse = live * 2 < len && !open.contains(&segment);
            if live > 0 && (is_sparse || tainted.contains(&segment)) {
                sparse.insert(segment);
            }
        }
        Ok(sparse)
    }

    /// Returns the segments with bytes that only `erased` needs, over all existing versions.
    fn tainted_by(
        &self,
        log: &Log,
        needed: &Needed,
        erased: &Scope,
    ) -> Result<BTreeSet<SegmentId>, PondError> {
        let mut tainted = BTreeSet::new();
        replay(log.oplog(), None, &mut |_, changes: &Changes| {
            for ((content, _), extent) in &changes.extents {
                if let Some(Extent::Stored(run)) = extent
                    && erased.contents.contains(content)
                    && !needed.places.contains(&(run.segment, run.offset))
                {
                    tainted.insert(run.segment);
                }
            }
            Ok::<(), PondError>(())
        })?;
        Ok(tainted)
    }

    /// Moves the extents in sparse segments to other segments. Unreadable ones stay.
    fn relocate(
        &self,
        extents: &mut Entries<Extents>,
        sparse: &HashSet<SegmentId>,
        moved: &mut HashMap<(SegmentId, u64), Stored>,
    ) {
        for extent in extents.values_mut().flatten() {
            let Extent::Stored(run) = extent else {
                continue;
            };
            if !sparse.contains(&run.segment) {
                continue;
            }
            let place = (run.segment, run.offset);
            let new = match moved.get(&place) {
                Some(new) => *new,
                None => match self.content.copy(run) {
                    Ok(new) => *moved.entry(place).or_insert(new),
                    Err(error) => {
                        tracing::warn!("an extent stays where it is: {}", describe(&error));
                        continue;
                    }
                },
            };
            (run.segment, run.offset) = (new.segment, new.offset);
        }
    }

    /// Has the index rebuilt if the pond is opened before this one is exchanged.
    fn mark_index(&self) -> Result<(), PondError> {
        let dir = self.index.dir();
        let mark = dir.join(REBUILD);
        File::create(&mark)
            .and_then(|file| file.sync_all())
            .and_then(|()| File::open(dir)?.sync_all())
            .map_err(PondError::io("write to", &mark))
    }
}

/// Returns the first and the last of each run of versions that are not kept.
fn runs_of(
    versions: &[VersionInfo],
    kept: &BTreeMap<Version, Vec<String>>,
) -> Vec<(Version, Version)> {
    let runs = versions.chunk_by(|a, b| {
        let is_kept = |info: &VersionInfo| kept.contains_key(&info.version);
        is_kept(a) == is_kept(b)
    });
    let ends = runs.filter_map(|run| Some((run.first()?.version, run.last()?.version)));
    ends.filter(|(first, _)| !kept.contains_key(first))
        .collect()
}

/// The positions and segments that the kept versions need.
#[derive(Default)]
struct Needed {
    places: HashSet<(SegmentId, u64)>,
    /// Needed bytes of each segment.
    segments: BTreeMap<SegmentId, u64>,
}

impl Needed {
    fn note_extents(&mut self, changes: &Changes) {
        for extent in changes.extents.values().flatten() {
            if let Extent::Stored(run) = extent
                && self.places.insert((run.segment, run.offset))
            {
                *self.segments.entry(run.segment).or_default() += u64::from(run.packed_len);
            }
        }
    }
}

#[cfg(test)]
mod tests;
