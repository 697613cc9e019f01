//! A reduced series in sections of time, each of which can be computed alone.
//!
//! The writer copies sections whose keys it has written before. The key of a section covers
//! everything that its rows depend on. Sections begin where the calendar and the width say,
//! wherever the series begins, so that an append changes only the last one. Only partial results
//! that reach into the current section are in memory.

use super::aggregate::Aggregate;
use super::compute::{Computing, Set};
use super::partial::Partial;
use crate::query::merge::{Merge, Run};
use crate::query::source::Rows;
use crate::query::width::Width;
use crate::query::{Hash, QueryError, keep, schema};
use datafusion::arrow::array::{
    ArrayRef, Float64Array, Int64Array, RecordBatch, TimestampMicrosecondArray,
};
use datafusion::arrow::compute::concat_batches;
use datafusion::arrow::datatypes::{Schema, SchemaRef};
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

/// Buckets per section: few, so that an append rewrites little; enough for a Parquet row group. In
/// tests few enough for several sections.
const BUCKETS: u32 = if cfg!(test) { 4 } else { 2_048 };
/// Maximum number of pairs of a section and a set that reaches into it. Long series have longer
/// sections.
const MOST: usize = 1 << 16;

/// A group of files, and its sets.
pub(super) struct Part {
    /// The time, then all aggregates of each column.
    schema: SchemaRef,
    computing: Computing,
    sets: Vec<Set>,
}

impl Part {
    /// Returns a group whose rows have this schema.
    pub(super) fn new(schema: Schema, computing: Computing) -> Part {
        Part {
            schema: Arc::new(schema),
            sets: computing.sets(),
            computing,
        }
    }
}

/// A reduced series.
pub struct Sections {
    schema: SchemaRef,
    aggregates: Vec<Aggregate>,
    width: Width,
    parts: Vec<Part>,
    all: Vec<Section>,
    /// Partial results that reach into the section computed last, by part and set.
    held: BTreeMap<(usize, usize), Partial>,
}

/// A span of time, and the sets that reach into it.
struct Section {
    times: Range<i64>,
    key: Hash,
    /// As part and set.
    sets: Vec<(usize, usize)>,
}

impl Sections {
    pub(super) fn new(
        schema: SchemaRef,
        aggregates: &[Aggregate],
        width: Width,
        parts: Vec<Part>,
    ) -> Sections {
        let recipe = format!("{schema:?} {aggregates:?} {width:?}");
        let id = |(part, set): &(usize, usize)| {
            let id = parts.get(*part)?.sets.get(*set)?.id;
            Some([&part.to_le_bytes()[..], &id].concat())
        };
        let section = |(times, sets): Span| {
            let ids: Vec<Vec<u8>> = sets.iter().filter_map(id).collect();
            let (start, end) = (times.start.to_le_bytes(), times.end.to_le_bytes());
            let of: [&[u8]; 4] = [recipe.as_bytes(), &start, &end, &ids.concat()];
            Section {
                key: keep::key("section", &of),
                times,
                sets,
            }
        };
        let all = spans(&parts, &width).into_iter().map(section).collect();
        Sections {
            schema,
            aggregates: aggregates.to_vec(),
            width,
            all,
            parts,
            held: BTreeMap::new(),
        }
    }

    /// Returns the columns. The first is the time.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// Returns the keys of the sections, in time order.
    pub fn keys(&self) -> Vec<Hash> {
        self.all.iter().map(|section| section.key).collect()
    }

    /// Returns the rows of a section, one per bucket in time order; `None` if it has none.
    /// Calls in the order of the sections are fastest.
    pub(in crate::query) fn rows(&mut self, n: usize) -> Result<Option<RecordBatch>, QueryError> {
        let Some(section) = self.all.get(n) else {
            return Ok(None);
        };
        let parts = &self.parts;
        self.held.retain(|(part, set), _| {
            let set = parts.get(*part).and_then(|part| part.sets.get(*set));
            set.is_some_and(|set| set.span.1 >= section.times.start)
        });
        let mut buckets: Vec<Option<Partial>> = Vec::new();
        buckets.resize_with(self.parts.len(), || None);
        for at in &section.sets {
            let (Some(part), Some(buckets)) = (self.parts.get(at.0), buckets.get_mut(at.0)) else {
                continue;
            };
            let Some(set) = part.sets.get(at.1) else {
                continue;
            };
            if !self.held.contains_key(at) {
                self.held.insert(*at, part.computing.partial(set)?);
            }
            if let Some(partial) = self.held.get(at) {
                let buckets = buckets.get_or_insert_with(|| partial.like());
                buckets.absorb(
                    partial,
                    within(&partial.starts, &section.times),
                    &self.width,
                );
            }
        }
        let mut told: Vec<RecordBatch> = Vec::new();
        for (part, buckets) in self.parts.iter().zip(buckets) {
            if let Some(buckets) = buckets.filter(|buckets| !buckets.starts.is_empty()) {
                let rows = self.tell(&part.schema, buckets)?;
                told.push(schema::adapt(&rows, &self.schema)?);
            }
        }
        if told.len() < 2 {
            return Ok(told.pop());
        }
        let run = |rows: RecordBatch| Run {
            first: section.times.start,
            strict: true,
            open: Box::new(move || Ok(Box::new(std::iter::once(Ok(rows))) as Rows)),
        };
        let merged = Merge::new(self.schema.clone(), told.into_iter().map(run).collect());
        let merged: Vec<RecordBatch> = merged.collect::<Result<_, _>>()?;
        Ok(Some(concat_batches(&self.schema, &merged)?))
    }

    /// Returns all rows.
    pub(in crate::query) fn into_rows(mut self) -> Rows {
        let all = 0..self.all.len();
        Box::new(all.filter_map(move |n| self.rows(n).transpose()))
    }

    /// Converts buckets to rows.
    fn tell(&self, schema: &SchemaRef, mut buckets: Partial) -> Result<RecordBatch, QueryError> {
        let times = TimestampMicrosecondArray::from_iter_values(buckets.starts.iter().copied());
        let mut columns: Vec<ArrayRef> = vec![Arc::new(times)];
        for column in &mut buckets.columns {
            for values in column.values.iter_mut().flatten() {
                values.sort_unstable_by(f64::total_cmp);
            }
            for aggregate in &self.aggregates {
                columns.push(match aggregate {
                    Aggregate::Count => {
                        let counts = column.stats.iter();
                        let counts = counts.map(|stat| i64::try_from(stat.count).ok());
                        Arc::new(counts.collect::<Int64Array>())
                    }
                    _ => {
                        let told = column.stats.iter().enumerate().map(|(n, stat)| {
                            let values = column.values.as_ref().and_then(|all| all.get(n));
                            stat.tell(*aggregate, values.map_or(&[][..], Vec::as_slice))
                        });
                        Arc::new(told.collect::<Float64Array>())
                    }
                });
            }
        }
        Ok(RecordBatch::try_new(schema.clone(), columns)?)
    }
}

/// A span of time, and the sets that reach into it, as part and set.
type Span = (Range<i64>, Vec<(usize, usize)>);

/// Returns which sets reach into which spans of time. Spans have as many buckets as it takes to
/// limit their number.
fn spans(parts: &[Part], width: &Width) -> Vec<Span> {
    let count: usize = parts.iter().map(|part| part.sets.len()).sum();
    let mut buckets = BUCKETS;
    loop {
        let last = buckets.checked_mul(2).is_none();
        let most = if last {
            usize::MAX
        } else {
            MOST.max(2 * count)
        };
        if let Some(spans) = spans_of(parts, &width.times(buckets), most) {
            return spans;
        }
        buckets = buckets.saturating_mul(2);
    }
}

/// Does the same for one width; `None` if there are more than `most` pairs of a span and a set.
fn spans_of(parts: &[Part], width: &Width, most: usize) -> Option<Vec<Span>> {
    let (mut found, mut pairs) = (BTreeMap::new(), 0);
    for (p, part) in parts.iter().enumerate() {
        // Sets are added in the order of the inputs.
        let mut order: Vec<usize> = (0..part.sets.len()).collect();
        order.sort_by_key(|n| part.sets.get(*n).map(|set| set.pieces.first().copied()));
        for n in order {
            let (first, last) = part.sets.get(n)?.span;
            let mut start = width.start_of(first);
            loop {
                let end = width.next(start);
                let (_, sets) = found.entry(start).or_insert((start..end, Vec::new()));
                sets.push((p, n));
                pairs += 1;
                // All keys are stored with the result.
                if pairs > most || (found.len() > MOST && most < usize::MAX) {
                    return None;
                }
                if end > last || end <= start {
                    break;
                }
                start = end;
            }
        }
    }
    Some(found.into_values().collect())
}

/// Returns the range of sorted times within a span. The last span includes `i64::MAX`.
fn within(starts: &[i64], times: &Range<i64>) -> Range<usize> {
    let from = starts.partition_point(|start| *start < times.start);
    let to = match times.end {
        i64::MAX => starts.len(),
        end => starts.partition_point(|start| *start < end),
    };
    from..to
}
