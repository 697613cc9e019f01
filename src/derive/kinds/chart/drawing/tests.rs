//! Tests of charts, as SVG and as PNG.

use super::*;

fn line(name: &str, points: Vec<(i64, f64)>) -> Line {
    Line {
        name: name.to_owned(),
        points,
        band: Vec::new(),
    }
}

fn chart(lines: Vec<Line>) -> Chart {
    Chart {
        title: "Temperature".to_owned(),
        panels: vec![Panel {
            title: "North".to_owned(),
            unit: "°C".to_owned(),
            lines,
        }],
        width: 640,
        height: 240,
        gap: None,
    }
}

/// Returns `count` points, a minute apart.
fn wave(count: i64) -> Vec<(i64, f64)> {
    let point = |t: i64| (t * 60_000_000, (t as f64 / 50.0).sin() * 10.0);
    (0..count).map(point).collect()
}

fn count(chart: &Chart, what: &str) -> usize {
    svg(chart).unwrap().matches(what).count()
}

fn decode(file: &[u8]) -> (u32, u32, Vec<u8>) {
    let mut reader = png::Decoder::new(std::io::Cursor::new(file))
        .read_info()
        .unwrap();
    let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut pixels).unwrap();
    (info.width, info.height, pixels)
}

#[test]
fn equal_charts_give_equal_bytes() {
    let chart = chart(vec![line("a", wave(500)), line("b", wave(300))]);
    assert_eq!(svg(&chart).unwrap(), svg(&chart).unwrap());
    assert_eq!(png(&chart).unwrap(), png(&chart).unwrap());
}

#[test]
fn a_png_has_the_requested_size() {
    let mut chart = chart(vec![line("a", wave(50))]);
    chart.panels.push(Panel::default());
    let (width, height, pixels) = decode(&png(&chart).unwrap());
    assert_eq!((width, height), (640, 480));
    let blue = pixels
        .chunks(3)
        .filter(|pixel| *pixel == [0, 114, 178])
        .count();
    assert!(blue > 100, "the line is not there: {blue}");
    chart.panels.clear();
    assert_eq!(decode(&png(&chart).unwrap()).1, 240);
}

#[test]
fn an_svg_has_the_requested_size() {
    let text = svg(&chart(vec![line("a", wave(50))])).unwrap();
    assert!(
        text.starts_with("<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"640\" height=\"240\"")
    );
    assert!(text.contains("viewBox=\"0 0 6400 2400\"") && text.ends_with("</svg>\n"));
    assert_eq!(text.matches("</svg>").count(), 1);
    assert_eq!(
        text.matches("<text ").count(),
        text.matches("</text>").count()
    );
    assert!(text.contains("font-family=\"sans-serif\"") && text.contains("°C"));
}

#[test]
fn a_gap_breaks_a_line() {
    let mut points = wave(40);
    points.drain(18..22);
    let mut chart = chart(vec![line("a", points)]);
    assert_eq!(count(&chart, "<polyline"), 1);
    chart.gap = Some(120_000_000);
    assert_eq!(count(&chart, "<polyline"), 2);
}

#[test]
fn non_finite_values_break_a_line_and_its_band() {
    let mut points = wave(40);
    points[20].1 = f64::NAN;
    let mut band: Vec<_> = points.iter().map(|&(t, v)| (t, v - 1.0, v + 1.0)).collect();
    band[20].2 = f64::INFINITY;
    let mut line = line("a", points);
    line.band = band;
    let chart = chart(vec![line]);
    assert_eq!(count(&chart, "<polyline"), 2);
    assert_eq!(count(&chart, "<polygon"), 2);
    png(&chart).unwrap();
}

#[test]
fn a_single_point_is_a_dot() {
    let chart = chart(vec![line("a", vec![(1_700_000_000_000_000, 4.0)])]);
    assert_eq!(count(&chart, "<circle"), 1);
    assert_eq!(count(&chart, "<polyline"), 0);
    assert!(count(&chart, "2023-11-14") > 0);
}

#[test]
fn a_panel_without_data_says_no_data() {
    let nothing = Chart {
        width: 300,
        height: 200,
        ..Chart::default()
    };
    assert_eq!(count(&nothing, "no data"), 1);
    let broken = chart(vec![line("a", vec![(0, f64::NAN)])]);
    assert_eq!(count(&broken, "no data"), 1);
    assert_eq!(count(&chart(vec![line("a", wave(9))]), "no data"), 0);
    png(&nothing).unwrap();
}

#[test]
fn names_are_escaped() {
    let mut chart = chart(vec![line("a<b> & \"µ\"/\u{1}\n", wave(5))]);
    chart.title = "</title><script>&".to_owned();
    let text = svg(&chart).unwrap();
    assert!(text.contains("a&lt;b&gt; &amp; &quot;µ&quot;/"), "{text}");
    assert!(text.contains("<title>&lt;/title&gt;&lt;script&gt;&amp;</title>"));
    assert!(!text.contains("<script") && !text.contains('\u{1}'));
}

#[test]
fn the_size_of_an_svg_does_not_grow_with_the_points() {
    let mut points = wave(500_000);
    points[250_123].1 = 500.0;
    let chart = chart(vec![line("a", points)]);
    let text = svg(&chart).unwrap();
    assert!(text.len() < 60_000, "{}", text.len());
    // The one point far above the others is at the top of the line.
    let line = text.lines().find(|row| row.contains("<polyline")).unwrap();
    let places = line.split("points=\"").nth(1).unwrap().split_whitespace();
    let heights = places.filter_map(|place| place.split(',').nth(1)?.parse::<i32>().ok());
    let mut heights: Vec<i32> = heights.collect();
    heights.sort_unstable();
    assert!(heights[1] - heights[0] > 500, "{:?}", &heights[..2]);
}

#[test]
fn a_legend_wraps_and_counts_omitted_names() {
    let lines = |n| {
        (0..n)
            .map(|i| line(&format!("sensor number {i}"), wave(3)))
            .collect()
    };
    let few = svg(&chart(lines(8))).unwrap();
    assert!(few.contains("sensor number 7") && !few.contains(" more"));
    let many = svg(&chart(lines(60))).unwrap();
    assert!(!many.contains("sensor number 59") && many.contains(" more"));
}

#[test]
fn sizes_out_of_bounds_are_refused() {
    let refused = |width, height, panels| {
        let chart = Chart {
            width,
            height,
            panels: vec![Panel::default(); panels],
            ..Chart::default()
        };
        (svg(&chart).is_err(), png(&chart).is_err())
    };
    assert_eq!(refused(99, 200, 1), (true, true));
    assert_eq!(refused(200, 8001, 1), (true, true));
    assert_eq!(refused(8000, 8000, 2), (true, true));
    assert_eq!(refused(100, 100, 1), (false, false));
}

#[test]
fn a_time_out_of_the_calendars_range_is_refused() {
    let chart = chart(vec![line("a", vec![(i64::MAX, 1.0)])]);
    assert!(matches!(
        svg(&chart),
        Err(ChartError::Time { micros: i64::MAX })
    ));
}

#[test]
fn extreme_charts_are_drawn() {
    let values = [f64::MIN, f64::MAX, 0.0, f64::MIN_POSITIVE, 1e-300];
    let points: Vec<_> = (0i64..).zip(values).collect();
    for (width, height) in [(100, 100), (100, 1000), (2000, 100)] {
        let mut chart = chart(vec![
            line("a", points.clone()),
            line(&"long ".repeat(99), wave(2)),
        ]);
        (chart.width, chart.height) = (width, height);
        chart.title = "a title that is far too long ".repeat(20);
        assert!(!svg(&chart).unwrap().contains("NaN"));
        png(&chart).unwrap();
    }
}
