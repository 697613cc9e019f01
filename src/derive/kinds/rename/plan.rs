//! The plan of Rename: in a directory for each collection, a file for each input.

use super::make::RenameRecipe;
use super::spec::Rename;
use crate::derive::node::Node;
use crate::derive::plan::{Listing, Plan, Planned, Planner};
use std::sync::Arc;

impl Plan for Rename {
    fn plan(&self, planner: &Planner<'_>, path: &[u8]) -> Planned {
        let mut dir = Listing::new(planner, path.to_vec());
        for collection in &self.collections {
            let mut files = dir.below(&collection.name)?;
            for found in planner.finder.find(&collection.pattern)? {
                let recipe = RenameRecipe {
                    input: found.input.clone(),
                    rules: collection.rules.clone(),
                };
                files.table(&found.name, recipe, &[&found])?;
            }
            dir.add(&collection.name, Node::Dir(Arc::new(files.end())))?;
        }
        Ok(dir.end())
    }
}
