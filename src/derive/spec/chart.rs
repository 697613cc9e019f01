//! Chart: series, drawn.
//!
//! Role: its typed spec. Holds always: once checked, a chart has a size that can be drawn, at least one
//! format, and begins before it ends.

use super::field::{Check, Checked, FieldPath, columns, distinct, filled, named, renaming};
use super::moment::Moment;
use serde::{Deserialize, Serialize};
use std::fmt;

/// The least and the greatest number of pixels to each side.
const PIXELS: std::ops::RangeInclusive<u32> = 32..=8192;

/// Directories of charts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Chart {
    /// The directories.
    pub charts: Vec<ChartCollection>,
}

/// One directory of charts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChartCollection {
    /// The name of the directory.
    pub name: String,
    /// The files.
    pub in_pattern: String,
    /// The name of a chart without its ending; `$N` stands for the N-th wildcard, from 0.
    pub out_pattern: String,
    /// What stands above it.
    pub title: Option<String>,
    /// Which columns to draw, by names or globs; all without it.
    pub columns: Option<Vec<String>>,
    /// The earliest time; that of the first row without it.
    pub from: Option<Moment>,
    /// No row at this time or after it is drawn; all are without it.
    pub to: Option<Moment>,
    /// The width in pixels; 960 without it.
    #[serde(default = "usual_width")]
    pub width: u32,
    /// The height in pixels; 240 without it.
    #[serde(default = "usual_height")]
    pub height: u32,
    /// The formats; each without it.
    #[serde(default = "each_format")]
    pub formats: Vec<Format>,
}

/// A format of pictures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// Scalable Vector Graphics.
    Svg,
    /// Portable Network Graphics.
    Png,
}

fn usual_width() -> u32 {
    960
}

fn usual_height() -> u32 {
    240
}

fn each_format() -> Vec<Format> {
    vec![Format::Svg, Format::Png]
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Format::Svg => "svg",
            Format::Png => "png",
        })
    }
}

impl Check for Chart {
    fn check(&self, at: &FieldPath) -> Checked {
        named(
            &at.key("charts"),
            &self.charts,
            |c| &c.name,
            |at, chart| {
                renaming(at, &chart.in_pattern, &chart.out_pattern)?;
                columns(at, chart.columns.as_deref())?;
                if let Some(title) = &chart.title {
                    filled(&at.key("title"), title)?;
                }
                if let (Some(from), Some(to)) = (&chart.from, &chart.to)
                    && to <= from
                {
                    return at.key("to").fault("it is not after `from`");
                }
                for (key, pixels) in [("width", chart.width), ("height", chart.height)] {
                    if !PIXELS.contains(&pixels) {
                        let (least, most) = (PIXELS.start(), PIXELS.end());
                        return at
                            .key(key)
                            .fault(format!("write from {least} to {most} pixels"));
                    }
                }
                distinct(&at.key("formats"), &chart.formats)
            },
        )
    }
}
