//! Measures texts, and rasterises them for PNG.
//!
//! Invariant: the font is part of the program, so all machines draw the same.

use super::ChartError;
use ab_glyph::{Font, FontRef, GlyphId, PxScale, point};

/// The font.
pub(super) struct Face {
    font: FontRef<'static>,
    /// Ratio of line height to size of letters.
    stretch: f64,
}

impl Face {
    /// Parses the font.
    pub(super) fn new() -> Result<Face, ChartError> {
        let font =
            FontRef::try_from_slice(dejavu::sans::regular()).map_err(|_| ChartError::Font)?;
        let em = font.units_per_em().ok_or(ChartError::Font)?;
        let stretch = f64::from(font.height_unscaled() / em);
        Ok(Face { font, stretch })
    }

    /// Returns the width of a text in pixels.
    pub(super) fn width(&self, text: &str, em: f64) -> f64 {
        let mut end = 0.0;
        self.place(text, em, |_, _, after| end = after);
        end
    }

    /// Returns the text, or as much of its beginning as fits, with an ellipsis.
    pub(super) fn fit(&self, text: &str, em: f64, width: f64) -> String {
        if self.width(text, em) <= width {
            return text.to_owned();
        }
        let mut fitting = String::from("…");
        for (end, letter) in text.char_indices() {
            let longer = format!("{}…", &text[..end + letter.len_utf8()]);
            if self.width(&longer, em) > width {
                break;
            }
            fitting = longer;
        }
        fitting
    }

    /// Calls `cover` with every pixel that the text touches, relative to the start of its baseline,
    /// and its coverage from 0 to 1.
    pub(super) fn cover(&self, text: &str, em: f64, mut cover: impl FnMut(i32, i32, f64)) {
        let scale = self.scale(em);
        self.place(text, em, |glyph, start, _| {
            // An `f32` resolves positions in a picture to less than a hundredth of a pixel.
            let glyph = glyph.with_scale_and_position(scale, point(start as f32, 0.0));
            let Some(outline) = self.font.outline_glyph(glyph) else {
                return;
            };
            let corner = outline.px_bounds().min;
            outline.draw(|x, y, part| {
                // The bounds of a glyph are whole numbers, far within the range of `i32`.
                let (x, y) = (x as i32 + corner.x as i32, y as i32 + corner.y as i32);
                cover(x, y, f64::from(part));
            });
        });
    }

    /// Calls `glyph` with each glyph, its start and the start of the next.
    fn place(&self, text: &str, em: f64, mut glyph: impl FnMut(GlyphId, f64, f64)) {
        let size = em * self.stretch / f64::from(self.font.height_unscaled());
        let mut start = 0.0;
        let mut before = None;
        for letter in text.chars() {
            let id = self.font.glyph_id(letter);
            if let Some(before) = before {
                start += f64::from(self.font.kern_unscaled(before, id)) * size;
            }
            let after = start + f64::from(self.font.h_advance_unscaled(id)) * size;
            glyph(id, start, after);
            start = after;
            before = Some(id);
        }
    }

    /// Returns the library's scale, which is by line height.
    fn scale(&self, em: f64) -> PxScale {
        // Sizes of letters are far within the range of `f32`.
        PxScale::from((em * self.stretch) as f32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_font_has_glyphs_for_labels_and_units() {
        let face = Face::new().unwrap();
        for letter in "0−…°µμΩ²³⁻·%/<&äß".chars() {
            assert_ne!(face.font.glyph_id(letter).0, 0, "{letter}");
        }
    }

    #[test]
    fn a_text_that_does_not_fit_is_truncated() {
        let face = Face::new().unwrap();
        let whole = face.width("temperature", 12.0);
        assert_eq!(face.fit("temperature", 12.0, whole), "temperature");
        let cut = face.fit("temperature", 12.0, whole / 2.0);
        assert!(cut.starts_with("tem") && cut.ends_with('…'), "{cut}");
        assert!(face.width(&cut, 12.0) <= whole / 2.0);
        assert!((face.width("temperature", 24.0) - 2.0 * whole).abs() < 1e-6);
    }

    #[test]
    fn glyphs_are_on_the_baseline_and_as_wide_as_measured() {
        let face = Face::new().unwrap();
        let (mut right, mut lowest, mut highest) = (0, i32::MIN, i32::MAX);
        face.cover("HHH", 100.0, |x, y, part| {
            if part > 0.5 {
                (right, lowest, highest) = (right.max(x), lowest.max(y), highest.min(y));
            }
        });
        let width = face.width("HHH", 100.0);
        assert!((f64::from(right) - width).abs() < 15.0, "{right} {width}");
        assert!((-2..=0).contains(&lowest) && (-75..-70).contains(&highest));
    }
}
