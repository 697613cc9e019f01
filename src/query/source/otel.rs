//! OpenTelemetry metrics as JSON lines, as the collector's file exporter writes them.
//!
//! Each time is a row and each metric a column. Points of gauges and sums are read, other metrics
//! are not. Of two points of one time and metric the later one wins. Attributes and resources are
//! ignored.
//!
//! Source of the format: opentelemetry-proto, `metrics.proto`, in the JSON mapping of OTLP.

use super::{File, Part, Rows, json};
use crate::query::QueryError;
use datafusion::arrow::array::{ArrayRef, Float64Array, RecordBatch, TimestampNanosecondArray};
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::io::BufRead;
use std::sync::Arc;

/// Name of the time column.
const TIME: &str = "timestamp";

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Line {
    #[serde(default)]
    resource_metrics: Vec<Resource>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Resource {
    #[serde(default)]
    scope_metrics: Vec<Scope>,
}

#[derive(Deserialize)]
struct Scope {
    #[serde(default)]
    metrics: Vec<Metric>,
}

#[derive(Deserialize)]
struct Metric {
    name: String,
    gauge: Option<Points>,
    sum: Option<Points>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Points {
    #[serde(default)]
    data_points: Vec<Point>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Point {
    time_unix_nano: Nanos,
    as_double: Option<f64>,
    as_int: Option<Nanos>,
}

/// A 64-bit number, which OTLP's JSON writes as a string.
#[derive(Clone, Copy, Deserialize)]
#[serde(untagged)]
enum Nanos {
    Number(i64),
    #[serde(deserialize_with = "from_text")]
    Text(i64),
}

fn from_text<'de, D: serde::Deserializer<'de>>(from: D) -> Result<i64, D::Error> {
    let text = String::deserialize(from)?;
    text.parse().map_err(serde::de::Error::custom)
}

impl Nanos {
    fn value(self) -> i64 {
        match self {
            Nanos::Number(value) | Nanos::Text(value) => value,
        }
    }
}

/// Calls `take` for all points of all lines: time in ns, metric, value.
fn points(
    file: &File<'_>,
    lines: &mut dyn BufRead,
    take: &mut dyn FnMut(i64, &str, f64),
) -> Result<(), QueryError> {
    let mut text = Vec::new();
    loop {
        text.clear();
        let read = lines.read_until(b'\n', &mut text);
        if read.map_err(QueryError::io(file.name))? == 0 {
            return Ok(());
        }
        if text.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        let line: Line = serde_json::from_slice(&text)
            .map_err(|error| file.wrong(format!("a line of metrics cannot be read: {error}")))?;
        let scopes = line.resource_metrics.iter().flat_map(|r| &r.scope_metrics);
        for metric in scopes.flat_map(|scope| &scope.metrics) {
            let kinds = metric.gauge.iter().chain(&metric.sum);
            for point in kinds.flat_map(|points| &points.data_points) {
                // Integers beyond 2^53 lose their last digits.
                let whole = point.as_int.map(|value| value.value() as f64);
                if let Some(value) = point.as_double.or(whole) {
                    take(point.time_unix_nano.value(), &metric.name, value);
                }
            }
        }
    }
}

/// Returns the columns of some lines.
pub(super) fn infer(file: &File<'_>, lines: &mut dyn BufRead) -> Result<Schema, QueryError> {
    let mut names = BTreeSet::new();
    points(file, lines, &mut |_, name, _| {
        if !names.contains(name) {
            names.insert(name.to_owned());
        }
    })?;
    let time = Field::new(TIME, DataType::Timestamp(TimeUnit::Nanosecond, None), false);
    let metric = |name: String| Field::new(name, DataType::Float64, true);
    let fields = std::iter::once(time).chain(names.into_iter().map(metric));
    Ok(Schema::new(fields.collect::<Vec<_>>()))
}

/// Returns the rows of a part, in time order.
pub(super) fn scan(
    file: &File<'_>,
    part: &Part,
    schema: SchemaRef,
    columns: &[usize],
) -> Result<Rows, QueryError> {
    let schema = Arc::new(schema.project(columns)?);
    let places: BTreeMap<&str, usize> = (schema.fields().iter().enumerate())
        .map(|(n, field)| (field.name().as_str(), n))
        .collect();
    let mut rows: BTreeMap<i64, Vec<Option<f64>>> = BTreeMap::new();
    let width = schema.fields().len();
    points(
        file,
        &mut json::lines_of(file, part)?,
        &mut |time, name, value| {
            let row = rows.entry(time).or_insert_with(|| vec![None; width]);
            let place = places.get(name).and_then(|n| row.get_mut(*n));
            if let Some(place) = place {
                *place = Some(value);
            }
        },
    )?;
    let column = |(n, field): (usize, &Arc<Field>)| -> ArrayRef {
        match field.name() == TIME {
            true => Arc::new(TimestampNanosecondArray::from_iter_values(
                rows.keys().copied(),
            )),
            false => {
                let values = rows.values().map(|row| row.get(n).copied().flatten());
                Arc::new(values.collect::<Float64Array>())
            }
        }
    };
    let arrays = schema.fields().iter().enumerate().map(column).collect();
    let options =
        datafusion::arrow::array::RecordBatchOptions::new().with_row_count(Some(rows.len()));
    let batch = RecordBatch::try_new_with_options(schema.clone(), arrays, &options)?;
    Ok(Box::new(std::iter::once(Ok(batch))))
}
