//! The recipe of Combine and Pivot: series joined on their time.

use super::{Group, Making, Opened, Recipe, Written, Wrong, identity_of_groups};
use crate::derive::node::Input;
use crate::query::{Member, Series};

/// Joins series on their time.
pub(in crate::derive) struct JoinRecipe {
    pub(in crate::derive) groups: Vec<Group>,
    /// Columns to take, by names or globs.
    pub(in crate::derive) columns: Option<Vec<String>>,
    /// Whether columns come in the order of their names.
    pub(in crate::derive) sorted: bool,
}

impl Recipe for JoinRecipe {
    fn inputs(&self) -> Vec<&Input> {
        self.groups.iter().flat_map(|group| &group.inputs).collect()
    }

    fn identity(&self) -> String {
        let groups = identity_of_groups(&self.groups);
        format!("join {groups:?} {:?} {}", self.columns, self.sorted)
    }

    fn is_table(&self) -> bool {
        true
    }

    fn write(&self, inputs: &Opened, making: &mut Making<'_, '_>) -> Result<Written, Wrong> {
        let sets = inputs.groups(&self.groups);
        let slices: Vec<&[Member]> = sets.iter().map(Vec::as_slice).collect();
        Series::distinct(&slices)?;
        let mut series = Series::new(sets.concat())?;
        if let Some(columns) = &self.columns {
            series = series.only(columns);
        }
        if self.sorted {
            series = series.sorted();
        }
        let schema = series.schema()?;
        let rows = series.rows(making.works.keep.as_ref())?;
        making.rows(&schema, rows)
    }
}
