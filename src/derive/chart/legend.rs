//! What stands above a plot.
//!
//! Role: place and draw the title of a panel and the names of its lines. In: a panel, and how much room there
//! is. Out: rows of text. Holds always: a legend wraps, takes a third of its panel at most, and says how many
//! names have no room; the colour of a line depends on its number only.

use super::draw::{HEADING, LABEL, MARGIN, SMALL, TEXT, plain};
use super::font::Face;
use super::plot::BAND;
use super::surface::{Anchor, Ink, Surface, tidy};
use super::{ChartError, Panel};

/// The colours of Okabe and Ito, which the colour-blind tell apart, without the yellow, which white swallows.
const PALETTE: [Ink; 7] = [
    Ink::solid(0, 114, 178),
    Ink::solid(213, 94, 0),
    Ink::solid(0, 158, 115),
    Ink::solid(204, 121, 167),
    Ink::solid(230, 159, 0),
    Ink::solid(86, 180, 233),
    Ink::solid(0, 0, 0),
];

/// Rows of a panel's heading and of its legend.
const HEADING_ROW: f64 = 21.0;
const LEGEND_ROW: f64 = 18.0;
/// Between a heading and the plot.
const GAP: f64 = 7.0;
/// A colour in the legend, and what is free after its name.
const SWATCH: f64 = 20.0;
const APART: f64 = 16.0;

/// Panels below this height have no heading; where all are below it, the chart has no title.
pub(super) const LOW: f64 = 130.0;

/// What stands above a plot.
pub(super) struct Head {
    title: String,
    items: Vec<Item>,
    rows: usize,
    /// With what is free below.
    pub height: f64,
}

/// A line in the legend.
struct Item {
    name: String,
    ink: Ink,
    band: bool,
    x: f64,
    row: usize,
}

/// The colour of a line: the palette, then its darker shades.
pub(super) fn ink(line: usize) -> Ink {
    let ink = PALETTE.get(line % PALETTE.len()).copied().unwrap_or(TEXT);
    if (line / PALETTE.len()).is_multiple_of(2) {
        return ink;
    }
    let (red, green, blue) = ink.rgb;
    // Black has no darker shade.
    if ink.rgb == (0, 0, 0) {
        return Ink::solid(130, 130, 130);
    }
    Ink::solid(red / 2, green / 2, blue / 2)
}

impl Head {
    /// Places it in a panel of that size; `said` is whether its title stands above the chart already.
    pub(super) fn new(panel: &Panel, face: &Face, width: f64, height: f64, said: bool) -> Head {
        let room = width - 2.0 * MARGIN;
        let title = if said || height < LOW {
            String::new()
        } else {
            face.fit(&tidy(&panel.title), HEADING, room)
        };
        // A few rows: the cast cuts nothing off.
        let most = (height * 0.35 / LEGEND_ROW).floor().max(1.0) as usize;
        let (items, rows) = legend(panel, face, width, most);
        let mut head = Head {
            height: legend_height(rows),
            title,
            items,
            rows,
        };
        if !head.title.is_empty() {
            head.height += HEADING_ROW;
        }
        if head.height > 0.0 {
            head.height += GAP;
        }
        head
    }

    /// Draws it, from there downwards.
    pub(super) fn draw(&self, top: f64, surface: &mut dyn Surface) -> Result<(), ChartError> {
        let mut top = top;
        if !self.title.is_empty() {
            let at = (MARGIN, top + HEADING + 1.0);
            surface.text(&self.title, at, plain(HEADING, Anchor::Start), TEXT)?;
            top += HEADING_ROW;
        }
        for item in &self.items {
            let line = top + legend_height(item.row.min(self.rows)) + LEGEND_ROW / 2.0;
            let end = item.x + SWATCH - 6.0;
            if item.band {
                let ink = item.ink.faint(item.ink.alpha * BAND);
                surface.block((item.x, line - 5.0), (end, line + 5.0), ink)?;
            }
            if item.ink.alpha > 0.0 {
                surface.block((item.x, line - 1.25), (end, line + 1.25), item.ink)?;
            }
            let at = (item.x + SWATCH, line + SMALL * 0.36);
            surface.text(&item.name, at, plain(SMALL, Anchor::Start), TEXT)?;
        }
        Ok(())
    }
}

fn legend_height(rows: usize) -> f64 {
    rows as f64 * LEGEND_ROW // A few.
}

/// The names of a panel's lines in at most so many rows, and how many there are.
fn legend(panel: &Panel, face: &Face, width: f64, most: usize) -> (Vec<Item>, usize) {
    let room = width - 2.0 * MARGIN;
    let mut items: Vec<Item> = Vec::new();
    let (mut x, mut row) = (MARGIN, 0);
    let named = panel.lines.iter().enumerate();
    for (at, line) in named.filter(|(_, line)| !line.name.is_empty()) {
        let name = face.fit(&tidy(&line.name), SMALL, room - SWATCH);
        let end = x + SWATCH + face.width(&name, SMALL);
        if end > MARGIN + room && x > MARGIN {
            (x, row) = (MARGIN, row + 1);
        }
        if row >= most {
            break;
        }
        let after = x + SWATCH + face.width(&name, SMALL) + APART;
        items.push(Item {
            name,
            ink: ink(at),
            band: !line.band.is_empty(),
            x,
            row,
        });
        x = after;
    }
    let rows = items.last().map_or(0, |item| item.row + 1);
    let names = panel
        .lines
        .iter()
        .filter(|line| !line.name.is_empty())
        .count();
    if items.len() < names {
        leave_out(&mut items, names, face, MARGIN + room);
    }
    (items, rows)
}

/// Puts at the end of a full legend how many names have no room.
fn leave_out(items: &mut Vec<Item>, names: usize, face: &Face, end: f64) {
    while let Some(last) = items.last() {
        let more = format!("and {} more", names - items.len());
        let x = last.x + SWATCH + face.width(&last.name, SMALL) + APART;
        if x + face.width(&more, SMALL) <= end || items.len() == 1 {
            let row = last.row;
            items.push(Item {
                name: more,
                ink: LABEL.faint(0.0),
                band: false,
                x: x - SWATCH,
                row,
            });
            return;
        }
        items.pop();
    }
}
