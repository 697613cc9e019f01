//! The spec of Chart: series, drawn.
//!
//! Invariants: after the check, a chart has a size within bounds and at least one format, and
//! begins before it ends.

use crate::resource::Kind;
use crate::resource::Moment;
use crate::resource::field::{Checked, FieldPath, columns, distinct, filled, named, renaming};
use serde::{Deserialize, Serialize};
use std::fmt;

/// Bounds of the width and the height, in pixels.
const PIXELS: std::ops::RangeInclusive<u32> = 32..=8192;

/// Directories of charts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Chart {
    /// The directories.
    pub charts: Vec<ChartCollection>,
}

/// A directory of charts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChartCollection {
    /// Name of the directory.
    pub name: String,
    /// Pattern of the files.
    pub in_pattern: String,
    /// Name of a chart without extension. `$N` is the text that wildcard N matched, counted from 0.
    pub out_pattern: String,
    /// Title of the chart.
    pub title: Option<String>,
    /// Columns to draw, by names or globs; all by default.
    pub columns: Option<Vec<String>>,
    /// Earliest time; that of the first row by default.
    pub from: Option<Moment>,
    /// Exclusive end of the drawn rows; none by default.
    pub to: Option<Moment>,
    /// Width in pixels; 960 by default.
    #[serde(default = "usual_width")]
    pub width: u32,
    /// Height in pixels; 240 by default.
    #[serde(default = "usual_height")]
    pub height: u32,
    /// Formats; all by default.
    #[serde(default = "each_format")]
    pub formats: Vec<Format>,
}

/// An image format.
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

impl Kind for Chart {
    const NAME: &'static str = "Chart";
    const ABOUT: &'static str = "Draws series.";

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

    fn patterns(&self) -> Vec<&str> {
        self.charts.iter().map(|c| &c.in_pattern[..]).collect()
    }
}
