//! The plan of DynamicDir: a directory for each entry.

use super::spec::DynamicDir;
use crate::derive::node::Node;
use crate::derive::plan::{Listing, Plan, Planned, Planner};
use std::sync::Arc;

impl Plan for DynamicDir {
    fn plan(&self, planner: &Planner<'_>, path: &[u8]) -> Planned {
        let mut dir = Listing::new(planner, path.to_vec());
        for entry in &self.entries {
            let path = [path, b"/", entry.name.as_bytes()].concat();
            let planned = planner.directory(&path, entry.spec.as_deref());
            let made = planned.map_err(|error| error.about(&entry.name))?;
            dir.add(&entry.name, Node::Dir(Arc::new(made)))?;
        }
        Ok(dir.end())
    }
}
