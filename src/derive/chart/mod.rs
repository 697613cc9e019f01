//! Charts of values over time, as SVG and as PNG.
//!
//! Role: draw panels of lines on one time axis. In: a [`Chart`]: points with times in microseconds of UTC.
//! Out: the text of an SVG document, or the bytes of a PNG image; both show the same. Holds always: the same
//! chart gives the same bytes; the picture is `width` pixels wide and `height` pixels high for each panel (one
//! panel, if there is none); its size depends on its pixels, not on how many points there are; nothing is read
//! from the machine, the letters of the PNG included.

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

/// The fewest pixels of a panel, either way: below, its labels alone would fill it.
const LEAST: u32 = 100;
/// The most pixels of a panel, either way.
const GREATEST: u32 = 8000;
/// The most pixels of a whole picture: it is drawn in memory, with three bytes for each.
const PIXELS: u64 = 80_000_000;

/// One line of a chart, in the order of time.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Line {
    /// What the legend calls it; without a name it is not in the legend.
    pub name: String,
    /// Time in microseconds since 1970 UTC, and value; where a value is not finite, the line is broken.
    pub points: Vec<(i64, f64)>,
    /// Time, least and greatest value, shown as an area behind the line; may be empty.
    pub band: Vec<(i64, f64, f64)>,
}

/// A panel: lines that share a unit and an axis.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Panel {
    /// What stands above it; may be empty.
    pub title: String,
    /// What stands along its axis; may be empty.
    pub unit: String,
    /// Its lines, the first drawn first.
    pub lines: Vec<Line>,
}

/// A chart: panels, one above the other, on one time axis.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Chart {
    /// What stands above all panels; may be empty.
    pub title: String,
    /// The panels, from the top.
    pub panels: Vec<Panel>,
    /// The width of the picture in pixels.
    pub width: u32,
    /// The height of each panel in pixels; titles and time axis take their room from it.
    pub height: u32,
    /// A line is broken where two neighbouring points are further apart than this, in microseconds.
    pub gap: Option<i64>,
}

impl Chart {
    /// The width and height of the whole picture in pixels.
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

/// Why a chart could not be drawn.
#[derive(Debug, thiserror::Error)]
pub enum ChartError {
    /// The width or the height is out of bounds.
    #[error(
        "a panel of a chart must be {LEAST} to {GREATEST} pixels wide and high, but {width} × {height} was asked for"
    )]
    Size {
        /// The width that was asked for.
        width: u32,
        /// The height that was asked for.
        height: u32,
    },
    /// All panels together have too many pixels.
    #[error(
        "a chart of {panels} panels has more than the {PIXELS} pixels that a picture may have: make them smaller or fewer"
    )]
    TooLarge {
        /// How many panels there are.
        panels: usize,
    },
    /// A time is outside of the calendar.
    #[error(
        "the time {micros} µs since 1970 is outside of the years -9999 to 9999, which a chart can show"
    )]
    Time {
        /// The time.
        micros: i64,
    },
    /// The letters could not be read.
    #[error("the font of charts cannot be read")]
    Font,
    /// The drawing library failed.
    #[error("the chart could not be drawn: {0}")]
    Draw(String),
    /// The image could not be encoded.
    #[error("the image of the chart could not be encoded")]
    Encode(#[from] png::EncodingError),
}

/// Draws a chart as an SVG document that needs nothing else.
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
