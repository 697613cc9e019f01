//! The plan of Combine: in a directory for each scope, one joined series.

use super::spec::Combine;
use crate::derive::node::Node;
use crate::derive::plan::{Listing, Plan, Planned, Planner};
use crate::derive::recipes::{Group, JoinRecipe};
use std::sync::Arc;

impl Plan for Combine {
    fn plan(&self, planner: &Planner<'_>, path: &[u8]) -> Planned {
        let mut dir = Listing::new(planner, path.to_vec());
        for scope in &self.scopes {
            let (mut groups, mut all) = (Vec::new(), Vec::new());
            for series in &scope.series {
                let found = planner.finder.find(&series.pattern)?;
                groups.push(Group {
                    prefix: series.scope.clone().unwrap_or_default(),
                    inputs: found.iter().map(|found| found.input.clone()).collect(),
                });
                all.extend(found);
            }
            let mut files = dir.below(&scope.name)?;
            if !all.is_empty() {
                let recipe = JoinRecipe {
                    groups,
                    columns: scope.columns.clone(),
                    sorted: true,
                };
                files.table("combine", recipe, &all.iter().collect::<Vec<_>>())?;
            }
            dir.add(&scope.name, Node::Dir(Arc::new(files.end())))?;
        }
        Ok(dir.end())
    }
}
