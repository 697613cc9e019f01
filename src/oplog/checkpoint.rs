//! Checks checkpoints before the kernel reads them, and seals them with a hash.
//!
//! A checkpoint is a Parquet file without a checksum, and the kernel uses whatever it decodes. A
//! damaged checkpoint is set aside; the log is then read from an older one or from its beginning.
//!
//! Invariants: what is decoded of a checkpoint is in proportion to its length. A file of the log
//! above [`MAX_LOG_FILE`] is not read.

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

/// Writes the hash of a new checkpoint to a file beside it, which no Delta reader looks at.
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

/// Returns whether a checkpoint matches its hash. Checkpoints of other programs have none and pass.
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

/// Checks the newest checkpoint and the sizes of the log's files. [`tail`] has checked the hint.
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
            None => Some("it cannot be parsed as Parquet".into()),
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
