//! Computed series: waves and noise, the same each time.

use super::spec::{SyntheticColumn, Wave};
use std::f64::consts::TAU;

/// Returns the value of a column at a time in µs since the start of its series.
pub(super) fn value(column: &SyntheticColumn, since: i64) -> f64 {
    let turns = match &column.period {
        // Series are too short for a visible loss of precision.
        Some(period) => since as f64 / period.micros() as f64 + column.phase,
        None => column.phase,
    };
    let part = turns.rem_euclid(1.0);
    let form = match column.wave {
        Wave::Sine => (TAU * part).sin(),
        Wave::Square if part < 0.5 => 1.0,
        Wave::Square => -1.0,
        Wave::Triangle if part < 0.25 => 4.0 * part,
        Wave::Triangle if part < 0.75 => 2.0 - 4.0 * part,
        Wave::Triangle => 4.0 * part - 4.0,
        Wave::Sawtooth => 2.0 * part - 1.0,
        Wave::Constant => 1.0,
        Wave::Ramp => turns,
        Wave::Noise => noise(column.seed, since),
    };
    column.offset + column.amplitude * form
}

/// Returns a number from -1 to 1 for each seed and time: the finalizer of SplitMix64 over both.
fn noise(seed: u64, since: i64) -> f64 {
    let mut x = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ since.cast_unsigned();
    x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^= x >> 31;
    // 53 bits, as many as a double has.
    (x >> 11) as f64 / (1u64 << 52) as f64 - 1.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resource::Span;

    fn column(wave: Wave) -> SyntheticColumn {
        SyntheticColumn {
            name: "x".into(),
            wave,
            period: Some(Span::new("4s").unwrap()),
            amplitude: 2.0,
            offset: 10.0,
            phase: 0.0,
            seed: 7,
        }
    }

    #[test]
    fn waves_have_their_forms() {
        let at = |wave, quarter: i64| value(&column(wave), quarter * 1_000_000);
        for (wave, values) in [
            (Wave::Sine, [10.0, 12.0, 10.0, 8.0]),
            (Wave::Square, [12.0, 12.0, 8.0, 8.0]),
            (Wave::Triangle, [10.0, 12.0, 10.0, 8.0]),
            (Wave::Sawtooth, [8.0, 9.0, 10.0, 11.0]),
            (Wave::Constant, [12.0; 4]),
            (Wave::Ramp, [10.0, 10.5, 11.0, 11.5]),
        ] {
            for (quarter, want) in values.into_iter().enumerate() {
                let found = at(wave, quarter as i64);
                assert!((found - want).abs() < 1e-9, "{wave:?} {quarter}: {found}");
            }
        }
    }

    #[test]
    fn noise_is_even_and_repeats() {
        let values: Vec<f64> = (0..10_000).map(|n| noise(7, n)).collect();
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        assert!(
            mean.abs() < 0.05 && values.iter().all(|x| (-1.0..=1.0).contains(x)),
            "{mean}"
        );
        assert_eq!(noise(7, 5), noise(7, 5));
        assert_ne!(noise(7, 5), noise(8, 5));
    }
}
