//! The plan of Resample: in a directory for each collection, a file for each input.

use super::make::ResampleRecipe;
use super::spec::Resample;
use crate::derive::node::Node;
use crate::derive::plan::{Listing, Plan, Planned, Planner};
use crate::query::Grid;
use std::sync::Arc;

impl Plan for Resample {
    fn plan(&self, planner: &Planner<'_>, path: &[u8]) -> Planned {
        let mut dir = Listing::new(planner, path.to_vec());
        for collection in &self.collections {
            let mut files = dir.below(&collection.name)?;
            for found in planner.finder.find(&collection.pattern)? {
                let recipe = ResampleRecipe {
                    input: found.input.clone(),
                    columns: collection.columns.clone(),
                    grid: Grid {
                        every: collection.every.micros(),
                        max_gap: collection.max_gap.micros(),
                    },
                };
                files.table(&found.name, recipe, &[&found])?;
            }
            dir.add(&collection.name, Node::Dir(Arc::new(files.end())))?;
        }
        Ok(dir.end())
    }
}
