//! Files as an SQL table: rows in their order, columns by name.

use super::keep::Nothing;
use super::source::Source;
use super::{QueryError, schema};
use async_trait::async_trait;
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::{Schema, SchemaRef};
use datafusion::catalog::{Session, TableProvider};
use datafusion::error::{DataFusionError, Result as DataFusionResult};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{Expr, TableType};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::stream::RecordBatchReceiverStreamBuilder;
use datafusion::physical_plan::streaming::{PartitionStream, StreamingTableExec};
use std::fmt;
use std::sync::Arc;

/// Number of batches that are read ahead.
const AHEAD: usize = 2;

/// One or several files as a table.
#[derive(Clone)]
pub(super) struct FileTable {
    sources: Vec<Arc<Source>>,
    schema: SchemaRef,
}

impl FileTable {
    /// Returns a table of these files, one after the other.
    pub(super) fn new(sources: Vec<Arc<Source>>) -> Result<FileTable, QueryError> {
        let mut all: Option<Schema> = None;
        for source in &sources {
            let own = source.schema();
            all = Some(match all {
                Some(before) => schema::union(source.name(), &before, &own)?,
                None => own.as_ref().clone(),
            });
        }
        let schema = all.ok_or_else(|| QueryError::Recipe("no file matches".into()))?;
        Ok(FileTable {
            sources,
            schema: Arc::new(schema::known(&schema)),
        })
    }

    /// Passes all rows, with the columns of `to`, to `take` until it returns false.
    fn read(
        &self,
        to: &SchemaRef,
        take: &mut dyn FnMut(Result<RecordBatch, QueryError>) -> bool,
    ) -> Result<(), QueryError> {
        for source in &self.sources {
            let own = source.schema();
            let names = to.fields().iter();
            let columns: Vec<usize> = names
                .filter_map(|field| own.index_of(field.name()).ok())
                .collect();
            for piece in source.pieces(&Nothing)? {
                for batch in source.scan(&piece, &columns)? {
                    let batch = batch.and_then(|batch| schema::adapt(&batch, to));
                    if !take(batch) {
                        return Ok(());
                    }
                }
            }
        }
        Ok(())
    }
}

impl fmt::Debug for FileTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.sources.iter().map(|source| source.name());
        f.debug_list().entries(names).finish()
    }
}

#[async_trait]
impl TableProvider for FileTable {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        _: &dyn Session,
        projection: Option<&Vec<usize>>,
        _: &[Expr],
        limit: Option<usize>,
    ) -> DataFusionResult<Arc<dyn ExecutionPlan>> {
        let schema = match projection {
            Some(columns) => Arc::new(self.schema.project(columns)?),
            None => self.schema.clone(),
        };
        let scan = Scan {
            table: self.clone(),
            schema: schema.clone(),
        };
        let partitions: Vec<Arc<dyn PartitionStream>> = vec![Arc::new(scan)];
        let plan = StreamingTableExec::try_new(schema, partitions, None, [], false, limit)?;
        Ok(Arc::new(plan))
    }
}

/// Reads the rows of a table, always in the order of the files.
#[derive(Debug)]
struct Scan {
    table: FileTable,
    schema: SchemaRef,
}

impl PartitionStream for Scan {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, _: Arc<TaskContext>) -> SendableRecordBatchStream {
        let mut builder = RecordBatchReceiverStreamBuilder::new(self.schema.clone(), AHEAD);
        let (table, schema, rows) = (self.table.clone(), self.schema.clone(), builder.tx());
        builder.spawn_blocking(move || {
            let mut take = |batch: Result<RecordBatch, QueryError>| {
                let batch = batch.map_err(DataFusionError::from);
                rows.blocking_send(batch).is_ok()
            };
            table
                .read(&schema, &mut take)
                .map_err(DataFusionError::from)
        });
        builder.build()
    }
}
