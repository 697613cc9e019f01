//! The plan of Synthetic: a file for each series.

use super::make::SyntheticRecipe;
use super::spec::Synthetic;
use crate::derive::plan::{Listing, Plan, Planned, Planner};

impl Plan for Synthetic {
    fn plan(&self, planner: &Planner<'_>, path: &[u8]) -> Planned {
        let mut dir = Listing::new(planner, path.to_vec());
        for series in &self.series {
            dir.parquet(&series.name, SyntheticRecipe(series.clone()), &[])?;
        }
        Ok(dir.end())
    }
}
