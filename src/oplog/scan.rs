//! Lists the active data files of a snapshot, with the versions that they hold.
//!
//! Sizes, partitions and versions come from the actions and statistics in the log.
//!
//! Invariant: a file without statistics is assumed to hold any version up to the newest.

use super::error::{OplogError, from_kernel};
use super::schema::PART;
use super::source::DataFile;
use super::table::Table;
use crate::tinyfs::Version;
use arrow::array::{Array, AsArray, RecordBatch, StructArray};
use arrow::datatypes::Int64Type;
use buoyant_kernel::engine::arrow_data::ArrowEngineData;
use buoyant_kernel::snapshot::SnapshotRef;
use buoyant_kernel::{DeltaResult, Engine};
use serde::Deserialize;

/// Returns the active files that hold, or may hold, versions above `after`.
pub(super) fn active(
    table: &Table,
    snapshot: &SnapshotRef,
    after: Option<Version>,
) -> Result<Vec<DataFile>, OplogError> {
    let latest = snapshot.version();
    let batches = scan(table.engine(), snapshot);
    let batches = batches.map_err(|e| table.failed("list the data files", from_kernel(e)))?;
    let mut files = Vec::new();
    for batch in batches {
        read(&batch, latest, &mut files).map_err(|why| OplogError::Damaged {
            version: Version(latest),
            why: format!("its list of data files cannot be read: {why}"),
        })?;
    }
    files.retain(|f| after.is_none_or(|after| f.versions.1 > after.0));
    Ok(files)
}

fn scan(engine: &dyn Engine, snapshot: &SnapshotRef) -> DeltaResult<Vec<RecordBatch>> {
    let scan = snapshot.clone().scan_builder().build()?;
    let mut batches = Vec::new();
    for found in scan.scan_metadata(engine)? {
        let selected = found?.scan_files.apply_selection_vector()?;
        batches.push((*ArrowEngineData::try_from_engine_data(selected)?).into());
    }
    Ok(batches)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Stats {
    min_values: Bounds,
    max_values: Bounds,
}

#[derive(Deserialize)]
struct Bounds {
    version: u64,
}

fn read(batch: &RecordBatch, latest: u64, files: &mut Vec<DataFile>) -> Result<(), String> {
    let column = |name: &str| {
        batch
            .column_by_name(name)
            .ok_or(format!("no column {name}"))
    };
    let paths = column("path")?
        .as_string_opt::<i32>()
        .ok_or("paths are no text")?;
    let sizes = column("size")?
        .as_primitive_opt::<Int64Type>()
        .ok_or("sizes are no numbers")?;
    let stats = column("stats")?
        .as_string_opt::<i32>()
        .ok_or("statistics are no text")?;
    let vectors = column("deletionVector")?
        .as_struct_opt()
        .ok_or("deletion vectors")?;
    let constants = column("fileConstantValues")?
        .as_struct_opt()
        .ok_or("partitions")?;
    for i in 0..batch.num_rows() {
        if paths.is_null(i) {
            continue;
        }
        let path = paths.value(i).to_string();
        let stored = vectors.column_by_name("storageType");
        if stored.is_some_and(|s| !vectors.is_null(i) && !s.is_null(i)) {
            return Err(format!("rows of {path} were deleted by another program"));
        }
        let known = (!stats.is_null(i))
            .then(|| serde_json::from_str::<Stats>(stats.value(i)).ok())
            .flatten();
        let versions = known.map_or((0, latest), |s| {
            (s.min_values.version, s.max_values.version)
        });
        if versions.0 > versions.1 || versions.1 > latest {
            return Err(format!("{path} holds versions that are not there"));
        }
        let size = u64::try_from(sizes.value(i)).map_err(|_| format!("{path} has no size"))?;
        let part = part(constants, i).ok_or(format!("{path} has no partition"))?;
        files.push(DataFile {
            path,
            size,
            part,
            versions,
        });
    }
    Ok(())
}

fn part(constants: &StructArray, row: usize) -> Option<i32> {
    let values = constants.column_by_name("partitionValues")?.as_map_opt()?;
    if values.is_null(row) {
        return None;
    }
    let entries = values.value(row);
    let keys = entries.column(0).as_string_opt::<i32>()?;
    let parts = entries.column(1).as_string_opt::<i32>()?;
    let at = keys.iter().position(|key| key == Some(PART))?;
    (!parts.is_null(at)).then(|| parts.value(at).parse().ok())?
}
