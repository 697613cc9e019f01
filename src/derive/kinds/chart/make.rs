//! The recipe of Chart: a picture of a series.

use super::picture::{self, Drawing};
use super::spec::ChartCollection;
use crate::derive::node::Input;
use crate::derive::recipes::{Making, Opened, Recipe, Written, Wrong};
use crate::query::{Member, Series, Source};
use std::sync::Arc;

/// Draws a series.
pub(super) struct ChartRecipe {
    pub(super) spec: ChartCollection,
    pub(super) title: String,
    /// Whether the picture is a PNG, as opposed to an SVG.
    pub(super) png: bool,
    pub(super) inputs: Vec<Input>,
}

impl Recipe for ChartRecipe {
    fn inputs(&self) -> Vec<&Input> {
        self.inputs.iter().collect()
    }

    fn identity(&self) -> String {
        format!("chart {:?} {:?} {}", self.spec, self.title, self.png)
    }

    fn is_table(&self) -> bool {
        false
    }

    fn write(&self, inputs: &Opened, making: &mut Making<'_, '_>) -> Result<Written, Wrong> {
        let members = inputs.sources.iter().map(alone).collect();
        let series = Series::new(members)?;
        let rows = series.rows(making.works.keep.as_ref())?;
        let bytes = picture::draw(&self.spec, &self.title, self.png, &series.schema()?, rows)?;
        making.bytes(&bytes)
    }
}

fn alone(source: &Arc<Source>) -> Member {
    Member {
        source: source.clone(),
        prefix: String::new(),
    }
}

impl From<Drawing> for Wrong {
    fn from(error: Drawing) -> Wrong {
        match error {
            Drawing::Rows(error) => Wrong::Query(error),
            Drawing::Chart(error) => Wrong::Else(error),
        }
    }
}
