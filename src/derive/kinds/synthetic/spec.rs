//! The spec of Synthetic: series of computed waves.
//!
//! Invariants: after the check, a series begins before it ends, every number is finite, and a
//! periodic wave has a period.

use crate::resource::Kind;
use crate::resource::Moment;
use crate::resource::Span;
use crate::resource::field::{Checked, FieldPath, filled, listed, named};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Computed series.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Synthetic {
    /// The series.
    pub series: Vec<SyntheticSeries>,
}

/// A computed series.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SyntheticSeries {
    /// Name of the result.
    pub name: String,
    /// Time of the first row.
    pub start: Moment,
    /// Exclusive end: all rows are before it.
    pub end: Moment,
    /// Time between two rows.
    pub every: Span,
    /// The columns.
    pub columns: Vec<SyntheticColumn>,
}

/// A computed column: `offset + amplitude * wave((time - start) / period + phase)`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SyntheticColumn {
    /// Name of the column.
    pub name: String,
    /// Form of the wave.
    pub wave: Wave,
    /// Length of a period.
    pub period: Option<Span>,
    /// Amplitude; 1 by default.
    #[serde(default = "one")]
    pub amplitude: f64,
    /// Offset; 0 by default.
    #[serde(default)]
    pub offset: f64,
    /// Phase at the start, in periods; 0 by default.
    #[serde(default)]
    pub phase: f64,
    /// Seed of the noise; 0 by default.
    #[serde(default)]
    pub seed: u64,
}

/// The form of a wave.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Wave {
    /// Sine.
    Sine,
    /// Square: 1 in the first half of a period, -1 in the second.
    Square,
    /// Triangle: linear from 0 to 1, to -1 and back.
    Triangle,
    /// Sawtooth: linear from -1 to 1, then back at once.
    Sawtooth,
    /// Constant 1.
    Constant,
    /// Number of periods since the start, without bound.
    Ramp,
    /// Pseudo-random numbers from -1 to 1, equal in each rendering.
    Noise,
}

fn one() -> f64 {
    1.0
}

impl Wave {
    /// Returns whether the wave needs a period.
    pub fn turns(self) -> bool {
        !matches!(self, Wave::Constant | Wave::Noise)
    }
}

impl Kind for Synthetic {
    const NAME: &'static str = "Synthetic";
    const ABOUT: &'static str = "Computes waves.";

    fn check(&self, at: &FieldPath) -> Checked {
        named(
            &at.key("series"),
            &self.series,
            |s| &s.name,
            |at, series| {
                if series.end <= series.start {
                    return at.key("end").fault("it is not after `start`");
                }
                let mut names = BTreeSet::new();
                listed(&at.key("columns"), &series.columns, |at, column| {
                    filled(&at.key("name"), &column.name)?;
                    if !names.insert(&column.name) {
                        let message = format!("the name {:?} was given before", column.name);
                        return at.key("name").fault(message);
                    }
                    column.check(at)
                })
            },
        )
    }
}

impl SyntheticColumn {
    fn check(&self, at: &FieldPath) -> Checked {
        if self.period.is_some() != self.wave.turns() {
            return match self.wave.turns() {
                true => at.fault("`period` is missing: this wave repeats or grows by it"),
                false => at.key("period").fault("this wave has no period"),
            };
        }
        let numbers = [
            ("amplitude", self.amplitude),
            ("offset", self.offset),
            ("phase", self.phase),
        ];
        match numbers.iter().find(|(_, number)| !number.is_finite()) {
            Some((key, _)) => at.key(key).fault("it is not a finite number"),
            None => Ok(()),
        }
    }
}
