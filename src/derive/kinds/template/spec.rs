//! The spec of Template: a text rendered for each file that a pattern matches.
//!
//! Invariant: after the check, each collection has exactly one template.

use crate::resource::Kind;
use crate::resource::field::{Checked, FieldPath, filled, named, renaming};
use serde::{Deserialize, Serialize};

/// Directories of rendered texts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Template {
    /// The directories.
    pub collections: Vec<TemplateCollection>,
}

/// A directory of rendered texts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TemplateCollection {
    /// Pattern of the files.
    pub in_pattern: String,
    /// Name of the text. `$N` is the text that wildcard N matched, counted from 0.
    pub out_pattern: String,
    /// Name of the directory.
    pub name: String,
    /// The template, in the document.
    pub template: Option<String>,
    /// Path of a file with the template.
    pub template_file: Option<String>,
}

/// The source of a template.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body<'a> {
    /// Text in the document.
    Inline(&'a str),
    /// Path of a file.
    File(&'a str),
}

impl TemplateCollection {
    /// Returns the template, or `None` unless there is exactly one. The check ensures that.
    pub fn body(&self) -> Option<Body<'_>> {
        match (&self.template, &self.template_file) {
            (Some(text), None) => Some(Body::Inline(text)),
            (None, Some(file)) => Some(Body::File(file)),
            _ => None,
        }
    }
}

impl Kind for Template {
    const NAME: &'static str = "Template";
    const ABOUT: &'static str = "Renders text templates.";
    const LITERAL: &'static [&'static str] = &["template"];

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

    fn patterns(&self) -> Vec<&str> {
        self.collections.iter().map(|c| &c.in_pattern[..]).collect()
    }
}
