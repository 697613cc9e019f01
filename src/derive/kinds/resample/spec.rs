//! The spec of Resample: series at regular times, by linear interpolation.
//!
//! Invariant: after the check, a gap has at most [`MAX_STEPS`] steps, which bounds the rows that
//! two rows of an input can become.

use crate::resource::field::{Checked, FieldPath, columns, named, pattern};
use crate::resource::{Kind, Span};
use serde::{Deserialize, Serialize};

/// Greatest number of steps in a gap.
const MAX_STEPS: i64 = 100_000;

/// Directories of series at regular times.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Resample {
    /// The directories.
    pub collections: Vec<ResampleCollection>,
}

/// A directory with one series for each file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResampleCollection {
    /// Name of the directory.
    pub name: String,
    /// Pattern of the files.
    pub pattern: String,
    /// Time between two rows, counted from 1970 UTC.
    pub every: Span,
    /// Greatest distance of two values that are interpolated between.
    pub max_gap: Span,
    /// Columns to take, by names or globs; all numeric columns by default.
    pub columns: Option<Vec<String>>,
}

impl Kind for Resample {
    const NAME: &'static str = "Resample";
    const ABOUT: &'static str = "Interpolates series at regular times.";

    fn check(&self, at: &FieldPath) -> Checked {
        named(
            &at.key("collections"),
            &self.collections,
            |c| &c.name,
            |at, collection| {
                pattern(&at.key("pattern"), &collection.pattern)?;
                if collection.max_gap.micros() / collection.every.micros() > MAX_STEPS {
                    return at.key("max_gap").fault(format!(
                        "it is more than {MAX_STEPS} times `every`; write a shorter one"
                    ));
                }
                columns(at, collection.columns.as_deref())
            },
        )
    }

    fn patterns(&self) -> Vec<&str> {
        self.collections.iter().map(|c| &c.pattern[..]).collect()
    }
}
