//! Partial results as the rows of the final buckets, in the order of time.
//!
//! Holds always: a bucket is told when nothing more can come into it, so that only the buckets of one cluster are
//! in memory.

use super::aggregate::{Aggregate, Stat};
use super::partial::Partial;
use crate::query::QueryError;
use crate::query::width::Width;
use datafusion::arrow::array::{
    ArrayRef, Float64Array, Int64Array, RecordBatch, TimestampMicrosecondArray,
};
use datafusion::arrow::datatypes::SchemaRef;
use std::collections::BTreeMap;

/// Pieces that overlap in time, and no others.
pub(super) struct Cluster {
    /// Its first time.
    pub(super) first: i64,
    /// What is known of its rows.
    pub(super) partials: Box<dyn Fn() -> Result<Vec<Partial>, QueryError> + Send>,
}

/// A bucket: of each column what is known, and its values where they are needed.
type Bucket = Vec<(Stat, Vec<f64>)>;

/// Makes rows of the clusters of a group.
pub(super) struct Roll {
    schema: SchemaRef,
    aggregates: Vec<Aggregate>,
    width: Width,
    clusters: std::iter::Peekable<std::vec::IntoIter<Cluster>>,
    open: BTreeMap<i64, Bucket>,
}

impl Roll {
    /// Clusters in the order of time, as rows of `schema`: times, then of each column all aggregates.
    pub(super) fn new(
        schema: SchemaRef,
        aggregates: &[Aggregate],
        width: Width,
        clusters: Vec<Cluster>,
    ) -> Roll {
        Roll {
            schema,
            aggregates: aggregates.to_vec(),
            width,
            clusters: clusters.into_iter().peekable(),
            open: BTreeMap::new(),
        }
    }

    fn absorb(&mut self, partial: Partial) {
        for (n, start) in partial.starts.iter().enumerate() {
            let start = self.width.start_of(*start);
            let bucket = self.open.entry(start).or_default();
            bucket.resize(partial.columns.len(), (Stat::NONE, Vec::new()));
            for ((stat, values), column) in bucket.iter_mut().zip(&partial.columns) {
                if let Some(more) = column.stats.get(n) {
                    stat.add(more);
                }
                let more = column.values.as_ref().and_then(|values| values.get(n));
                values.extend(more.into_iter().flatten());
            }
        }
    }

    /// The rows of buckets that nothing more comes into.
    fn tell(&self, buckets: BTreeMap<i64, Bucket>) -> Result<RecordBatch, QueryError> {
        let times = TimestampMicrosecondArray::from_iter_values(buckets.keys().copied());
        let mut columns: Vec<ArrayRef> = vec![std::sync::Arc::new(times)];
        let mut buckets: Vec<Bucket> = buckets.into_values().collect();
        for (_, values) in buckets.iter_mut().flatten() {
            values.sort_unstable_by(f64::total_cmp);
        }
        let width = (self.schema.fields().len() - 1) / self.aggregates.len().max(1);
        for column in 0..width {
            for aggregate in &self.aggregates {
                let told = buckets.iter().map(|bucket| {
                    let (stat, values) = bucket.get(column)?;
                    stat.tell(*aggregate, values)
                });
                columns.push(match aggregate {
                    Aggregate::Count => {
                        let counts = buckets.iter().map(|bucket| {
                            let count = bucket.get(column).map_or(0, |(stat, _)| stat.count);
                            i64::try_from(count).ok()
                        });
                        std::sync::Arc::new(counts.collect::<Int64Array>())
                    }
                    _ => std::sync::Arc::new(told.collect::<Float64Array>()),
                });
            }
        }
        Ok(RecordBatch::try_new(self.schema.clone(), columns)?)
    }

    fn step(&mut self) -> Result<Option<RecordBatch>, QueryError> {
        loop {
            let Some(cluster) = self.clusters.next() else {
                let rest = std::mem::take(&mut self.open);
                return match rest.is_empty() {
                    true => Ok(None),
                    false => self.tell(rest).map(Some),
                };
            };
            for partial in (cluster.partials)()? {
                self.absorb(partial);
            }
            if let Some(next) = self.clusters.peek() {
                let rest = self.open.split_off(&self.width.start_of(next.first));
                let done = std::mem::replace(&mut self.open, rest);
                if !done.is_empty() {
                    return self.tell(done).map(Some);
                }
            }
        }
    }
}

impl Iterator for Roll {
    type Item = Result<RecordBatch, QueryError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.step().transpose()
    }
}
