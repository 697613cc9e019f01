//! Checks the end of the log when the oplog is opened, and sets torn commits aside.
//!
//! A power cut can leave a commit that was never acknowledged empty, short or with sectors of
//! zeros.
//!
//! Invariants: an acknowledged version is never set aside. Only checkpoint hints, which are caches,
//! are deleted. From the newest checkpoint on no version is missing, and every commit and data file
//! has its full length.

use super::actions;
use super::checkpoint;
use super::digest;
use super::error::OplogError;
use super::source::store_path;
use super::table::{LAST_CHECKPOINT, LOG, Table, commit_path};
use crate::tinyfs::Version;
use object_store::ObjectMeta;
use serde_json::Value;
use std::collections::{BTreeMap, HashSet};

/// Checks the end of the log. Returns the versions that were set aside, newest first.
pub(super) fn check(
    table: &Table,
    place: &str,
    known: Version,
) -> Result<Vec<Version>, OplogError> {
    let base = newest_checkpoint(table)?;
    let mut commits = BTreeMap::new();
    for meta in table.list_log(base.unwrap_or(Version(0)))? {
        if let Some(version) = commit_version(&meta) {
            commits.insert(version, meta.size);
        }
    }
    let first = match base {
        // The checkpoint includes the actions of its own commit.
        Some(base) => base.0 + 1,
        None if commits.is_empty() => {
            return Err(OplogError::Absent {
                place: place.into(),
            });
        }
        None => 0,
    };
    let tail: Vec<(u64, u64)> = commits
        .range(first..)
        .map(|(v, size)| (*v, *size))
        .collect();
    for (expected, (version, _)) in (first..).zip(&tail) {
        if expected != *version {
            let version = Version(expected);
            return Err(OplogError::Damaged {
                version,
                why: "its file is missing".into(),
            });
        }
    }
    let mut removed = HashSet::new();
    let mut set_aside = Vec::new();
    let mut latest = base;
    for (version, size) in tail.into_iter().rev().map(|(v, size)| (Version(v), size)) {
        let Err(why) = inspect(table, version, size, version > known, &mut removed)? else {
            latest = latest.max(Some(version));
            continue;
        };
        // A later commit proves that this one was complete. Damage that a torn write does not cause
        // may be of an acknowledged commit.
        if version <= known || latest > base || !is_torn(table, version)? {
            return Err(OplogError::Damaged { version, why });
        }
        tracing::warn!(%version, why, "a commit that was never finished is set aside");
        put_aside(table, &commit_path(version))?;
        set_aside.push(version);
    }
    match latest {
        Some(latest) if latest < known => Err(OplogError::Lost { known, latest }),
        None if set_aside.is_empty() => Err(OplogError::Absent {
            place: place.into(),
        }),
        _ => Ok(set_aside),
    }
}

/// Returns whether a commit's file, or a data file that it adds, looks like a torn write: too
/// short, or with zeros at the end.
fn is_torn(table: &Table, version: Version) -> Result<bool, OplogError> {
    let Some(bytes) = table.get(&commit_path(version))? else {
        return Ok(true);
    };
    // A file that was cut at the end of a line lacks the transaction, which comes last. Two words
    // are looked for, so that one flipped bit does not make a complete commit look torn.
    let has = |word: &[u8]| bytes.windows(word.len()).any(|part| part == word);
    let ends = has(b"\"txn\"") || has(b"\"appId\"") || version.0 == 0;
    if bytes.last() != Some(&b'\n') || bytes.contains(&0) || !ends {
        return Ok(true);
    }
    let Ok(actions) = actions::read(table, version)? else {
        return Ok(false);
    };
    for (path, size) in &actions.adds {
        let at = store_path(path)?;
        match table.size(&at)? {
            Some(found) if found == *size => {
                let end = table.end(&at, found, 8)?;
                if end.iter().all(|byte| *byte == 0) {
                    return Ok(true);
                }
            }
            _ => return Ok(true),
        }
    }
    Ok(false)
}

/// Returns what is wrong with a commit; the inner error is the reason.
fn inspect(
    table: &Table,
    version: Version,
    size: u64,
    new: bool,
    removed: &mut HashSet<String>,
) -> Result<Result<(), String>, OplogError> {
    if size == 0 {
        return Ok(Err("its file is empty".into()));
    }
    let actions = match actions::read(table, version)? {
        Ok(actions) => actions,
        Err(why) => return Ok(Err(why)),
    };
    for (path, size) in &actions.adds {
        // Files that a later commit removed may be deleted.
        if removed.contains(path) {
            continue;
        }
        let at = store_path(path)?;
        match table.size(&at)? {
            None => return Ok(Err(format!("its data file {path} is missing"))),
            Some(found) if found != *size => {
                let why = format!("its data file {path} has {found} bytes, not {size}");
                return Ok(Err(why));
            }
            // A file of the right length can still be empty of data if it was never synced.
            Some(_) if new && !digest::fits_stored(table, path, &at, *size)? => {
                return Ok(Err(format!("its data file {path} is not what was written")));
            }
            Some(_) => {}
        }
    }
    removed.extend(actions.removes);
    Ok(Ok(()))
}

/// Returns the version of the newest readable checkpoint. Sets unreadable ones aside.
fn newest_checkpoint(table: &Table) -> Result<Option<Version>, OplogError> {
    let hint = table.get(LAST_CHECKPOINT)?;
    let named = hint.as_ref().and_then(|bytes| {
        let hint: Value = serde_json::from_slice(bytes).ok()?;
        hint.get("version")?.as_u64().map(Version)
    });
    if let Some(version) = named
        && let Some(size) = table.size(&checkpoint_path(version).into())?
        && checkpoint_is_whole(table, version, size)?
    {
        return Ok(Some(version));
    }
    if hint.is_some() {
        tracing::warn!("the newest checkpoint cannot be read; looking for an older one");
        table.delete(LAST_CHECKPOINT)?;
    }
    let mut found: Vec<(Version, u64)> = Vec::new();
    for meta in table.list_log(Version(0))? {
        found.extend(checkpoint_version(&meta).map(|version| (version, meta.size)));
    }
    for (version, size) in found.into_iter().rev() {
        if checkpoint_is_whole(table, version, size)? {
            return Ok(Some(version));
        }
        put_aside(table, &checkpoint_path(version))?;
    }
    Ok(None)
}

/// Renames the newest checkpoint if the log can be read without it. Returns whether it did.
pub(super) fn forget_checkpoint(table: &Table) -> Result<bool, OplogError> {
    let names = table.list_log(Version(0))?;
    let mut checkpoints = names.iter().filter_map(checkpoint_version).rev();
    let Some(newest) = checkpoints.next() else {
        return Ok(false);
    };
    let from = checkpoints.next().map_or(0, |before| before.0 + 1);
    let commits: HashSet<u64> = names.iter().filter_map(commit_version).collect();
    if !(from..=newest.0).all(|version| commits.contains(&version)) {
        return Ok(false);
    }
    if table.get(LAST_CHECKPOINT)?.is_some() {
        table.delete(LAST_CHECKPOINT)?;
    }
    put_aside(table, &checkpoint_path(newest))?;
    Ok(true)
}

/// Returns the newest `most` checkpoints that are intact, newest first.
pub(super) fn whole_checkpoints(table: &Table, most: usize) -> Result<Vec<Version>, OplogError> {
    let mut found = Vec::new();
    for meta in table.list_log(Version(0))?.iter().rev() {
        if let Some(version) = checkpoint_version(meta)
            && checkpoint_is_whole(table, version, meta.size)?
        {
            found.push(version);
        }
        if found.len() == most {
            break;
        }
    }
    Ok(found)
}

/// Returns the version of the oldest commit in the log.
pub(super) fn oldest_commit(table: &Table) -> Result<Version, OplogError> {
    let names = table.list_log(Version(0))?;
    let oldest = names.iter().find_map(commit_version);
    Ok(Version(oldest.unwrap_or_default()))
}

/// Returns what is wrong with a commit of any age. Must be called for newer versions first, so that
/// `removed` has the files that they removed.
pub(super) fn inspect_old(
    table: &Table,
    version: Version,
    removed: &mut HashSet<String>,
) -> Result<Result<(), String>, OplogError> {
    let size = table.size(&commit_path(version).into())?;
    match size {
        None => Ok(Err("its file is missing".into())),
        Some(size) => inspect(table, version, size, false, removed),
    }
}

fn checkpoint_is_whole(table: &Table, version: Version, size: u64) -> Result<bool, OplogError> {
    let path = checkpoint_path(version);
    let whole = size > 12 && ends_as_parquet(&table.end(&path.into(), size, 8)?);
    Ok(whole && checkpoint::is_sealed(table, version)?)
}

/// Returns whether these are the last bytes of a Parquet file: the length of the footer, and the
/// magic number.
fn ends_as_parquet(end: &[u8]) -> bool {
    matches!(end.split_at_checked(4), Some((length, b"PAR1")) if length != [0; 4])
}

pub(super) fn checkpoint_path(version: Version) -> String {
    format!("{LOG}/{:020}.checkpoint.parquet", version.0)
}

pub(super) fn commit_version(meta: &ObjectMeta) -> Option<u64> {
    numbered(meta.location.filename()?, ".json")
}

fn checkpoint_version(meta: &ObjectMeta) -> Option<Version> {
    numbered(meta.location.filename()?, ".checkpoint.parquet").map(Version)
}

/// Returns the version of any file of a checkpoint, also of one that was set aside.
pub(super) fn version_of_checkpoint_file(meta: &ObjectMeta) -> Option<Version> {
    let (number, rest) = meta.location.filename()?.split_once('.')?;
    let ours = number.len() == 20 && rest.starts_with("checkpoint");
    ours.then(|| number.parse().ok().map(Version))?
}

fn numbered(name: &str, end: &str) -> Option<u64> {
    let number = name.strip_suffix(end)?;
    let digits = number.len() == 20 && number.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| number.parse().ok())?
}

/// Renames a file of the log so that no Delta reader recognises it.
fn put_aside(table: &Table, path: &str) -> Result<(), OplogError> {
    let taken: HashSet<_> = (table.list_log(Version(0))?.into_iter())
        .map(|meta| meta.location.to_string())
        .collect();
    let free = (1..)
        .map(|n: u32| format!("{path}.torn-{n}"))
        .find(|name| !taken.contains(name));
    table.rename(path, &free.unwrap_or_else(|| format!("{path}.torn")))
}
