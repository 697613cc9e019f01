//! Writes the shapes of a chart as SVG.
//!
//! Invariant: the document refers to nothing outside, and is well-formed for any text.

use super::ChartError;
use super::surface::{Anchor, Edge, Ink, Surface, Type, tidy};
use plotters::backend::{DrawingBackend, SVGBackend};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{FontFamily, FontStyle, FontTransform, IntoFont, ShapeStyle, TextStyle};
use std::fmt::Display;

/// Units of the document in a pixel. The library uses whole units; a pixel is too coarse for lines.
const UNITS: u32 = 10;
/// Factor by which the library sets letters smaller than the requested size.
const SHRUNK: f64 = 1.24;
/// Distance from a hanging text's position to its baseline in the library, in sizes of letters.
const BASE_LINE: f64 = 0.76;

/// An SVG document that is being drawn.
pub(super) struct Vector<'a> {
    backend: SVGBackend<'a>,
}

impl<'a> Vector<'a> {
    /// Begins a document of the given size in pixels.
    pub(super) fn new(text: &'a mut String, (width, height): (u32, u32)) -> Vector<'a> {
        Vector {
            backend: SVGBackend::with_string(text, (width * UNITS, height * UNITS)),
        }
    }

    /// Ends the document.
    pub(super) fn finish(mut self) -> Result<(), ChartError> {
        self.backend.present().map_err(failed)
    }
}

/// Replaces the head that the library wrote by one with the size in pixels and round line joins.
pub(super) fn document(drawn: &str, title: &str, (width, height): (u32, u32)) -> String {
    let shapes = drawn.split_once('\n').map_or("", |(_, shapes)| shapes);
    let title = escape(title);
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
         viewBox=\"0 0 {} {}\" role=\"img\" stroke-linejoin=\"round\" stroke-linecap=\"round\">\n\
         <title>{title}</title>\n{shapes}",
        width * UNITS,
        height * UNITS,
    )
}

/// Escapes text for the content of an element.
fn escape(text: &str) -> String {
    tidy(text)
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

/// Converts pixels to units. The cast saturates, which only affects what is outside of the picture.
fn units(pixels: f64) -> i32 {
    (pixels * f64::from(UNITS)).round() as i32
}

/// Converts a position to units.
fn place((x, y): (f64, f64)) -> (i32, i32) {
    (units(x), units(y))
}

/// Returns a style of the library, with a stroke width in units.
fn style(ink: Ink, width: u32) -> ShapeStyle {
    ShapeStyle::from(ink.color()).stroke_width(width)
}

fn failed(error: impl Display) -> ChartError {
    ChartError::Draw(error.to_string())
}

impl Surface for Vector<'_> {
    fn block(&mut self, from: (f64, f64), to: (f64, f64), ink: Ink) -> Result<(), ChartError> {
        self.backend
            .draw_rect(place(from), place(to), &style(ink, 0), true)
            .map_err(failed)
    }

    fn line(&mut self, points: &[(f64, f64)], width: f64, ink: Ink) -> Result<(), ChartError> {
        let mut path: Vec<_> = points.iter().copied().map(place).collect();
        path.dedup();
        self.backend
            .draw_path(path, &style(ink, units(width).unsigned_abs()))
            .map_err(failed)
    }

    fn area(&mut self, edges: &[Edge], ink: Ink) -> Result<(), ChartError> {
        let upper = edges.iter().map(|&(x, upper, _)| place((x, upper)));
        let lower = edges.iter().rev().map(|&(x, _, lower)| place((x, lower)));
        let mut path: Vec<_> = upper.chain(lower).collect();
        path.dedup();
        self.backend
            .fill_polygon(path, &style(ink, 0))
            .map_err(failed)
    }

    fn dot(&mut self, middle: (f64, f64), radius: f64, ink: Ink) -> Result<(), ChartError> {
        let radius = units(radius).unsigned_abs();
        self.backend
            .draw_circle(place(middle), radius, &style(ink, 0), true)
            .map_err(failed)
    }

    fn text(&mut self, text: &str, at: (f64, f64), set: Type, ink: Ink) -> Result<(), ChartError> {
        let above = BASE_LINE * set.em;
        let (at, turn) = if set.upright {
            ((at.0 - above, at.1), FontTransform::Rotate270)
        } else {
            ((at.0, at.1 - above), FontTransform::None)
        };
        let anchor = match set.anchor {
            Anchor::Start => HPos::Left,
            Anchor::Middle => HPos::Center,
            Anchor::End => HPos::Right,
        };
        let size = set.em * SHRUNK * f64::from(UNITS);
        let font = (FontFamily::SansSerif, size, FontStyle::Normal).into_font();
        let color = ink.color();
        let style = TextStyle::from(font.transform(turn))
            .color(&color)
            .pos(Pos::new(anchor, VPos::Top));
        self.backend
            .draw_text(&tidy(text), &style, place(at))
            .map_err(failed)
    }
}
