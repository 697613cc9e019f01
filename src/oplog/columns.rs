//! Adds the column that the table of an older program lacks.
//!
//! Role: before the first commit to such a table, one commit of metadata adds the column to its
//! schema, so that every Delta reader sees it. In: the newest snapshot. Out: a table with all
//! columns. Invariant: no data file is changed, and older rows are null in that column; the commit
//! takes a number that no version of the pond has, and is recorded as a merge of no files, which
//! older programs accept.

use super::Oplog;
use super::commit::Outcome;
use super::error::{OplogError, from_kernel};
use super::merge::{Moved, merge_app};
use super::schema::{CLOCK, ENGINE};
use buoyant_kernel::committer::FileSystemCommitter;
use buoyant_kernel::schema::{DataType, StructField};
use buoyant_kernel::transaction::CommitResult;

impl Oplog {
    /// Adds the column `clock` if the schema of the table lacks it. After an error that leaves the
    /// outcome unknown, [`Oplog::settle_merge`] determines it.
    pub(super) fn add_missing_column(&mut self) -> Result<(), OplogError> {
        if self.snapshot.schema().field(CLOCK).is_some() {
            return Ok(());
        }
        self.merging = Some(Moved::Column);
        match self.alter()? {
            Outcome::Committed(snapshot) => {
                self.merging = None;
                self.snapshot = snapshot;
                self.since_checkpoint += 1;
                Ok(())
            }
            // An earlier attempt of this writer may have created the commit.
            Outcome::Taken => self.settle_merge(),
        }
    }

    fn alter(&self) -> Result<Outcome, OplogError> {
        let failed = |e| {
            let what = format!("add column {CLOCK} to the oplog");
            self.table.failed(what, from_kernel(e))
        };
        let engine = self.table.engine();
        let committed = (self.snapshot.clone().alter_table())
            .add_column(StructField::nullable(CLOCK, DataType::TIMESTAMP))
            .build(engine, Box::new(FileSystemCommitter::new()))
            .map_err(failed)?
            .with_engine_info(ENGINE)
            .with_transaction_id(merge_app(&self.app), 0)
            .commit(engine)
            .map_err(failed)?;
        match committed {
            CommitResult::CommittedTransaction(done) => match done.post_commit_snapshot() {
                Some(snapshot) => Ok(Outcome::Committed(snapshot.clone())),
                None => Ok(Outcome::Committed(self.newer_snapshot()?)),
            },
            CommitResult::ConflictedTransaction(_) => Ok(Outcome::Taken),
            CommitResult::RetryableTransaction(retry) => Err(failed(retry.error)),
        }
    }
}
