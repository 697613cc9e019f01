//! The data of a panel.
//!
//! Role: place and draw bands and lines. In: a panel, its axis, and the place of its data. Out: shapes. Holds
//! always: bands are behind all lines; what is too small to be seen as a line is a dot.

use super::legend::ink;
use super::surface::Surface;
use super::values::Values;
use super::{ChartError, Panel, thin};

/// How much of what is behind it a band covers.
pub(super) const BAND: f64 = 0.2;
/// The width of a line, and half of that of a dot.
const STROKE: f64 = 1.6;
const DOT: f64 = 2.4;

/// The place of a panel's data.
#[derive(Debug, Clone, Copy)]
pub(super) struct Plot {
    pub left: f64,
    pub right: f64,
    pub top: f64,
    pub bottom: f64,
    /// The times of the left and of the right end.
    pub from: i64,
    pub to: i64,
}

impl Plot {
    /// Where a time is.
    pub(super) fn x(&self, time: i64) -> f64 {
        // A picture shows far less than the 53 bits that stay.
        let part = time.saturating_sub(self.from) as f64 / self.to.saturating_sub(self.from) as f64;
        self.left + part * (self.right - self.left)
    }

    /// Where a value is.
    pub(super) fn y(&self, values: &Values, value: f64) -> f64 {
        self.bottom - values.place(value) * (self.bottom - self.top)
    }

    /// The column of pixels of a time.
    fn column(&self, time: i64) -> i64 {
        self.x(time).floor() as i64 // At most the width of the picture.
    }

    pub(super) fn middle(&self) -> (f64, f64) {
        (
            f64::midpoint(self.left, self.right),
            f64::midpoint(self.top, self.bottom),
        )
    }
}

/// The bands, which are behind all lines.
pub(super) fn draw_bands(
    plot: &Plot,
    panel: &Panel,
    values: &Values,
    gap: Option<i64>,
    surface: &mut dyn Surface,
) -> Result<(), ChartError> {
    for (at, line) in panel.lines.iter().enumerate() {
        for run in thin::band(&line.band, gap, |time| plot.column(time)) {
            let edge = |&(time, (least, greatest)): &(i64, (f64, f64))| {
                (
                    plot.x(time),
                    plot.y(values, greatest),
                    plot.y(values, least),
                )
            };
            let mut edges: Vec<_> = run.iter().map(edge).collect();
            if let (Some(&first), Some(&last)) = (edges.first(), edges.last())
                && last.0 - first.0 < 1.0
            {
                // Narrower than a pixel: as wide as a dot.
                edges.insert(0, (first.0 - DOT, first.1, first.2));
                edges.push((last.0 + DOT, last.1, last.2));
            }
            surface.area(&edges, ink(at).faint(BAND))?;
        }
    }
    Ok(())
}

/// The lines.
pub(super) fn draw_lines(
    plot: &Plot,
    panel: &Panel,
    values: &Values,
    gap: Option<i64>,
    surface: &mut dyn Surface,
) -> Result<(), ChartError> {
    for (at, line) in panel.lines.iter().enumerate() {
        for run in thin::points(&line.points, gap, |time| plot.column(time)) {
            let place = |&(time, value): &(i64, f64)| (plot.x(time), plot.y(values, value));
            let places: Vec<_> = run.iter().map(place).collect();
            if let Some(middle) = dot(&places) {
                surface.dot(middle, DOT, ink(at))?;
            } else {
                surface.line(&places, STROKE, ink(at))?;
            }
        }
    }
    Ok(())
}

/// The middle of a run that is too small to be seen as a line.
fn dot(places: &[(f64, f64)]) -> Option<(f64, f64)> {
    let (first, last) = (places.first()?, places.last()?);
    let ys = places.iter().map(|place| place.1);
    let (top, bottom) = ys.fold((f64::INFINITY, f64::NEG_INFINITY), |(top, bottom), y| {
        (top.min(y), bottom.max(y))
    });
    let small = last.0 - first.0 < DOT && bottom - top < DOT;
    small.then(|| (f64::midpoint(first.0, last.0), f64::midpoint(top, bottom)))
}
