//! The plan of Chart: in a directory for each chart, a picture of each output in each format.

use super::make::ChartRecipe;
use super::spec::{Chart, Format};
use crate::derive::node::Node;
use crate::derive::plan::{Listing, Plan, Planned, Planner, newest, output_name};
use crate::derive::view::Found;
use std::collections::BTreeMap;
use std::sync::Arc;

impl Plan for Chart {
    fn plan(&self, planner: &Planner<'_>, path: &[u8]) -> Planned {
        let mut dir = Listing::new(planner, path.to_vec());
        for chart in &self.charts {
            let mut outputs: BTreeMap<String, Vec<Found>> = BTreeMap::new();
            for found in planner.finder.find(&chart.in_pattern)? {
                let name = output_name(&chart.out_pattern, &found)?;
                outputs.entry(name).or_default().push(found);
            }
            let mut files = dir.below(&chart.name)?;
            for (name, found) in outputs {
                for format in &chart.formats {
                    let (png, ending) = match format {
                        Format::Svg => (false, "svg"),
                        Format::Png => (true, "png"),
                    };
                    let recipe = ChartRecipe {
                        spec: chart.clone(),
                        title: chart.title.clone().unwrap_or_else(|| name.clone()),
                        png,
                        inputs: found.iter().map(|found| found.input.clone()).collect(),
                    };
                    let modified = newest(&found.iter().collect::<Vec<_>>());
                    files.file(&format!("{name}.{ending}"), recipe, None, modified)?;
                }
            }
            dir.add(&chart.name, Node::Dir(Arc::new(files.end())))?;
        }
        Ok(dir.end())
    }
}
