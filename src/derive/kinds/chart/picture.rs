//! Draws a series as a chart: decides which columns are lines, which are bands, and which share a
//! panel.
//!
//! `x.avg` is a line, and `x.min` and `x.max` the band around it. Columns are called
//! `instrument.name.unit`; those of one unit share a panel.

use super::drawing::{self, Chart, Line, Panel};
use super::spec::ChartCollection;
use crate::derive::DeriveError;
use crate::query::{Numbers, QueryError, Rows, column_matches, numbers};
use std::collections::BTreeMap;

/// A line breaks between two points that are this many times the usual distance apart.
const GAP: i64 = 10;

/// Draws rows whose first column is times.
pub(super) fn draw(
    spec: &ChartCollection,
    title: &str,
    png: bool,
    schema: &crate::query::SchemaRef,
    rows: Rows,
) -> Result<Vec<u8>, Drawing> {
    let range = (
        spec.from.as_ref().map_or(i64::MIN, |from| from.micros()),
        spec.to.as_ref().map_or(i64::MAX, |to| to.micros()),
    );
    let wants = |name: &str| match &spec.columns {
        Some(patterns) => patterns.iter().any(|pattern| column_matches(pattern, name)),
        None => true,
    };
    let columns = numbers(schema, rows, &wants, range)?;
    let gap = columns
        .iter()
        .filter_map(|column| usual(&column.values))
        .min();
    let chart = Chart {
        title: title.to_owned(),
        panels: panels(columns),
        width: spec.width,
        height: spec.height,
        gap: gap.map(|gap| gap.saturating_mul(GAP)),
    };
    Ok(match png {
        true => drawing::png(&chart)?,
        false => drawing::svg(&chart)?.into_bytes(),
    })
}

/// Returns the median distance of neighbours.
fn usual(values: &[(i64, f64)]) -> Option<i64> {
    let pairs = values.windows(2);
    let mut apart: Vec<i64> = pairs
        .filter_map(|pair| Some(pair.last()?.0 - pair.first()?.0))
        .collect();
    apart.sort_unstable();
    apart.get(apart.len() / 2).copied()
}

fn panels(columns: Vec<Numbers>) -> Vec<Panel> {
    let mut series: BTreeMap<String, BTreeMap<String, Vec<(i64, f64)>>> = BTreeMap::new();
    let mut order = Vec::new();
    for column in columns {
        let (base, part) = match column.name.rsplit_once('.') {
            Some((base, part @ ("avg" | "min" | "max"))) => (base.to_owned(), part),
            _ => (column.name.clone(), ""),
        };
        if !order.contains(&base) {
            order.push(base.clone());
        }
        series
            .entry(base)
            .or_default()
            .insert(part.into(), column.values);
    }
    let mut panels: Vec<Panel> = Vec::new();
    for base in order {
        let Some(mut parts) = series.remove(&base) else {
            continue;
        };
        let unit = match base.split('.').collect::<Vec<_>>()[..] {
            [_, .., _, unit] => unit.to_owned(),
            _ => String::new(),
        };
        let band = match (parts.remove("min"), parts.remove("max")) {
            (Some(min), Some(max)) => {
                let max: BTreeMap<i64, f64> = max.into_iter().collect();
                let both = |(time, least): (i64, f64)| Some((time, least, *max.get(&time)?));
                min.into_iter().filter_map(both).collect()
            }
            (Some(one), None) | (None, Some(one)) => {
                parts.entry("avg".into()).or_insert(one);
                Vec::new()
            }
            (None, None) => Vec::new(),
        };
        let points = parts
            .remove("avg")
            .or_else(|| parts.remove(""))
            .unwrap_or_default();
        let line = Line {
            name: base,
            points,
            band,
        };
        match panels.iter_mut().find(|panel| panel.unit == unit) {
            Some(panel) => panel.lines.push(line),
            None => panels.push(Panel {
                title: String::new(),
                unit,
                lines: vec![line],
            }),
        }
    }
    panels
}

/// An error of drawing a chart.
pub(super) enum Drawing {
    Rows(QueryError),
    Chart(DeriveError),
}

impl From<QueryError> for Drawing {
    fn from(error: QueryError) -> Drawing {
        Drawing::Rows(error)
    }
}

impl From<drawing::ChartError> for Drawing {
    fn from(error: drawing::ChartError) -> Drawing {
        Drawing::Chart(DeriveError::new(error))
    }
}
