//! What a chart is drawn on.
//!
//! Role: the few shapes of which a chart consists. In: places in pixels of the picture, with fractions, from
//! its upper left corner. Out: [`Surface`], which the SVG and the PNG implement. Holds always: what is drawn
//! outside of the picture is not seen, and no error.

use super::ChartError;
use plotters::style::RGBAColor;

/// A colour, and how much of what is behind it it covers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Ink {
    /// Red, green and blue.
    pub rgb: (u8, u8, u8),
    /// From 0, invisible, to 1.
    pub alpha: f64,
}

impl Ink {
    /// A colour that covers.
    pub(super) const fn solid(red: u8, green: u8, blue: u8) -> Ink {
        Ink {
            rgb: (red, green, blue),
            alpha: 1.0,
        }
    }

    /// The same colour, translucent.
    pub(super) const fn faint(self, alpha: f64) -> Ink {
        Ink { alpha, ..self }
    }

    /// As the drawing library knows it.
    pub(super) const fn color(self) -> RGBAColor {
        RGBAColor(self.rgb.0, self.rgb.1, self.rgb.2, self.alpha)
    }
}

/// Which part of a text is at its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

/// How a text is set.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Type {
    /// The size of the letters, in pixels.
    pub em: f64,
    pub anchor: Anchor,
    /// Whether it runs from below to above.
    pub upright: bool,
}

/// One place of an area: x, and the upper and lower y there.
pub(super) type Edge = (f64, f64, f64);

/// What can be drawn on.
pub(super) trait Surface {
    /// A filled rectangle, from its upper left to its lower right corner.
    fn block(&mut self, from: (f64, f64), to: (f64, f64), ink: Ink) -> Result<(), ChartError>;

    /// A line through points.
    fn line(&mut self, points: &[(f64, f64)], width: f64, ink: Ink) -> Result<(), ChartError>;

    /// The area between two lines, from left to right.
    fn area(&mut self, edges: &[Edge], ink: Ink) -> Result<(), ChartError>;

    /// A filled circle.
    fn dot(&mut self, middle: (f64, f64), radius: f64, ink: Ink) -> Result<(), ChartError>;

    /// A text on its base line.
    fn text(&mut self, text: &str, at: (f64, f64), set: Type, ink: Ink) -> Result<(), ChartError>;
}

/// The text on one line, without what no XML document may contain even when escaped.
pub(super) fn tidy(text: &str) -> String {
    text.replace(
        |c: char| c.is_control() || matches!(c, '\u{FFFE}' | '\u{FFFF}'),
        " ",
    )
}
