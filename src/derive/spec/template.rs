//! Template: texts rendered for each file that a pattern finds.
//!
//! Role: its typed spec. Holds always: once checked, each collection has exactly one template.

use super::field::{Check, Checked, FieldPath, filled, named, renaming};
use serde::{Deserialize, Serialize};

/// Directories of rendered texts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Template {
    /// The directories.
    pub collections: Vec<TemplateCollection>,
}

/// One directory of rendered texts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TemplateCollection {
    /// The files.
    pub in_pattern: String,
    /// The name of the text, in which `$N` stands for the N-th wildcard, from 0.
    pub out_pattern: String,
    /// The name of the directory.
    pub name: String,
    /// The template itself.
    pub template: Option<String>,
    /// The file that holds it.
    pub template_file: Option<String>,
}

/// Where a template is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body<'a> {
    /// In the document.
    Inline(&'a str),
    /// In a file.
    File(&'a str),
}

impl TemplateCollection {
    /// The template; `None` if there is not exactly one, which no document that was read has.
    pub fn body(&self) -> Option<Body<'_>> {
        match (&self.template, &self.template_file) {
            (Some(text), None) => Some(Body::Inline(text)),
            (None, Some(file)) => Some(Body::File(file)),
            _ => None,
        }
    }
}

impl Check for Template {
    fn check(&self, at: &FieldPath) -> Checked {
        named(
            &at.key("collections"),
            &self.collections,
            |c| &c.name,
            |at, collection| {
                renaming(at, &collection.in_pattern, &collection.out_pattern)?;
                match collection.body() {
                    Some(Body::Inline(_)) => Ok(()),
                    Some(Body::File(file)) => filled(&at.key("template_file"), file),
                    None if collection.template.is_some() => {
                        at.fault("there are both `template` and `template_file`; give one of them")
                    }
                    None => at
                        .fault("there is neither `template` nor `template_file`; give one of them"),
                }
            },
        )
    }
}
