//! The plan of Template: in a directory for each collection, a text for each input.

use super::make::TemplateRecipe;
use super::spec::{Body, Template};
use crate::derive::DeriveError;
use crate::derive::node::Node;
use crate::derive::plan::{Listing, Plan, Planned, Planner, output_name};
use std::sync::Arc;

impl Plan for Template {
    fn plan(&self, planner: &Planner<'_>, path: &[u8]) -> Planned {
        let mut dir = Listing::new(planner, path.to_vec());
        for collection in &self.collections {
            let Some(Body::Inline(text)) = collection.body() else {
                let why = "template_file is read when a document is applied; apply it with `pondmount apply`";
                return Err(DeriveError::new(why));
            };
            let mut files = dir.below(&collection.name)?;
            let beside = beside(&collection.in_pattern);
            let exports: Vec<_> = planner.finder.find(&beside)?;
            let exports: Vec<_> = exports.into_iter().map(|f| (f.captures, f.input)).collect();
            for found in planner.finder.find(&collection.in_pattern)? {
                let name = output_name(&collection.out_pattern, &found)?;
                let stem = name.rsplit_once('.').map_or(&name[..], |(stem, _)| stem);
                let args = std::iter::once(stem.to_owned()).chain(found.captures.iter().cloned());
                let recipe = TemplateRecipe {
                    text: text.to_owned(),
                    args: args.collect(),
                    input: found.input.clone(),
                    exports: exports.clone(),
                };
                files.file(&name, recipe, None, Some(found.modified))?;
            }
            dir.add(&collection.name, Node::Dir(Arc::new(files.end())))?;
        }
        Ok(dir.end())
    }
}

/// Returns the pattern of all files beside those that a pattern finds.
fn beside(pattern: &str) -> String {
    let pattern = pattern.trim_end_matches('/');
    match pattern.rsplit_once('/') {
        Some((folder, _)) => format!("{folder}/*"),
        None => "*".into(),
    }
}
