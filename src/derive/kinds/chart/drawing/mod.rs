//! Draws charts of values over time, as SVG and as PNG.
//!
//! `derive` renders resources of kind Chart with it. A [`Chart`] has panels of lines on one time
//! axis, with times in microseconds of UTC. [`svg`] and [`png`] draw the same picture.
//!
//! Invariants: equal charts produce equal bytes. Nothing is read from the machine, not even a font.
//! The picture is `width` pixels wide, and `height` pixels high for each panel, at least one. The
//! output's size depends on the pixels, not on the number of points.

mod draw;
mod font;
mod legend;
mod plot;
mod raster;
mod surface;
mod thin;
mod times;
mod values;
mod vector;

use font::Face;
use raster::Raster;
use vector::Vector;

/// Least number of pixels of a panel, in either direction: a smaller one has no space for labels.
const LEAST: u32 = 100;
/// Greatest number of pixels of a panel, in either direction.
const GREATEST: u32 = 8000;
/// Greatest number of pixels of a picture. It is drawn in memory, with three bytes for each.
const PIXELS: u64 = 80_000_000;

/// A line of a chart, its points in the order of time.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Line {
    /// Name in the legend. A line without a name is not in the legend.
    pub name: String,
    /// Points: microseconds since 1970 UTC, and value. A value that is not finite breaks the line.
    pub points: Vec<(i64, f64)>,
    /// Band behind the line: time, least and greatest value. May be empty.
    pub band: Vec<(i64, f64, f64)>,
}

/// A panel: lines that share a unit and an axis.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Panel {
    /// Title above the panel; may be empty.
    pub title: String,
    /// Unit along the value axis; may be empty.
    pub unit: String,
    /// The lines, in drawing order.
    pub lines: Vec<Line>,
}

/// A chart: panels above each other, on one time axis.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Chart {
    /// Title above all panels; may be empty.
    pub title: String,
    /// The panels, from the top.
    pub panels: Vec<Panel>,
    /// Width of the picture in pixels.
    pub width: u32,
    /// Height of each panel in pixels. Titles and the time axis are part of it.
    pub height: u32,
    /// Greatest distance of two neighbouring points of a line, in microseconds. A longer one breaks
    /// it.
    pub gap: Option<i64>,
}

impl Chart {
    /// Returns the width and height of the whole picture in pixels.
    fn size(&self) -> Result<(u32, u32), ChartError> {
        let sides = LEAST..=GREATEST;
        if !sides.contains(&self.width) || !sides.contains(&self.height) {
            return Err(ChartError::Size {
                width: self.width,
                height: self.height,
            });
        }
        let too_large = ChartError::TooLarge {
            panels: self.panels.len(),
        };
        let Some(height) = u32::try_from(self.panels.len().max(1))
            .ok()
            .and_then(|panels| self.height.checked_mul(panels))
        else {
            return Err(too_large);
        };
        if u64::from(self.width) * u64::from(height) > PIXELS {
            return Err(too_large);
        }
        Ok((self.width, height))
    }
}

/// An error of drawing a chart.
#[derive(Debug, thiserror::Error)]
pub enum ChartError {
    /// The width or the height of a panel is out of range.
    #[error(
        "a panel of a chart must be {LEAST} to {GREATEST} pixels wide and high, but {width} × {height} was asked for"
    )]
    Size {
        /// The requested width.
        width: u32,
        /// The requested height.
        height: u32,
    },
    /// The panels together have too many pixels.
    #[error(
        "a chart of {panels} panels has more than the {PIXELS} pixels that a picture may have: make them smaller or fewer"
    )]
    TooLarge {
        /// Number of panels.
        panels: usize,
    },
    /// A time is out of the range of the calendar.
    #[error(
        "the time {micros} µs since 1970 is outside of the years -9999 to 9999, which a chart can show"
    )]
    Time {
        /// The time in microseconds.
        micros: i64,
    },
    /// The font cannot be parsed.
    #[error("the font of charts cannot be read")]
    Font,
    /// The drawing library failed.
    #[error("the chart could not be drawn: {0}")]
    Draw(String),
    /// The image could not be encoded.
    #[error("the image of the chart could not be encoded")]
    Encode(#[from] png::EncodingError),
}

/// Draws a chart as a self-contained SVG document.
pub fn svg(chart: &Chart) -> Result<String, ChartError> {
    let size = chart.size()?;
    let face = Face::new()?;
    let mut body = String::new();
    let mut surface = Vector::new(&mut body, size);
    draw::draw(chart, size, &face, &mut surface)?;
    surface.finish()?;
    Ok(vector::document(&body, &chart.title, size))
}

/// Draws a chart as a PNG image.
pub fn png(chart: &Chart) -> Result<Vec<u8>, ChartError> {
    let size = chart.size()?;
    let face = Face::new()?;
    let scale = raster::scale(size);
    let mut pixels = raster::blank(size, scale);
    let mut surface = Raster::new(&mut pixels, size, scale, &face);
    draw::draw(chart, size, &face, &mut surface)?;
    drop(surface);
    raster::encode(&raster::shrink(&pixels, size, scale), size)
}

#[cfg(test)]
mod tests;
