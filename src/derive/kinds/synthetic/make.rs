//! The recipe of Synthetic: rows of computed waves.

use super::spec::SyntheticSeries;
use super::wave;
use crate::derive::node::Input;
use crate::derive::recipes::{Making, Opened, Recipe, Written, Wrong};
use crate::query::computed;

/// Computes a series.
pub(super) struct SyntheticRecipe(pub(super) SyntheticSeries);

impl Recipe for SyntheticRecipe {
    fn inputs(&self) -> Vec<&Input> {
        Vec::new()
    }

    fn identity(&self) -> String {
        format!("synthetic {:?}", self.0)
    }

    fn is_table(&self) -> bool {
        true
    }

    fn write(&self, _: &Opened, making: &mut Making<'_, '_>) -> Result<Written, Wrong> {
        let series = &self.0;
        let names: Vec<String> = series.columns.iter().map(|c| c.name.clone()).collect();
        let columns = series.columns.clone();
        let (start, end) = (series.start.micros(), series.end.micros());
        let every = series.every.micros();
        let times = std::iter::successors(Some(start), move |time| time.checked_add(every));
        let times = times.take_while(move |time| *time < end);
        let compute = move |n: usize, time: i64| {
            let column = columns.get(n);
            column.map_or(f64::NAN, |column| wave::value(column, time - start))
        };
        let (schema, rows) = computed(&names, times, compute);
        making.rows(&schema, rows)
    }
}
