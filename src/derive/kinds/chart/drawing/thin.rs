//! Splits lines into unbroken runs and drops points that a picture cannot show.
//!
//! Invariant: of each column of pixels the first, last, least and greatest value stay, which draws
//! the same picture as all points. A break within one column is narrower than a pixel and is
//! dropped.

/// Returns the runs of a line.
pub(super) fn points(
    points: &[(i64, f64)],
    gap: Option<i64>,
    column: impl Fn(i64) -> i64,
) -> Vec<Vec<(i64, f64)>> {
    let points = points
        .iter()
        .map(|&(time, value)| (time, value.is_finite().then_some(value)));
    runs(points, gap, column, keep_points)
}

/// Returns the runs of a band.
pub(super) fn band(
    band: &[(i64, f64, f64)],
    gap: Option<i64>,
    column: impl Fn(i64) -> i64,
) -> Vec<Vec<(i64, (f64, f64))>> {
    let band = band.iter().map(|&(time, least, greatest)| {
        let finite = least.is_finite() && greatest.is_finite();
        (time, finite.then_some((least, greatest)))
    });
    runs(band, gap, column, keep_band)
}

/// Groups points by column of pixels, reduces each group with `keep`, and splits at breaks.
fn runs<V: Copy>(
    points: impl Iterator<Item = (i64, Option<V>)>,
    gap: Option<i64>,
    column: impl Fn(i64) -> i64,
    keep: impl Fn(&[(i64, V)], &mut Vec<(i64, V)>),
) -> Vec<Vec<(i64, V)>> {
    let mut runs = Vec::new();
    let mut run = Vec::new();
    let mut gathered: Vec<(i64, V)> = Vec::new();
    let mut broken = false;
    for (time, value) in points {
        let Some(value) = value else {
            broken = true;
            continue;
        };
        if let Some(&(before, _)) = gathered.last()
            && column(before) != column(time)
        {
            keep(&gathered, &mut run);
            gathered.clear();
            if broken || gap.is_some_and(|gap| time.saturating_sub(before) > gap) {
                runs.push(std::mem::take(&mut run));
            }
        }
        broken = false;
        gathered.push((time, value));
    }
    if !gathered.is_empty() {
        keep(&gathered, &mut run);
        runs.push(run);
    }
    runs
}

/// Appends the first, least, greatest and last point of a column, in the order of time.
fn keep_points(gathered: &[(i64, f64)], run: &mut Vec<(i64, f64)>) {
    let value = |&at: &usize| gathered.get(at).map_or(0.0, |point| point.1);
    let by_value = |a: &usize, b: &usize| value(a).total_cmp(&value(b));
    let all = 0..gathered.len();
    let mut kept = vec![0, gathered.len().saturating_sub(1)];
    kept.extend(all.clone().min_by(by_value));
    kept.extend(all.max_by(by_value));
    kept.sort_unstable();
    kept.dedup();
    run.extend(kept.iter().filter_map(|&at| gathered.get(at)));
}

/// Appends the least and greatest value of a column, at its first and last time.
fn keep_band(gathered: &[(i64, (f64, f64))], run: &mut Vec<(i64, (f64, f64))>) {
    let least = gathered.iter().map(|(_, band)| band.0.min(band.1));
    let greatest = gathered.iter().map(|(_, band)| band.1.max(band.0));
    let band = (
        least.fold(f64::INFINITY, f64::min),
        greatest.fold(f64::NEG_INFINITY, f64::max),
    );
    if let (Some((first, _)), Some((last, _))) = (gathered.first(), gathered.last()) {
        run.push((*first, band));
        if last != first {
            run.push((*last, band));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_keeps_its_extremes() {
        let mut all: Vec<(i64, f64)> = (0..100_000).map(|t| (t, (t % 7) as f64)).collect();
        all[54_321].1 = 99.0;
        all[65_432].1 = -99.0;
        let kept = points(&all, None, |t| t / 1000);
        assert_eq!(kept.len(), 1);
        assert!(kept[0].len() <= 400, "{}", kept[0].len());
        assert!(kept[0].contains(&(54_321, 99.0)) && kept[0].contains(&(65_432, -99.0)));
        assert!(kept[0].is_sorted_by_key(|point| point.0));
    }

    #[test]
    fn a_gap_and_a_missing_value_break_a_line() {
        let all = [(0, 1.0), (10, 2.0), (50, 3.0), (60, f64::NAN), (70, 4.0)];
        let lengths = |gap| {
            points(&all, gap, |t| t)
                .iter()
                .map(Vec::len)
                .collect::<Vec<_>>()
        };
        assert_eq!(lengths(Some(10)), [2, 1, 1]);
        assert_eq!(lengths(Some(40)), [3, 1]);
        assert_eq!(lengths(None), [3, 1]);
    }

    #[test]
    fn non_finite_values_leave_no_run() {
        let all = [(0, f64::NAN), (1, f64::INFINITY)];
        assert!(points(&all, None, |t| t).is_empty());
    }

    #[test]
    fn a_column_of_a_band_keeps_its_extremes() {
        let all = [(0, 1.0, 2.0), (1, 0.5, 1.5), (2, 1.0, 9.0), (10, 1.0, 2.0)];
        let kept = band(&all, None, |t| t / 10);
        assert_eq!(kept, [[(0, (0.5, 9.0)), (2, (0.5, 9.0)), (10, (1.0, 2.0))]]);
    }
}
