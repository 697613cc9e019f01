//! The plan of Pivot: a series for each collection that finds files.

use super::spec::Pivot;
use crate::derive::plan::{Listing, Plan, Planned, Planner};
use crate::derive::recipes::{Group, JoinRecipe};
use crate::query::Format;
use std::collections::BTreeMap;

impl Plan for Pivot {
    fn plan(&self, planner: &Planner<'_>, path: &[u8]) -> Planned {
        let mut dir = Listing::new(planner, path.to_vec());
        for collection in &self.collections {
            let found = planner.finder.find(&collection.pattern)?;
            let mut groups: BTreeMap<String, Group> = BTreeMap::new();
            for found in &found {
                let stem = Format::of_name(&found.name).map_or(&found.name[..], |(_, stem)| stem);
                let alias = found.captures.first().map_or(stem, |capture| &capture[..]);
                let group = groups.entry(alias.to_owned());
                let group = group.or_insert_with(|| Group {
                    prefix: alias.to_owned(),
                    inputs: Vec::new(),
                });
                group.inputs.push(found.input.clone());
            }
            if groups.is_empty() {
                continue;
            }
            let recipe = JoinRecipe {
                groups: groups.into_values().collect(),
                columns: collection.columns.clone(),
                sorted: false,
            };
            dir.parquet(&collection.name, recipe, &found.iter().collect::<Vec<_>>())?;
        }
        Ok(dir.end())
    }
}
