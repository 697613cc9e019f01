//! The plan of Reduce: for each output of a collection, a series at each resolution.

use super::make::ReduceRecipe;
use super::spec::{Duplicates, Reduce};
use crate::derive::node::Node;
use crate::derive::plan::{Listing, Plan, Planned, Planner, output_name};
use crate::derive::recipes::Group;
use crate::derive::view::Found;
use crate::query::Width;
use std::collections::BTreeMap;
use std::sync::Arc;

impl Plan for Reduce {
    fn plan(&self, planner: &Planner<'_>, path: &[u8]) -> Planned {
        let mut dir = Listing::new(planner, path.to_vec());
        for collection in &self.collections {
            let widths: Vec<Width> = collection.resolutions.iter().map(|r| r.width()).collect();
            let mut results = dir.below(&collection.name)?;
            for dataset in &collection.datasets {
                let mut outputs: BTreeMap<String, Vec<Found>> = BTreeMap::new();
                for found in planner.finder.find(&dataset.in_pattern)? {
                    let name = output_name(&dataset.out_pattern, &found)?;
                    outputs.entry(name).or_default().push(found);
                }
                for (name, found) in outputs {
                    let groups = scopes(&found);
                    let mut files = results.below(&name)?;
                    for resolution in &collection.resolutions {
                        let width = resolution.width();
                        let recipe = ReduceRecipe {
                            groups: groups.clone(),
                            columns: dataset.columns.clone(),
                            aggregates: dataset.aggregates.clone(),
                            all_rows: dataset.duplicates == Duplicates::All,
                            base: finest(&widths, &width),
                            width,
                        };
                        let file = format!("res={}", resolution.as_str());
                        files.table(&file, recipe, &found.iter().collect::<Vec<_>>())?;
                    }
                    results.add(&name, Node::Dir(Arc::new(files.end())))?;
                }
            }
            dir.add(&collection.name, Node::Dir(Arc::new(results.end())))?;
        }
        Ok(dir.end())
    }
}

/// Returns the finest of the widths that buckets of `width` can be merged from.
fn finest(widths: &[Width], width: &Width) -> Width {
    let first = |w: &&Width| w.start_of(0).abs_diff(w.next(w.start_of(0)));
    let fitting = widths.iter().filter(|of| of.divides(width));
    *fitting.min_by_key(first).unwrap_or(width)
}

/// Groups files by scope. The prefix of a group is empty if there is only one scope.
fn scopes(found: &[Found]) -> Vec<Group> {
    let mut groups: BTreeMap<&str, Group> = BTreeMap::new();
    for found in found {
        let group = groups.entry(&found.scope).or_insert_with(|| Group {
            prefix: found.scope.clone(),
            inputs: Vec::new(),
        });
        group.inputs.push(found.input.clone());
    }
    let mut groups: Vec<Group> = groups.into_values().collect();
    if let [only] = &mut groups[..] {
        only.prefix.clear();
    }
    groups
}
