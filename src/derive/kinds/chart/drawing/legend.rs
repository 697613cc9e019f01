//! Lays out and draws the title of a panel and the names of its lines.
//!
//! Invariants: a legend wraps, takes at most a third of the panel, and states how many names it
//! leaves out. The colour of a line depends on its number only.

use super::draw::{HEADING, LABEL, MARGIN, SMALL, TEXT, plain};
use super::font::Face;
use super::plot::BAND;
use super::surface::{Anchor, Ink, Surface, tidy};
use super::{ChartError, Panel};

/// The palette of Okabe and Ito for colour-blind readers, without yellow, which is pale on white.
const PALETTE: [Ink; 7] = [
    Ink::solid(0, 114, 178),
    Ink::solid(213, 94, 0),
    Ink::solid(0, 158, 115),
    Ink::solid(204, 121, 167),
    Ink::solid(230, 159, 0),
    Ink::solid(86, 180, 233),
    Ink::solid(0, 0, 0),
];

/// Height of the row of a heading, and of a row of the legend.
const HEADING_ROW: f64 = 21.0;
const LEGEND_ROW: f64 = 18.0;
/// Distance between the heading and the plot.
const GAP: f64 = 7.0;
/// Width of a colour sample in the legend, and distance behind a name.
const SWATCH: f64 = 20.0;
const APART: f64 = 16.0;

/// Panels below this height have no heading. If all are, the chart has no title.
pub(super) const LOW: f64 = 130.0;

/// The heading above a plot.
pub(super) struct Head {
    title: String,
    items: Vec<Item>,
    rows: usize,
    /// Height, with the gap below.
    pub height: f64,
}

/// An entry of the legend.
struct Item {
    name: String,
    ink: Ink,
    band: bool,
    x: f64,
    row: usize,
}

/// Returns the colour of a line: the palette, then its darker shades.
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
    /// Lays out the heading of a panel. `said` means that the chart's title is the same.
    pub(super) fn new(panel: &Panel, face: &Face, width: f64, height: f64, said: bool) -> Head {
        let room = width - 2.0 * MARGIN;
        let title = if said || height < LOW {
            String::new()
        } else {
            face.fit(&tidy(&panel.title), HEADING, room)
        };
        // At most a few rows, so the cast truncates nothing.
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

    /// Draws the heading below `top`.
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

/// Lays out the names of a panel in at most `most` rows. Returns the entries and the number of
/// rows.
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

/// Appends the number of names that were left out to a full legend.
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
