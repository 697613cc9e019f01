//! Lays out and draws a chart on a surface: titles, legends, axes, lines.
//!
//! Invariants: nothing covers the data. What does not fit is left out, the data and axes last.

use super::font::Face;
use super::legend::{Head, LOW};
use super::plot::{Plot, draw_bands, draw_lines};
use super::surface::{Anchor, Ink, Surface, Type, tidy};
use super::times::{self, Time};
use super::values::Values;
use super::{Chart, ChartError, Line, Panel};
use jiff::Timestamp;

const WHITE: Ink = Ink::solid(255, 255, 255);
pub(super) const TEXT: Ink = Ink::solid(34, 34, 34);
pub(super) const LABEL: Ink = Ink::solid(85, 85, 85);
const GRID: Ink = Ink::solid(229, 229, 229);
const AXIS: Ink = Ink::solid(140, 140, 140);

/// Sizes of letters, in pixels.
const TITLE: f64 = 16.0;
pub(super) const HEADING: f64 = 13.0;
pub(super) const SMALL: f64 = 11.5;

/// Margin around the picture. All distances are in pixels.
pub(super) const MARGIN: f64 = 10.0;
/// Height of the row of the title.
const TITLE_ROW: f64 = 26.0;
/// Height of the two rows below the time axis.
const FOOT: f64 = 40.0;
/// Distance between a plot and the heading of the next panel.
const BELOW: f64 = 15.0;
/// Distance between the labels of an axis and the plot.
const NEAR: f64 = 7.0;
/// Width of the unit beside an axis.
const UNIT: f64 = 18.0;
/// Time that is shown on both sides of a single point, in microseconds.
const AROUND: i64 = 60_000_000;

/// Draws the whole chart.
pub(super) fn draw(
    chart: &Chart,
    (width, height): (u32, u32),
    face: &Face,
    surface: &mut dyn Surface,
) -> Result<(), ChartError> {
    let (width, height) = (f64::from(width), f64::from(height));
    surface.block((0.0, 0.0), (width, height), WHITE)?;
    let nothing = [Panel::default()];
    let panels = if chart.panels.is_empty() {
        &nothing[..]
    } else {
        &chart.panels[..]
    };
    let titled = !chart.title.is_empty() && f64::from(chart.height) >= LOW;
    let top = if titled { MARGIN + TITLE_ROW } else { MARGIN };
    if titled {
        let title = face.fit(&tidy(&chart.title), TITLE, width - 2.0 * MARGIN);
        let set = plain(TITLE, Anchor::Start);
        surface.text(&title, (MARGIN, MARGIN + TITLE), set, TEXT)?;
    }
    // A chart has far fewer panels than an `f64` counts exactly.
    let each = (height - FOOT + BELOW - top) / panels.len() as f64;
    let mut placed = Vec::new();
    for panel in panels {
        let said = titled && panel.title == chart.title;
        let head = Head::new(panel, face, width, each, said);
        let values = values(panel, each - head.height - BELOW);
        placed.push((panel, head, values));
    }
    let span = span(panels)?;
    let (from, to) = span.unwrap_or((0, 1));
    let mut plot = Plot {
        left: left(&placed, face, width),
        right: width - MARGIN - NEAR,
        top,
        bottom: top,
        from,
        to,
    };
    let measure = |label: &str| face.width(label, SMALL);
    let ticks = match span {
        Some(_) => times::ticks(from, to, plot.right - plot.left, measure),
        None => Vec::new(),
    };
    let mut above = top;
    for (panel, head, values) in &placed {
        plot.top = (above + head.height).round();
        plot.bottom = (above + each - BELOW).round();
        head.draw(above, surface)?;
        draw_panel(&plot, panel, values.as_ref(), &ticks, face, surface)?;
        if let Some(values) = values {
            draw_bands(&plot, panel, values, chart.gap, surface)?;
            draw_lines(&plot, panel, values, chart.gap, surface)?;
        }
        above += each;
    }
    draw_times(&plot, &ticks, width, face, surface)
}

/// Draws a panel without its data.
fn draw_panel(
    plot: &Plot,
    panel: &Panel,
    values: Option<&Values>,
    ticks: &[Time],
    face: &Face,
    surface: &mut dyn Surface,
) -> Result<(), ChartError> {
    draw_grid(plot, ticks, values, surface)?;
    draw_values(plot, panel, values, face, surface)?;
    if values.is_some() {
        return Ok(());
    }
    let (x, y) = plot.middle();
    let set = plain(HEADING, Anchor::Middle);
    surface.text("no data", (x, y + HEADING / 3.0), set, LABEL)
}

/// Returns the style of a horizontal text.
pub(super) fn plain(em: f64, anchor: Anchor) -> Type {
    Type {
        em,
        anchor,
        upright: false,
    }
}

/// Returns the finite values of a line and its band, with their times.
fn finite(line: &Line) -> impl Iterator<Item = (i64, f64, f64)> {
    let points = line
        .points
        .iter()
        .map(|&(time, value)| (time, value, value));
    points
        .chain(line.band.iter().copied())
        .filter(|(_, least, greatest)| least.is_finite() && greatest.is_finite())
}

/// Returns the first and the last time of all panels, or `None` without data.
fn span(panels: &[Panel]) -> Result<Option<(i64, i64)>, ChartError> {
    let times = panels
        .iter()
        .flat_map(|panel| &panel.lines)
        .flat_map(finite)
        .map(|point| point.0);
    let span = times.fold(None, |span: Option<(i64, i64)>, time| {
        let (from, to) = span.unwrap_or((time, time));
        Some((from.min(time), to.max(time)))
    });
    let Some((from, to)) = span else {
        return Ok(None);
    };
    for micros in [from, to] {
        Timestamp::from_microsecond(micros).map_err(|_| ChartError::Time { micros })?;
    }
    if from == to {
        return Ok(Some((from - AROUND, to + AROUND)));
    }
    Ok(Some((from, to)))
}

/// Returns the value axis of a panel, or `None` without data.
fn values(panel: &Panel, height: f64) -> Option<Values> {
    let (least, greatest) = panel.lines.iter().flat_map(finite).fold(
        (f64::INFINITY, f64::NEG_INFINITY),
        |(least, greatest), (_, low, high)| (least.min(low.min(high)), greatest.max(low.max(high))),
    );
    (least <= greatest).then(|| Values::new(least, greatest, (height / 34.0).clamp(1.0, 8.0)))
}

/// Returns the left edge of the plots: right of the widest label.
fn left(placed: &[(&Panel, Head, Option<Values>)], face: &Face, width: f64) -> f64 {
    let axes = placed.iter().filter_map(|(_, _, values)| values.as_ref());
    let labels = axes.flat_map(|axis| &axis.ticks);
    let widest = labels
        .map(|(_, label)| face.width(label, SMALL))
        .fold(0.0, f64::max);
    let unit = placed.iter().any(|(panel, _, _)| !panel.unit.is_empty());
    let unit = if unit { UNIT } else { 0.0 };
    // The note `UTC` has to fit as well.
    (MARGIN + unit + widest + NEAR)
        .clamp(48.0, width.max(100.0) / 2.0)
        .round()
}

/// Draws the grid, the base line and the zero line.
fn draw_grid(
    plot: &Plot,
    times: &[Time],
    values: Option<&Values>,
    surface: &mut dyn Surface,
) -> Result<(), ChartError> {
    for time in times {
        let x = plot.x(time.at).floor();
        surface.block((x, plot.top), (x + 1.0, plot.bottom), GRID)?;
    }
    for (value, _) in values.iter().flat_map(|values| &values.ticks) {
        let y = values
            .map_or(plot.bottom, |values| plot.y(values, *value))
            .floor();
        let ink = if *value == 0.0 { AXIS } else { GRID };
        surface.block((plot.left, y), (plot.right, y + 1.0), ink)?;
    }
    let ground = ((plot.left, plot.bottom), (plot.right, plot.bottom + 1.0));
    surface.block(ground.0, ground.1, AXIS)
}

/// Draws the labels of the values, and their unit.
fn draw_values(
    plot: &Plot,
    panel: &Panel,
    values: Option<&Values>,
    face: &Face,
    surface: &mut dyn Surface,
) -> Result<(), ChartError> {
    if let Some(values) = values {
        for (value, label) in &values.ticks {
            let at = (plot.left - NEAR, plot.y(values, *value) + SMALL * 0.36);
            surface.text(label, at, plain(SMALL, Anchor::End), LABEL)?;
        }
    }
    let unit = face.fit(&tidy(&panel.unit), SMALL, plot.bottom - plot.top);
    let set = Type {
        upright: true,
        ..plain(SMALL, Anchor::Middle)
    };
    if panel.unit.is_empty() {
        return Ok(());
    }
    surface.text(&unit, (MARGIN + SMALL * 0.8, plot.middle().1), set, LABEL)
}

/// Draws the labels of the time axis, and below them their contexts where these change.
fn draw_times(
    plot: &Plot,
    ticks: &[Time],
    width: f64,
    face: &Face,
    surface: &mut dyn Surface,
) -> Result<(), ChartError> {
    if ticks.is_empty() {
        return Ok(());
    }
    let set = plain(SMALL, Anchor::Middle);
    let row = plot.bottom + 5.0 + SMALL + 2.0;
    let note = face.width("UTC", SMALL);
    surface.text("UTC", (MARGIN, row), plain(SMALL, Anchor::Start), LABEL)?;
    for tick in ticks {
        let x = plot.x(tick.at).floor();
        surface.block((x, plot.bottom), (x + 1.0, plot.bottom + 5.0), AXIS)?;
        let x = within(
            x + 0.5,
            face.width(&tick.label, SMALL),
            MARGIN + note + 5.0,
            width,
        );
        surface.text(&tick.label, (x, row), set, LABEL)?;
    }
    for (x, context) in contexts(plot, ticks, width, face) {
        surface.text(context, (x, row + SMALL + 4.0), set, TEXT)?;
    }
    Ok(())
}

/// Returns the middle of a text, moved so that the text is within the picture.
fn within(x: f64, text: f64, left: f64, width: f64) -> f64 {
    x.min(width - 3.0 - text / 2.0).max(left + text / 2.0)
}

/// Returns the positions of contexts: at the first tick and at each change. A context that would
/// overlap the next one is dropped: a change implies what preceded it.
fn contexts<'a>(plot: &Plot, ticks: &'a [Time], width: f64, face: &Face) -> Vec<(f64, &'a str)> {
    let mut shown: Vec<(f64, &str)> = Vec::new();
    let mut before = "";
    for tick in ticks.iter().filter(|tick| !tick.context.is_empty()) {
        if tick.context == before {
            continue;
        }
        before = &tick.context;
        let text = face.width(before, SMALL);
        let x = within(plot.x(tick.at).floor() + 0.5, text, MARGIN, width);
        if let Some(last) = shown.last()
            && x - last.0 < text + 8.0
        {
            shown.pop();
        }
        shown.push((x, before));
    }
    shown
}
