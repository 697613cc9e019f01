//! Synthetic: series of waves, computed rather than measured.
//!
//! Role: its typed spec. Holds always: once checked, a series begins before it ends, every number is
//! finite, and a wave that repeats says how soon.

use super::field::{Check, Checked, FieldPath, filled, listed, named};
use super::moment::Moment;
use crate::derive::duration::Span;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Computed series.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Synthetic {
    /// The series.
    pub series: Vec<SyntheticSeries>,
}

/// One computed series.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SyntheticSeries {
    /// The name of the result.
    pub name: String,
    /// The time of the first row.
    pub start: Moment,
    /// No row is at this time or after it.
    pub end: Moment,
    /// The time between two rows.
    pub every: Span,
    /// The values of each row.
    pub columns: Vec<SyntheticColumn>,
}

/// One computed column: `offset + amplitude * wave(time since start / period + phase)`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SyntheticColumn {
    /// The name of the column.
    pub name: String,
    /// Its form.
    pub wave: Wave,
    /// How long one turn takes.
    pub period: Option<Span>,
    /// How far it goes to each side; 1 without it.
    #[serde(default = "one")]
    pub amplitude: f64,
    /// What it goes around; 0 without it.
    #[serde(default)]
    pub offset: f64,
    /// How far it is at the start, in turns; 0 without it.
    #[serde(default)]
    pub phase: f64,
    /// Chooses among all noises; 0 without it.
    #[serde(default)]
    pub seed: u64,
}

/// The form of a computed column.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Wave {
    /// The sine.
    Sine,
    /// 1 in the first half of a turn, -1 in the second.
    Square,
    /// From 0 to 1, to -1 and back, in straight lines.
    Triangle,
    /// From -1 to 1 in a straight line, and at once back.
    Sawtooth,
    /// Always 1.
    Constant,
    /// The number of turns since the start: it grows without end.
    Ramp,
    /// Numbers from -1 to 1 that look random and are the same each time.
    Noise,
}

fn one() -> f64 {
    1.0
}

impl Wave {
    /// Whether the wave has a period.
    pub fn turns(self) -> bool {
        !matches!(self, Wave::Constant | Wave::Noise)
    }
}

impl Check for Synthetic {
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

impl Check for SyntheticColumn {
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
