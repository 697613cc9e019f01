//! Draws the lines and bands of a panel.
//!
//! Invariants: bands are behind all lines. A run that is too small for a visible line is a dot.

use super::legend::ink;
use super::surface::Surface;
use super::values::Values;
use super::{ChartError, Panel, thin};

/// Opacity of a band.
pub(super) const BAND: f64 = 0.2;
/// Width of a line, and radius of a dot.
const STROKE: f64 = 1.6;
const DOT: f64 = 2.4;

/// The rectangle of a panel's data.
#[derive(Debug, Clone, Copy)]
pub(super) struct Plot {
    pub left: f64,
    pub right: f64,
    pub top: f64,
    pub bottom: f64,
    /// Times of the left and the right end.
    pub from: i64,
    pub to: i64,
}

impl Plot {
    /// Returns the x of a time.
    pub(super) fn x(&self, time: i64) -> f64 {
        // A picture resolves far less than the 53 bits of an `f64`.
        let part = time.saturating_sub(self.from) as f64 / self.to.saturating_sub(self.from) as f64;
        self.left + part * (self.right - self.left)
    }

    /// Returns the y of a value.
    pub(super) fn y(&self, values: &Values, value: f64) -> f64 {
        self.bottom - values.place(value) * (self.bottom - self.top)
    }

    /// Returns the column of pixels of a time.
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

/// Draws the bands, before all lines.
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
                // Narrower than a pixel: drawn as wide as a dot.
                edges.insert(0, (first.0 - DOT, first.1, first.2));
                edges.push((last.0 + DOT, last.1, last.2));
            }
            surface.area(&edges, ink(at).faint(BAND))?;
        }
    }
    Ok(())
}

/// Draws the lines.
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

/// Returns the middle of a run that is too small for a visible line.
fn dot(places: &[(f64, f64)]) -> Option<(f64, f64)> {
    let (first, last) = (places.first()?, places.last()?);
    let ys = places.iter().map(|place| place.1);
    let (top, bottom) = ys.fold((f64::INFINITY, f64::NEG_INFINITY), |(top, bottom), y| {
        (top.min(y), bottom.max(y))
    });
    let small = last.0 - first.0 < DOT && bottom - top < DOT;
    small.then(|| (f64::midpoint(first.0, last.0), f64::midpoint(top, bottom)))
}
