//! SQL over named tables, run by DataFusion.
//!
//! `derive` runs the queries of recipes on one [`Engine`]. A query reads only its tables, changes
//! nothing, and runs in bounded memory. It runs in one partition, and reads several one after
//! another, so that equal inputs produce equal rows in equal order. Its language is that of
//! [`dialect`].

use super::in_order::in_order;
use super::source::{BATCH, Rows, Source};
use super::table::FileTable;
use super::{QueryError, dialect};
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::TableProvider;
use datafusion::common::TableReference;
use datafusion::execution::context::SQLOptions;
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::memory_pool::FairSpillPool;
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::physical_plan::execute_stream;
use datafusion::prelude::SessionContext;
use futures::StreamExt;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use tokio::runtime::{Builder, Runtime};

/// Runs queries. All queries share its threads and its memory limit.
pub struct Engine {
    threads: Runtime,
    resources: Arc<RuntimeEnv>,
}

impl Engine {
    /// Returns an engine that holds at most `memory` bytes of intermediate results, and spills the
    /// rest to files in `spill`.
    pub fn new(memory: usize, spill: &Path) -> Result<Engine, QueryError> {
        std::fs::create_dir_all(spill).map_err(QueryError::io(spill.display().to_string()))?;
        let threads = Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("query")
            .build()
            .map_err(QueryError::io("starting the threads of queries"))?;
        let disk = DiskManagerMode::Directories(vec![spill.into()]);
        let resources = RuntimeEnvBuilder::new()
            .with_memory_pool(Arc::new(FairSpillPool::new(memory)))
            .with_disk_manager_builder(DiskManagerBuilder::default().with_mode(disk))
            .build_arc()?;
        Ok(Engine { threads, resources })
    }

    /// Returns the rows of a query. It reads `tables` by name. `files` are paths with the sources
    /// that the query reads under them, for example with `read_csv`.
    pub fn query(
        self: &Arc<Engine>,
        query: &str,
        tables: &BTreeMap<String, Vec<Arc<Source>>>,
        files: &[(String, Arc<Source>)],
    ) -> Result<(SchemaRef, Rows), QueryError> {
        let config = dialect::config()
            .with_target_partitions(1)
            .with_batch_size(BATCH)
            .with_information_schema(false);
        let session = SessionContext::new_with_config_rt(config, self.resources.clone());
        dialect::register(&session)?;
        let mut columns = Vec::new();
        let mut note = |table: &FileTable| {
            let fields = table.schema();
            columns.extend(fields.fields().iter().map(|field| field.name().clone()));
        };
        for (name, sources) in tables {
            let table = FileTable::new(sources.clone())?;
            note(&table);
            session.register_table(quoted(name), Arc::new(table))?;
        }
        let mut paths: BTreeMap<String, Arc<dyn TableProvider>> = BTreeMap::new();
        for (path, source) in files {
            let table = FileTable::new(vec![source.clone()])?;
            note(&table);
            paths.insert(path.clone(), Arc::new(table));
        }
        dialect::register_readers(&session, paths);
        let statement =
            dialect::translate(&session, query, &columns).map_err(QueryError::Recipe)?;
        let only_read = SQLOptions::new()
            .with_allow_ddl(false)
            .with_allow_dml(false)
            .with_allow_statements(false);
        let rows = self.threads.block_on(async {
            let plan = session.state().statement_to_plan(statement).await?;
            only_read.verify_plan(&plan)?;
            let frame = session.execute_logical_plan(plan).await?;
            let context = Arc::new(frame.task_ctx());
            let plan = in_order(frame.create_physical_plan().await?)?;
            execute_stream(plan, context)
        })?;
        let schema = rows.schema();
        let (engine, mut rows) = (self.clone(), rows);
        let next = move || {
            let batch = engine.threads.block_on(rows.next())?;
            Some(batch.map_err(QueryError::from))
        };
        Ok((schema, Box::new(std::iter::from_fn(next))))
    }
}

/// Returns a reference to a table whose name is not normalised.
fn quoted(name: &str) -> TableReference {
    TableReference::bare(name.to_owned())
}
