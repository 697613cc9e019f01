//! Many files as one series: columns by name, rows in time order, one row per time.
//!
//! `derive` makes Combine, Reduce, Pivot and Chart from series. Of several rows of one time, each
//! column has the last value that is not null, in the order of the inputs and of their rows. So
//! rows that were sent again change nothing, corrections replace values, and rows of two files with
//! different columns become one row. Rows without a time are left out.

use super::blob::Hash;
use super::keep::{Keep, key};
use super::merge::{Merge, Run};
use super::source::{Piece, Rows, Source};
use super::{QueryError, schema, time};
use datafusion::arrow::array::{Array, ArrayRef, BooleanArray, RecordBatch, UInt32Array};
use datafusion::arrow::compute::{concat_batches, filter_record_batch, take_record_batch};
use datafusion::arrow::datatypes::{Field, Schema, SchemaRef};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// A file of a series.
#[derive(Clone)]
pub struct Member {
    /// The file.
    pub source: Arc<Source>,
    /// Prefix of the names of its columns; empty for none.
    pub prefix: String,
}

/// Summary of the times in a piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Facts {
    /// Number of rows with a time.
    pub(super) rows: u64,
    /// The first and the last time, if there is any.
    pub(super) span: Option<(i64, i64)>,
    /// Whether each time is later than the one before.
    pub(super) strict: bool,
}

impl Facts {
    pub(super) const NONE: Facts = Facts {
        rows: 0,
        span: None,
        strict: true,
    };

    /// Adds the times of rows that follow.
    pub(super) fn add(&mut self, times: &[i64]) {
        let (Some(first), Some(last)) = (times.iter().min(), times.iter().max()) else {
            return;
        };
        let joins = match self.span {
            Some((_, before)) => times.first().is_some_and(|time| *time > before),
            None => true,
        };
        self.strict &= joins && times.is_sorted_by(|a, b| a < b);
        self.span = Some(match self.span {
            Some((least, greatest)) => (least.min(*first), greatest.max(*last)),
            None => (*first, *last),
        });
        self.rows += times.len() as u64;
    }
}

/// Several files as one series.
pub struct Series {
    members: Vec<Member>,
    /// Indices of the selected columns, in the order of output.
    shown: Vec<usize>,
    /// All columns. The first is the time, under the name that the first member has for it.
    schema: SchemaRef,
}

impl Series {
    /// Returns the series of these files. Fails if a file has no time column.
    pub fn new(members: Vec<Member>) -> Result<Series, QueryError> {
        let mut all: Option<Schema> = None;
        for member in &members {
            let columns = columns_of(member)?;
            all = Some(match all {
                Some(before) => {
                    let columns = schema::led_by(before.field(0), &columns);
                    schema::union(member.source.name(), &before, &columns)?
                }
                None => columns,
            });
        }
        let schema = all.ok_or_else(|| QueryError::Recipe("no file matches".into()))?;
        let schema = schema::known(&schema);
        Ok(Series {
            members,
            shown: (0..schema.fields().len()).collect(),
            schema: Arc::new(schema),
        })
    }

    /// Selects columns by patterns in which `*` stands for any text. The time is always selected.
    pub fn only(mut self, patterns: &[String]) -> Series {
        let name = |n: &usize| self.schema.field(*n).name();
        let wanted = |n: &usize| {
            patterns
                .iter()
                .any(|pattern| schema::column_matches(pattern, name(n)))
        };
        self.shown.retain(|n| *n == 0 || wanted(n));
        self
    }

    /// Sorts the columns by name. The time stays the first.
    pub fn sorted(mut self) -> Series {
        let name = |n: &usize| (*n != 0, self.schema.field(*n).name());
        self.shown.sort_by(|a, b| name(a).cmp(&name(b)));
        self
    }

    /// Fails if two of these sets of files have a column of the same name.
    pub fn distinct(sets: &[&[Member]]) -> Result<(), QueryError> {
        let mut seen: std::collections::BTreeMap<String, usize> = Default::default();
        for (n, set) in sets.iter().enumerate() {
            for member in *set {
                for field in columns_of(member)?.fields().iter().skip(1) {
                    let before = *seen.entry(field.name().clone()).or_insert(n);
                    if before != n {
                        let why = format!(
                            "two series have a column {:?}; give one of them a `scope`, which is put before its names",
                            field.name()
                        );
                        return Err(QueryError::Recipe(why));
                    }
                }
            }
        }
        Ok(())
    }

    /// Returns the selected columns. The first is the time.
    pub fn schema(&self) -> Result<SchemaRef, QueryError> {
        Ok(Arc::new(self.schema.project(&self.shown)?))
    }

    /// Returns all rows in time order.
    pub fn rows(&self, keep: &dyn Keep) -> Result<Rows, QueryError> {
        let mut runs = Vec::new();
        for member in &self.members {
            for piece in member.source.pieces(keep)? {
                let facts = facts(member, &piece, keep)?;
                if facts.span.is_some() {
                    runs.push(run(member, &piece, facts, self.schema.clone(), None));
                }
            }
        }
        let (merged, shown) = (Merge::new(self.schema.clone(), runs), self.shown.clone());
        Ok(Box::new(
            merged.map(move |batch| Ok(batch?.project(&shown)?)),
        ))
    }
}

/// Returns the first and the last time of a file's rows in µs since 1970; `None` if no row has
/// one.
pub fn span(source: &Arc<Source>, keep: &dyn Keep) -> Result<Option<(i64, i64)>, QueryError> {
    let member = Member {
        source: source.clone(),
        prefix: String::new(),
    };
    let mut whole: Option<(i64, i64)> = None;
    for piece in source.pieces(keep)? {
        let Some((first, last)) = facts(&member, &piece, keep)?.span else {
            continue;
        };
        whole = Some(whole.map_or((first, last), |(a, b)| (a.min(first), b.max(last))));
    }
    Ok(whole)
}

/// Returns the name of a member's column in the series.
fn name_of(member: &Member, field: &Field) -> String {
    match member.prefix.is_empty() {
        true => field.name().clone(),
        false => format!("{}.{}", member.prefix, field.name()),
    }
}

/// Returns the index of a file's time column.
pub(super) fn time_of(source: &Source) -> Result<usize, QueryError> {
    time::column(&source.schema()).ok_or_else(|| {
        let why = "it has no column called timestamp, so its rows are no series";
        QueryError::input(source.name(), why)
    })
}

/// Returns the columns of a member as they are in the series: times first, in µs.
fn columns_of(member: &Member) -> Result<Schema, QueryError> {
    let (schema, times) = (member.source.schema(), time_of(&member.source)?);
    let mut fields = vec![Field::new(schema.field(times).name(), time::KIND, false)];
    for (n, field) in schema.fields().iter().enumerate() {
        if n != times {
            fields.push(Field::new(
                name_of(member, field),
                field.data_type().clone(),
                true,
            ));
        }
    }
    Ok(Schema::new(fields))
}

/// Returns the summary of a piece, from the cache or by reading its times.
fn facts(member: &Member, piece: &Piece, keep: &dyn Keep) -> Result<Facts, QueryError> {
    let times = time_of(&member.source)?;
    let kind = member.source.schema().field(times).data_type().to_string();
    let key = key("facts", &[&piece.id, kind.as_bytes()]);
    let kept = keep.get(&key);
    if let Some(kept) = kept.and_then(|kept| serde_json::from_slice(&kept).ok()) {
        return Ok(kept);
    }
    let mut facts = Facts::NONE;
    for batch in member.source.scan(piece, &[times])? {
        let times = time::normal(batch?.column(0))?;
        match times.null_count() {
            0 => facts.add(times.values()),
            _ => facts.add(&times.iter().flatten().collect::<Vec<_>>()),
        }
    }
    if let Ok(text) = serde_json::to_vec(&facts) {
        keep.put(&key, text.into());
    }
    Ok(facts)
}

/// Returns a piece as a run in time order, with the columns of `schema`. `columns` are the
/// indices of the file's columns to read; `None` reads all.
pub(super) fn run(
    member: &Member,
    piece: &Piece,
    facts: Facts,
    schema: SchemaRef,
    columns: Option<Vec<usize>>,
) -> Run {
    let (member, piece) = (member.clone(), piece.clone());
    let open = move || -> Result<Rows, QueryError> {
        let rows = timed(&member, &piece, schema.clone(), columns)?;
        match facts.strict {
            true => Ok(rows),
            false => sorted(rows, &schema),
        }
    };
    Run {
        first: facts.span.map_or(i64::MIN, |span| span.0),
        strict: facts.strict,
        open: Box::new(open),
    }
}

/// Returns the rows of a piece that have a time, in their order, with the columns of `schema`.
pub(super) fn timed(
    member: &Member,
    piece: &Piece,
    schema: SchemaRef,
    columns: Option<Vec<usize>>,
) -> Result<Rows, QueryError> {
    let own = member.source.schema();
    let times = time_of(&member.source)?;
    let all = || (0..own.fields().len()).filter(|n| *n != times).collect();
    let mut columns: Vec<usize> = columns.unwrap_or_else(all);
    columns.insert(0, times);
    let mut fields = vec![schema.field(0).clone()];
    for column in columns.iter().skip(1) {
        let field = own.field(*column);
        fields.push(Field::new(
            name_of(member, field),
            field.data_type().clone(),
            true,
        ));
    }
    let here = Arc::new(Schema::new(fields));
    let rows = member.source.scan(piece, &columns)?;
    Ok(Box::new(rows.map(move |batch| {
        let batch = batch?;
        let times = time::normal(batch.column(0))?;
        let there = (times.null_count() > 0)
            .then(|| BooleanArray::from_iter(times.iter().map(|time| Some(time.is_some()))));
        let mut arrays = batch.columns().to_vec();
        if let Some(first) = arrays.first_mut() {
            *first = Arc::new(times) as ArrayRef;
        }
        let named = |arrays: Vec<ArrayRef>| {
            let fields = here
                .fields()
                .iter()
                .map(|field| (**field).clone().with_nullable(true));
            RecordBatch::try_new(Arc::new(Schema::new(fields.collect::<Vec<_>>())), arrays)
        };
        let mut batch = named(arrays)?;
        if let Some(there) = there {
            batch = filter_record_batch(&batch, &there)?;
        }
        schema::adapt(&batch, &schema)
    })))
}

/// Sorts rows by time. Rows of one time keep their order.
pub(super) fn sorted(rows: Rows, schema: &SchemaRef) -> Result<Rows, QueryError> {
    let batches = rows.collect::<Result<Vec<_>, _>>()?;
    let all = concat_batches(schema, &batches)?;
    let times = super::merge::times(&all)?;
    // A piece has fewer than 2^32 rows.
    let mut order: Vec<u32> = (0..all.num_rows() as u32).collect();
    order.sort_by_key(|row| times.get(*row as usize).copied());
    let sorted = take_record_batch(&all, &UInt32Array::from(order))?;
    Ok(Box::new(std::iter::once(Ok(sorted))))
}

/// Returns the identity of several pieces in this order.
pub(super) fn together<'p>(pieces: impl IntoIterator<Item = &'p Hash>) -> Hash {
    let parts: Vec<&[u8]> = pieces.into_iter().map(|id| &id[..]).collect();
    key("together", &parts)
}
