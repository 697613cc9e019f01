//! The newest checkpoint, before the kernel reads it.
//!
//! Role: a checkpoint is a Parquet file that no checksum of Delta's covers, and the kernel takes what it finds.
//! In: the log's folder. Out: nothing, or what is wrong; and a note of what a checkpoint was when it was written. Holds always: what is decoded of a checkpoint is in
//! proportion to its length, and a file of the log that is longer than any can be is not read.
//!
//! A checkpoint is a cache: where it is refused, it is set aside, and the log is read from further back.

use super::error::OplogError;
use super::pages::{check_footer, check_pages};
use super::reader::FileReader;
use super::table::{LAST_CHECKPOINT, LOG, MAX_LOG_FILE, Table};
use super::tail;
use crate::observe::guarded;
use crate::tinyfs::Version;
use bytes::Bytes;
use object_store::{ObjectMeta, ObjectStoreExt};
use parquet::file::metadata::ParquetMetaDataReader;
use serde::Deserialize;

#[derive(Deserialize)]
struct Hint {
    version: u64,
}

/// Notes the hash of a checkpoint that was just written, in a file beside it that no Delta reader looks at.
pub(super) fn seal(table: &Table, version: Version) -> Result<(), OplogError> {
    let path = seal_path(version);
    let Some(hash) = hash(table, version)? else {
        return Ok(());
    };
    if table.size(&path.as_str().into())?.is_some() {
        table.delete(&path)?;
    }
    let written = table.create(&path, Bytes::from(hash));
    written.map_err(|e| table.failed(format!("write {path}"), e))
}

/// Whether a checkpoint has the hash that was noted of it, if one was. What other programs write has none.
pub(super) fn is_sealed(table: &Table, version: Version) -> Result<bool, OplogError> {
    match table.get(&seal_path(version))? {
        Some(noted) => Ok(hash(table, version)?.is_some_and(|hash| *hash.as_bytes() == *noted)),
        None => Ok(true),
    }
}

fn seal_path(version: Version) -> String {
    format!("{LOG}/{:020}.checkpoint.blake3", version.0)
}

fn hash(table: &Table, version: Version) -> Result<Option<String>, OplogError> {
    let whole = table.get(&tail::checkpoint_path(version))?;
    Ok(whole.map(|bytes| blake3::hash(&bytes).to_hex().to_string()))
}

/// Whether the log can be given to the kernel. The hint of the newest checkpoint was looked after before.
pub(super) fn check(table: &Table) -> Result<(), OplogError> {
    let hint = table.get(LAST_CHECKPOINT)?;
    let hint = hint.and_then(|bytes| serde_json::from_slice::<Hint>(&bytes).ok());
    let from = Version(hint.map_or(0, |hint| hint.version));
    let mut newest: Option<(u64, Vec<ObjectMeta>)> = None;
    for meta in table.list_log(from)? {
        let name = meta.location.filename().unwrap_or_default();
        let Some(version) = name.get(..20).and_then(|digits| digits.parse().ok()) else {
            continue;
        };
        let checkpoint = name.contains(".checkpoint.") && name.ends_with(".parquet");
        let read = name.ends_with(".json") || name.ends_with(".crc");
        if read && meta.size > MAX_LOG_FILE {
            let why = format!("{name} is longer than a file of the log can be");
            return Err(damaged(version, why));
        }
        if checkpoint {
            match &mut newest {
                Some((newest, parts)) if *newest == version => parts.push(meta),
                newest => *newest = Some((version, vec![meta])),
            }
        }
    }
    let (version, parts) = newest.unwrap_or_default();
    for part in parts {
        let name = part.location.filename().unwrap_or_default();
        let why = match guarded(|| look(table, &part)) {
            Some(looked) => looked?.err(),
            None => Some("it makes no sense as Parquet".into()),
        };
        if let Some(why) = why {
            return Err(damaged(version, format!("its checkpoint {name}: {why}")));
        }
    }
    Ok(())
}

fn damaged(version: u64, why: String) -> OplogError {
    let version = Version(version);
    OplogError::Damaged { version, why }
}

fn look(table: &Table, part: &ObjectMeta) -> Result<Result<(), String>, OplogError> {
    let (at, size) = (&part.location, part.size);
    let mut fetch = |range| {
        let read = table.store();
        table.wait(|| format!("read {at}"), async {
            read.get_range(at, range).await
        })
    };
    if let Err(odd) = check_footer(size, &mut fetch)? {
        return Ok(Err(odd));
    }
    let mut reader = FileReader::new(table, at.clone(), size, None);
    let load = ParquetMetaDataReader::new().load_and_finish(&mut reader, size);
    let metadata = table.wait(|| format!("read {at}"), load)?;
    check_pages(&metadata, size, &mut fetch)
}
