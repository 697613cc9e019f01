//! The plan of Concat: a file for each list of files.

use super::make::ConcatRecipe;
use super::spec::{Concat, Header};
use crate::derive::plan::{Listing, Plan, Planned, Planner, newest};

impl Plan for Concat {
    fn plan(&self, planner: &Planner<'_>, path: &[u8]) -> Planned {
        let mut dir = Listing::new(planner, path.to_vec());
        for file in &self.files {
            let found = planner.finder.find(&file.pattern)?;
            let recipe = ConcatRecipe {
                inputs: found.iter().map(|found| found.input.clone()).collect(),
                header_once: file.header == Header::Once,
                separator: file.separator.clone(),
            };
            let modified = newest(&found.iter().collect::<Vec<_>>());
            dir.file(&file.name, recipe, None, modified)?;
        }
        Ok(dir.end())
    }
}
