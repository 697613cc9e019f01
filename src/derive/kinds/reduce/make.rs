//! The recipe of Reduce: series reduced to buckets.

use crate::derive::node::Input;
use crate::derive::recipes::{Group, Making, Opened, Recipe, Written, Wrong, identity_of_groups};
use crate::query::{self, Aggregate, Member, Reduction, Scope, Width};

/// Reduces series to buckets of one width.
pub(super) struct ReduceRecipe {
    pub(super) groups: Vec<Group>,
    /// Columns to reduce, by names or globs.
    pub(super) columns: Option<Vec<String>>,
    pub(super) aggregates: Vec<Aggregate>,
    /// Whether all rows of a time are used, as opposed to the last one.
    pub(super) all_rows: bool,
    /// The width of the partial results that the buckets are merged from. It does not affect the
    /// result.
    pub(super) base: Width,
    pub(super) width: Width,
}

impl Recipe for ReduceRecipe {
    fn inputs(&self) -> Vec<&Input> {
        self.groups.iter().flat_map(|group| &group.inputs).collect()
    }

    fn identity(&self) -> String {
        let groups = identity_of_groups(&self.groups);
        format!(
            "reduce {groups:?} {:?} {:?} {} {:?}",
            self.columns, self.aggregates, self.all_rows, self.width
        )
    }

    fn is_table(&self) -> bool {
        true
    }

    fn write(&self, inputs: &Opened, making: &mut Making<'_, '_>) -> Result<Written, Wrong> {
        let sets = inputs.groups(&self.groups).into_iter().zip(&self.groups);
        let scope = |(members, group): (Vec<Member>, &Group)| Scope {
            prefix: group.prefix.clone(),
            members,
        };
        let reduction = Reduction {
            scopes: sets.map(scope).collect(),
            columns: self.columns.clone(),
            aggregates: self.aggregates.clone(),
            all_rows: self.all_rows,
            base: self.base,
            width: self.width,
        };
        let sections = reduction.sections(&making.works.keep)?;
        let before = making.before.take();
        let draft = &mut *making.draft;
        let spliced = query::write_sections(sections, making.format, before, draft)?;
        Ok(Written {
            rows: Some(spliced.rows),
            sections: spliced.sections,
        })
    }
}
