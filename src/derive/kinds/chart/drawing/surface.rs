//! The interface that charts are drawn on, which SVG and PNG implement.
//!
//! Positions are pixels, with fractions, from the upper left corner of the picture.
//!
//! Invariant: a shape outside of the picture is clipped, and is no error.

use super::ChartError;
use plotters::style::RGBAColor;

/// A colour with its opacity.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Ink {
    /// Red, green and blue.
    pub rgb: (u8, u8, u8),
    /// Opacity from 0 to 1.
    pub alpha: f64,
}

impl Ink {
    /// Returns an opaque colour.
    pub(super) const fn solid(red: u8, green: u8, blue: u8) -> Ink {
        Ink {
            rgb: (red, green, blue),
            alpha: 1.0,
        }
    }

    /// Returns the colour with another opacity.
    pub(super) const fn faint(self, alpha: f64) -> Ink {
        Ink { alpha, ..self }
    }

    /// Converts to the drawing library's type.
    pub(super) const fn color(self) -> RGBAColor {
        RGBAColor(self.rgb.0, self.rgb.1, self.rgb.2, self.alpha)
    }
}

/// The part of a text that its position refers to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

/// The style of a text.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Type {
    /// Size of the letters in pixels.
    pub em: f64,
    pub anchor: Anchor,
    /// Whether the text runs upwards.
    pub upright: bool,
}

/// A point of an area's outline: x, and the upper and lower y.
pub(super) type Edge = (f64, f64, f64);

/// A drawing surface.
pub(super) trait Surface {
    /// Fills a rectangle, given its upper left and lower right corner.
    fn block(&mut self, from: (f64, f64), to: (f64, f64), ink: Ink) -> Result<(), ChartError>;

    /// Draws a line through points.
    fn line(&mut self, points: &[(f64, f64)], width: f64, ink: Ink) -> Result<(), ChartError>;

    /// Fills the area between two outlines, from left to right.
    fn area(&mut self, edges: &[Edge], ink: Ink) -> Result<(), ChartError>;

    /// Fills a circle.
    fn dot(&mut self, middle: (f64, f64), radius: f64, ink: Ink) -> Result<(), ChartError>;

    /// Draws a text on its baseline.
    fn text(&mut self, text: &str, at: (f64, f64), set: Type, ink: Ink) -> Result<(), ChartError>;
}

/// Puts a text on one line and removes characters that XML forbids even escaped.
pub(super) fn tidy(text: &str) -> String {
    text.replace(
        |c: char| c.is_control() || matches!(c, '\u{FFFE}' | '\u{FFFF}'),
        " ",
    )
}
