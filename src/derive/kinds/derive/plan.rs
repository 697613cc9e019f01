//! The plan of Derive: in a directory for each collection, a file for each input.

use super::spec::Derive;
use crate::derive::node::Node;
use crate::derive::plan::{Listing, Plan, Planned, Planner};
use crate::derive::recipes::QueryRecipe;
use std::collections::BTreeMap;
use std::sync::Arc;

impl Plan for Derive {
    fn plan(&self, planner: &Planner<'_>, path: &[u8]) -> Planned {
        let mut dir = Listing::new(planner, path.to_vec());
        for collection in &self.collections {
            let mut files = dir.below(&collection.name)?;
            for found in planner.finder.find(&collection.pattern)? {
                let recipe = QueryRecipe {
                    query: collection.query.clone(),
                    tables: BTreeMap::new(),
                    file: Some(found.input.clone()),
                };
                files.table(&found.name, recipe, &[&found])?;
            }
            dir.add(&collection.name, Node::Dir(Arc::new(files.end())))?;
        }
        Ok(dir.end())
    }
}
