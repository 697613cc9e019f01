//! The recipe of Resample: a series at the times of a grid.

use crate::derive::node::Input;
use crate::derive::recipes::{Making, Opened, Recipe, Written, Wrong};
use crate::query::{Grid, Member, Series, resampled};

/// Interpolates a series at regular times.
pub(super) struct ResampleRecipe {
    pub(super) input: Input,
    /// Columns to take, by names or globs.
    pub(super) columns: Option<Vec<String>>,
    pub(super) grid: Grid,
}

impl Recipe for ResampleRecipe {
    fn inputs(&self) -> Vec<&Input> {
        vec![&self.input]
    }

    fn identity(&self) -> String {
        format!("resample {:?} {:?}", self.grid, self.columns)
    }

    fn is_table(&self) -> bool {
        true
    }

    fn write(&self, inputs: &Opened, making: &mut Making<'_, '_>) -> Result<Written, Wrong> {
        let mut series = Series::new(vec![Member {
            source: inputs.first()?,
            prefix: String::new(),
        }])?;
        if let Some(columns) = &self.columns {
            series = series.only(columns);
        }
        let rows = series.rows(making.works.keep.as_ref())?;
        let (schema, rows) = resampled(&series.schema()?, rows, self.grid);
        making.rows(&schema, rows)
    }
}
