//! Chooses the span and the labels of a value axis.
//!
//! Invariants: both ends are finite and differ. There are at least two labels, and they differ.

/// Relative span below which all values count as equal: labels would hardly differ.
const FLAT: f64 = 1e-9;
/// Greatest absolute value that is shown. The span of larger values may overflow.
const VAST: f64 = 1e300;
/// From this value on, and below its inverse, labels have an exponent.
const PLAIN: f64 = 1e6;

/// A value axis.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Values {
    pub least: f64,
    pub greatest: f64,
    /// The labelled values, with their labels.
    pub ticks: Vec<(f64, String)>,
}

impl Values {
    /// Returns the axis for values from `least` to `greatest`, with about `count` ticks.
    pub(super) fn new(least: f64, greatest: f64, count: f64) -> Values {
        let (least, greatest) = room(least.clamp(-VAST, VAST), greatest.clamp(-VAST, VAST));
        let mut step = round_step((greatest - least) / count.max(1.0));
        let mut ticks = multiples(least, greatest, step);
        // A single label is no scale.
        while ticks.len() < 2 {
            step = round_step(step / 3.0);
            ticks = multiples(least, greatest, step);
        }
        let labels = labels(&ticks, step);
        Values {
            least,
            greatest,
            ticks: ticks.into_iter().zip(labels).collect(),
        }
    }

    /// Returns the position of a value: 0 at the lower end of the axis, 1 at the upper one.
    pub(super) fn place(&self, value: f64) -> f64 {
        ((value - self.least) / (self.greatest - self.least)).clamp(0.0, 1.0)
    }
}

/// Returns the multiples of a step within an axis.
fn multiples(least: f64, greatest: f64, step: f64) -> Vec<f64> {
    let (mut at, last) = ((least / step).ceil(), (greatest / step).floor());
    let mut multiples = Vec::new();
    while at <= last {
        multiples.push(at * step);
        at += 1.0;
    }
    multiples
}

/// Returns the span of an axis: a margin around the values, and zero if it is near.
fn room(least: f64, greatest: f64) -> (f64, f64) {
    let size = least.abs().max(greatest.abs());
    if size < 1.0 / VAST {
        return (0.0, 1.0);
    }
    if greatest - least < size * FLAT {
        return (least - size / 10.0, greatest + size / 10.0);
    }
    let rim = (greatest - least) * 0.06;
    let (mut low, mut high) = (least - rim, greatest + rim);
    if least >= 0.0 && least < greatest * 0.3 {
        low = 0.0;
    }
    if greatest <= 0.0 && greatest > least * 0.3 {
        high = 0.0;
    }
    (low, high)
}

/// Returns the next greater number that is 1, 2 or 5 times a power of ten.
fn round_step(step: f64) -> f64 {
    let power = 10f64.powf(step.log10().floor());
    let part = step / power;
    let round = [1.0, 2.0, 5.0].into_iter().find(|&round| part <= round);
    round.unwrap_or(10.0) * power
}

/// Returns the labels of values that are `step` apart, all with the same number of decimals.
fn labels(values: &[f64], step: f64) -> Vec<String> {
    let size = values
        .iter()
        .fold(0.0, |size: f64, value| size.max(value.abs()));
    // A step of 0.1 may be slightly less in binary.
    let digits = -(step.log10() + 1e-9).floor();
    if size < PLAIN && step > 1.0 / PLAIN {
        let number = |value: &f64| plain(*value, decimals(digits));
        return values.iter().map(number).collect();
    }
    let power = size.log10().floor();
    let number = |value: &f64| {
        if *value == 0.0 {
            return String::from("0");
        }
        let part = value / 10f64.powf(power);
        format!("{}e{power}", plain(part, decimals(digits + power)))
    };
    values.iter().map(number).collect()
}

/// Returns the number of decimals. More would show nothing: spans are not that small.
fn decimals(digits: f64) -> usize {
    // `clamp` precedes the cast, so the cast truncates nothing.
    digits.clamp(0.0, 12.0) as usize
}

/// Formats a number without an exponent, with U+2212 as minus sign, and without a sign for zero.
fn plain(value: f64, decimals: usize) -> String {
    let number = format!("{value:.decimals$}");
    match number.strip_prefix('-') {
        Some(rest) if rest.bytes().all(|byte| matches!(byte, b'0' | b'.')) => rest.to_owned(),
        Some(rest) => format!("−{rest}"),
        None => number,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_round_numbers() {
        let axis = |least, greatest| {
            let ticks = Values::new(least, greatest, 5.0).ticks;
            ticks.into_iter().map(|tick| tick.1).collect::<Vec<_>>()
        };
        assert_eq!(axis(0.0, 1.0), ["0.0", "0.5", "1.0"]);
        assert_eq!(axis(-10.0, 10.0), ["−10", "−5", "0", "5", "10"]);
        assert_eq!(axis(0.0, 4e9), ["0", "1e9", "2e9", "3e9", "4e9"]);
        assert_eq!(axis(7.0, 7.5)[..2], ["7.0", "7.2"]);
    }

    #[test]
    fn every_axis_has_a_span_and_few_ticks() {
        let tiny = f64::MIN_POSITIVE / 4.0;
        for (least, greatest) in [
            (0.0, 0.0),
            (21.5, 21.5),
            (-3.0, -3.0),
            (tiny, tiny),
            (0.0, tiny),
            (f64::MIN, f64::MAX),
            (1e15, 1e15 + 0.25),
            (1e300, 1e300),
        ] {
            let axis = Values::new(least, greatest, 5.0);
            assert!(axis.least < axis.greatest && (axis.greatest - axis.least).is_finite());
            let count = axis.ticks.len();
            assert!((2..20).contains(&count), "{least} to {greatest}: {count}");
            let labels: std::collections::BTreeSet<_> = axis.ticks.iter().map(|t| &t.1).collect();
            assert_eq!(labels.len(), count, "{least} to {greatest}: {labels:?}");
        }
    }
}
