//! Draws the shapes of a chart as pixels and encodes them as PNG.
//!
//! Invariants: the picture is drawn several times larger and scaled down, so edges are smooth.
//! Nothing is drawn outside of it.

use super::ChartError;
use super::font::Face;
use super::surface::{Anchor, Edge, Ink, Surface, Type};
use plotters::backend::{BitMapBackend, DrawingBackend};
use plotters::style::Color;
use std::fmt::Display;

/// Bytes of a pixel: red, green and blue.
const BYTES: usize = 3;
/// Greatest number of pixels of a drawing before it is scaled down.
const DRAWN: u64 = 24_000_000;

/// Returns the factor by which a picture is drawn larger.
pub(super) fn scale((width, height): (u32, u32)) -> u32 {
    let pixels = u64::from(width) * u64::from(height);
    (2..=4)
        .rev()
        .find(|&scale| pixels * u64::from(scale * scale) <= DRAWN)
        .unwrap_or(1)
}

/// Returns a white drawing.
pub(super) fn blank((width, height): (u32, u32), scale: u32) -> Vec<u8> {
    // `Chart::size` bounds the pixels, so the product is below 2^28.
    vec![u8::MAX; (width * scale) as usize * (height * scale) as usize * BYTES]
}

/// Scales a drawing down: each pixel is the mean of those drawn for it.
pub(super) fn shrink(drawn: &[u8], (width, height): (u32, u32), scale: u32) -> Vec<u8> {
    if scale == 1 {
        return drawn.to_owned();
    }
    // Sizes are below 2^28, and the sum of sixteen bytes fits 32 bits.
    let (width, height, scale) = (width as usize, height as usize, scale as usize);
    let parts = (scale * scale) as u32;
    let mut picture = Vec::with_capacity(width * height * BYTES);
    let mut sums = vec![0u32; width * BYTES];
    for rows in drawn.chunks_exact(width * scale * BYTES * scale) {
        sums.fill(0);
        for row in rows.chunks_exact(width * scale * BYTES) {
            let cells = row.chunks_exact(scale * BYTES);
            for (sum, cell) in sums.chunks_exact_mut(BYTES).zip(cells) {
                for pixel in cell.chunks_exact(BYTES) {
                    for (sum, &byte) in sum.iter_mut().zip(pixel) {
                        *sum += u32::from(byte);
                    }
                }
            }
        }
        // The mean of bytes fits a byte.
        picture.extend(sums.iter().map(|sum| ((sum + parts / 2) / parts) as u8));
    }
    picture
}

/// Encodes a picture as a PNG file.
pub(super) fn encode(picture: &[u8], (width, height): (u32, u32)) -> Result<Vec<u8>, ChartError> {
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, width, height);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    let mut writer = encoder.write_header()?;
    writer.write_image_data(picture)?;
    writer.finish()?;
    Ok(file)
}

/// A picture that is being drawn.
pub(super) struct Raster<'a> {
    backend: BitMapBackend<'a>,
    face: &'a Face,
    scale: f64,
    /// Width and height in dots, which are the pixels of the drawing.
    size: (i32, i32),
}

impl<'a> Raster<'a> {
    /// Begins with a blank drawing.
    pub(super) fn new(
        drawing: &'a mut [u8],
        (width, height): (u32, u32),
        scale: u32,
        face: &'a Face,
    ) -> Raster<'a> {
        let (width, height) = (width * scale, height * scale);
        Raster {
            backend: BitMapBackend::with_buffer(drawing, (width, height)),
            face,
            scale: f64::from(scale),
            // `Chart::size` bounds both below 2^28.
            size: (width as i32, height as i32),
        }
    }

    /// Converts pixels to dots. The cast saturates far outside of the picture.
    fn dots(&self, pixels: f64) -> i32 {
        (pixels * self.scale).round() as i32
    }

    /// Fills a rectangle of dots, without its right column and lower row.
    fn fill(&mut self, from: (i32, i32), to: (i32, i32), ink: Ink) -> Result<(), ChartError> {
        let (left, top) = (from.0.max(0), from.1.max(0));
        let (right, bottom) = (to.0.min(self.size.0), to.1.min(self.size.1));
        if left >= right || top >= bottom {
            return Ok(());
        }
        self.backend
            .draw_rect((left, top), (right, bottom), &ink.color(), true)
            .map_err(failed)
    }

    /// Draws a stroke without round ends, as a row of thin blocks along its longer side.
    fn stroke(
        &mut self,
        a: (f64, f64),
        b: (f64, f64),
        width: f64,
        ink: Ink,
    ) -> Result<(), ChartError> {
        let (wide, high) = (b.0 - a.0, b.1 - a.1);
        let steep = high.abs() > wide.abs();
        // Along the longer side: start, end, and the position across.
        let (mut start, mut end) = if steep {
            ((a.1, a.0), (b.1, b.0))
        } else {
            (a, b)
        };
        if start.0 > end.0 {
            std::mem::swap(&mut start, &mut end);
        }
        let run = end.0 - start.0;
        if run <= 0.0 {
            return Ok(());
        }
        let slope = (end.1 - start.1) / run;
        let half = width * self.scale / 2.0 * slope.hypot(1.0);
        for along in self.dots(start.0)..self.dots(end.0) {
            let middle = (f64::from(along) + 0.5) / self.scale;
            let across = (start.1 + slope * (middle - start.0)) * self.scale;
            // The cast saturates far outside of the picture.
            let (low, high) = (
                (across - half).round() as i32,
                (across + half).round() as i32,
            );
            if steep {
                self.fill((low, along), (high, along + 1), ink)?;
            } else {
                self.fill((along, low), (along + 1, high), ink)?;
            }
        }
        Ok(())
    }
}

fn failed(error: impl Display) -> ChartError {
    ChartError::Draw(error.to_string())
}

impl Surface for Raster<'_> {
    fn block(&mut self, from: (f64, f64), to: (f64, f64), ink: Ink) -> Result<(), ChartError> {
        let from = (self.dots(from.0), self.dots(from.1));
        let to = (self.dots(to.0), self.dots(to.1));
        self.fill(from, to, ink)
    }

    fn line(&mut self, points: &[(f64, f64)], width: f64, ink: Ink) -> Result<(), ChartError> {
        for pair in points.windows(2) {
            if let &[a, b] = pair {
                self.stroke(a, b, width, ink)?;
            }
        }
        for &point in points {
            self.dot(point, width / 2.0, ink)?;
        }
        Ok(())
    }

    fn area(&mut self, edges: &[Edge], ink: Ink) -> Result<(), ChartError> {
        for pair in edges.windows(2) {
            let &[a, b] = pair else { continue };
            for x in self.dots(a.0)..self.dots(b.0) {
                let part = ((f64::from(x) + 0.5) / self.scale - a.0) / (b.0 - a.0);
                let part = part.clamp(0.0, 1.0);
                let upper = self.dots(a.1 + (b.1 - a.1) * part);
                let lower = self.dots(a.2 + (b.2 - a.2) * part);
                self.fill((x, upper), (x + 1, lower.max(upper + 1)), ink)?;
            }
        }
        Ok(())
    }

    fn dot(&mut self, middle: (f64, f64), radius: f64, ink: Ink) -> Result<(), ChartError> {
        for y in self.dots(middle.1 - radius)..self.dots(middle.1 + radius) {
            let away = (f64::from(y) + 0.5) / self.scale - middle.1;
            let half = (radius * radius - away * away).max(0.0).sqrt();
            let (left, right) = (self.dots(middle.0 - half), self.dots(middle.0 + half));
            self.fill((left, y), (right, y + 1), ink)?;
        }
        Ok(())
    }

    fn text(&mut self, text: &str, at: (f64, f64), set: Type, ink: Ink) -> Result<(), ChartError> {
        let em = set.em * self.scale;
        let before = match set.anchor {
            Anchor::Start => 0.0,
            Anchor::Middle => self.face.width(text, em) / 2.0,
            Anchor::End => self.face.width(text, em),
        };
        let before = before.round() as i32; // The width of a text.
        let (x, y) = (self.dots(at.0), self.dots(at.1));
        let mut covered = Vec::new();
        self.face.cover(text, em, |along, below, part| {
            let place = if set.upright {
                (x + below, y - along + before)
            } else {
                (x + along - before, y + below)
            };
            covered.push((place, part));
        });
        for ((x, y), part) in covered {
            let ink = ink.faint(ink.alpha * part.clamp(0.0, 1.0));
            self.backend
                .draw_pixel((x, y), ink.color().to_backend_color())
                .map_err(failed)?;
        }
        Ok(())
    }
}
