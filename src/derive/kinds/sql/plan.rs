//! The plan of Sql: a file for each query.

use super::spec::Sql;
use crate::derive::plan::{Listing, Plan, Planned, Planner};
use crate::derive::recipes::QueryRecipe;
use std::collections::BTreeMap;

impl Plan for Sql {
    fn plan(&self, planner: &Planner<'_>, path: &[u8]) -> Planned {
        let mut dir = Listing::new(planner, path.to_vec());
        for query in &self.queries {
            let (mut tables, mut all) = (BTreeMap::new(), Vec::new());
            for (alias, pattern) in &query.inputs {
                let found = planner.finder.find(pattern)?;
                let inputs: Vec<_> = found.iter().map(|found| found.input.clone()).collect();
                tables.insert(alias.clone(), inputs);
                all.extend(found);
            }
            let recipe = QueryRecipe {
                query: query.query.clone(),
                tables,
                file: None,
            };
            dir.parquet(&query.name, recipe, &all.iter().collect::<Vec<_>>())?;
        }
        Ok(dir.end())
    }
}
