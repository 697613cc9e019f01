//! Merges runs of rows in time order into one row per time.
//!
//! `series` merges pieces of files with it, `reduce` merges pieces and sections. A run is opened
//! only when the merge reaches its first time, and an open run buffers about a batch. Rows that
//! only one run has at the moment pass through uncopied.

use super::QueryError;
use super::source::Rows;
use datafusion::arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use datafusion::arrow::compute::{concat_batches, interleave};
use datafusion::arrow::datatypes::{SchemaRef, TimestampMicrosecondType};
use std::collections::VecDeque;

/// Rows in time order that are not opened yet.
pub(super) struct Run {
    /// Lower bound of their times.
    pub(super) first: i64,
    /// Whether each time is later than the one before.
    pub(super) strict: bool,
    /// Opens the rows.
    pub(super) open: Box<dyn FnOnce() -> Result<Rows, QueryError> + Send>,
}

/// An open run.
struct Head {
    /// Position among the inputs: of rows with one time, the later input takes precedence.
    order: usize,
    strict: bool,
    rows: Rows,
    /// Rows that are read and not yet taken.
    buffer: Option<RecordBatch>,
    ended: bool,
}

/// The merged rows of several runs.
pub(super) struct Merge {
    schema: SchemaRef,
    /// Runs that are not open yet, by first time.
    waiting: VecDeque<(usize, Run)>,
    heads: Vec<Head>,
    failed: bool,
}

/// Returns the times of rows, which are their first column.
pub(super) fn times(batch: &RecordBatch) -> Result<&[i64], QueryError> {
    let column = batch.columns().first();
    let times = column.and_then(|times| times.as_primitive_opt::<TimestampMicrosecondType>());
    let times = times.ok_or_else(|| QueryError::Recipe("the first column is no time".into()))?;
    Ok(times.values())
}

impl Head {
    /// Reads until the buffer has rows or the run ends.
    fn fill(&mut self) -> Result<(), QueryError> {
        while !self.ended
            && self
                .buffer
                .as_ref()
                .is_none_or(|batch| batch.num_rows() == 0)
        {
            self.buffer = self.rows.next().transpose()?;
            self.ended = self.buffer.is_none();
        }
        Ok(())
    }

    /// Reads one more batch and appends it to the buffer.
    fn extend(&mut self, schema: &SchemaRef) -> Result<(), QueryError> {
        match self.rows.next().transpose()? {
            None => self.ended = true,
            Some(next) => {
                self.buffer = Some(match self.buffer.take() {
                    Some(before) => concat_batches(schema, [&before, &next])?,
                    None => next,
                });
            }
        }
        Ok(())
    }

    /// Returns the last buffered time.
    fn last(&self) -> Result<Option<i64>, QueryError> {
        match &self.buffer {
            Some(batch) => Ok(times(batch)?.last().copied()),
            None => Ok(None),
        }
    }

    /// Takes the buffered rows before `limit`, or all.
    fn take(&mut self, limit: Option<i64>) -> Result<Option<RecordBatch>, QueryError> {
        let Some(batch) = &self.buffer else {
            return Ok(None);
        };
        let count = match limit {
            Some(limit) => times(batch)?.partition_point(|time| *time < limit),
            None => batch.num_rows(),
        };
        let taken = batch.slice(0, count);
        self.buffer =
            (count < batch.num_rows()).then(|| batch.slice(count, batch.num_rows() - count));
        Ok((count > 0).then_some(taken))
    }
}

impl Merge {
    /// Merges runs, which are in the order of the inputs.
    pub(super) fn new(schema: SchemaRef, runs: Vec<Run>) -> Merge {
        let mut waiting: Vec<(usize, Run)> = runs.into_iter().enumerate().collect();
        waiting.sort_by_key(|(order, run)| (run.first, *order));
        Merge {
            schema,
            waiting: waiting.into(),
            heads: Vec::new(),
            failed: false,
        }
    }

    fn open_next(&mut self) -> Result<(), QueryError> {
        if let Some((order, run)) = self.waiting.pop_front() {
            self.heads.push(Head {
                order,
                strict: run.strict,
                rows: (run.open)()?,
                buffer: None,
                ended: false,
            });
        }
        Ok(())
    }

    /// Returns the time before which all rows are buffered, or `None` if all rows are.
    fn limit(&mut self) -> Result<Option<i64>, QueryError> {
        loop {
            let mut limit: Option<i64> = None;
            for head in &mut self.heads {
                head.fill()?;
                if !head.ended
                    && let Some(last) = head.last()?
                {
                    limit = Some(limit.map_or(last, |limit| limit.min(last)));
                }
            }
            self.heads
                .retain(|head| !head.ended || head.buffer.is_some());
            match self.waiting.front().map(|(_, run)| run.first) {
                // The next run may have rows before that time, so it has to be open.
                Some(first)
                    if self.heads.is_empty() || limit.is_some_and(|limit| first <= limit) =>
                {
                    self.open_next()?;
                }
                Some(first) => return Ok(Some(limit.map_or(first, |limit| limit.min(first)))),
                None => return Ok(limit),
            }
        }
    }

    fn step(&mut self) -> Result<Option<RecordBatch>, QueryError> {
        loop {
            let limit = self.limit()?;
            if self.heads.is_empty() {
                return Ok(None);
            }
            let mut parts: Vec<(usize, bool, RecordBatch)> = Vec::new();
            for head in &mut self.heads {
                if let Some(part) = head.take(limit)? {
                    parts.push((head.order, head.strict, part));
                }
            }
            parts.sort_by_key(|(order, ..)| *order);
            match &parts[..] {
                [(_, true, only)] => return Ok(Some(only.clone())),
                [] => self.read_on(limit)?,
                _ => {
                    let parts: Vec<RecordBatch> =
                        parts.into_iter().map(|(.., part)| part).collect();
                    return Ok(Some(one_a_time(&self.schema, &parts)?));
                }
            }
        }
    }

    /// Reads on if all buffered rows have the time of the limit: more rows of that time may follow.
    fn read_on(&mut self, limit: Option<i64>) -> Result<(), QueryError> {
        if let Some(limit) = limit
            && self
                .waiting
                .front()
                .is_some_and(|(_, run)| run.first <= limit)
        {
            return self.open_next();
        }
        for head in &mut self.heads {
            if !head.ended && head.last()? == limit {
                head.extend(&self.schema)?;
            }
        }
        Ok(())
    }
}

impl Iterator for Merge {
    type Item = Result<RecordBatch, QueryError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let step = self.step();
        self.failed = step.is_err();
        step.transpose()
    }
}

/// Returns the rows of several parts, each in time order, as one row per time. Each column
/// has its last value that is not null.
pub(super) fn one_a_time(
    schema: &SchemaRef,
    parts: &[RecordBatch],
) -> Result<RecordBatch, QueryError> {
    let mut rows: Vec<(i64, usize, usize)> = Vec::new();
    for (part, batch) in parts.iter().enumerate() {
        let times = times(batch)?.iter().enumerate();
        rows.extend(times.map(|(row, time)| (*time, part, row)));
    }
    rows.sort_unstable();
    let mut ends: Vec<usize> = Vec::with_capacity(rows.len());
    for (n, row) in rows.iter().enumerate() {
        if rows.get(n + 1).is_none_or(|next| next.0 != row.0) {
            ends.push(n + 1);
        }
    }
    let column = |n: usize| -> Result<ArrayRef, QueryError> {
        let arrays: Vec<&dyn Array> = parts.iter().map(|part| part.column(n).as_ref()).collect();
        let mut start = 0;
        let chosen: Vec<(usize, usize)> = ends
            .iter()
            .map(|end| {
                let same = rows.get(start..*end).unwrap_or_default();
                start = *end;
                let valid = |(_, part, row): &&(i64, usize, usize)| {
                    arrays.get(*part).is_some_and(|array| array.is_valid(*row))
                };
                let last = same.iter().rev().find(valid).or(same.last());
                last.map_or((0, 0), |(_, part, row)| (*part, *row))
            })
            .collect();
        Ok(interleave(&arrays, &chosen)?)
    };
    let columns = (0..schema.fields().len()).map(column);
    let columns = columns.collect::<Result<Vec<_>, _>>()?;
    Ok(RecordBatch::try_new(schema.clone(), columns)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::query::time;
    use datafusion::arrow::array::{Float64Array, TimestampMicrosecondArray};
    use datafusion::arrow::datatypes::{DataType, Field, Float64Type, Schema};
    use proptest::prelude::*;
    use std::collections::BTreeMap;
    use std::sync::Arc;

    type Row = (i64, Option<f64>, Option<f64>);

    fn schema() -> SchemaRef {
        Arc::new(Schema::new(vec![
            Field::new("t", time::KIND, false),
            Field::new("a", DataType::Float64, true),
            Field::new("b", DataType::Float64, true),
        ]))
    }

    fn batch(rows: &[Row]) -> RecordBatch {
        let times: TimestampMicrosecondArray = rows.iter().map(|row| Some(row.0)).collect();
        let a: Float64Array = rows.iter().map(|row| row.1).collect();
        let b: Float64Array = rows.iter().map(|row| row.2).collect();
        let columns: Vec<ArrayRef> = vec![Arc::new(times), Arc::new(a), Arc::new(b)];
        RecordBatch::try_new(schema(), columns).unwrap()
    }

    fn rows_of(batch: &RecordBatch) -> Vec<Row> {
        let column = |n: usize| batch.column(n).as_primitive::<Float64Type>().iter();
        let values = column(1).zip(column(2));
        let times = times(batch).unwrap().iter();
        times.zip(values).map(|(t, (a, b))| (*t, a, b)).collect()
    }

    fn merged(runs: &[Vec<Row>], size: usize) -> Vec<Row> {
        let run = |rows: &Vec<Row>| {
            let batches: Vec<_> = rows.chunks(size).map(|rows| Ok(batch(rows))).collect();
            Run {
                first: rows.first().map_or(0, |row| row.0),
                strict: rows.is_sorted_by(|a, b| a.0 < b.0),
                open: Box::new(move || Ok(Box::new(batches.into_iter()) as Rows)),
            }
        };
        let runs = runs.iter().filter(|rows| !rows.is_empty()).map(run);
        let merge = Merge::new(schema(), runs.collect());
        merge.flat_map(|batch| rows_of(&batch.unwrap())).collect()
    }

    fn row() -> impl Strategy<Value = Row> {
        let value = || proptest::option::of((0..9).prop_map(f64::from));
        (0..40i64, value(), value())
    }

    proptest! {
        /// Compares the merge with a map of times.
        #[test]
        fn each_time_has_the_last_valid_values(
            mut runs in proptest::collection::vec(proptest::collection::vec(row(), 0..30), 0..5),
            size in 1..7usize,
        ) {
            let mut want: BTreeMap<i64, (Option<f64>, Option<f64>)> = BTreeMap::new();
            for run in &mut runs {
                run.sort_by_key(|row| row.0);
                for (time, a, b) in run.iter() {
                    let there = want.entry(*time).or_default();
                    *there = (a.or(there.0), b.or(there.1));
                }
            }
            let want: Vec<Row> = want.into_iter().map(|(t, (a, b))| (t, a, b)).collect();
            prop_assert_eq!(merged(&runs, size), want);
        }
    }
}
