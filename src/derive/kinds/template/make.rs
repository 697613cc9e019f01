//! The recipe of Template: a rendered text.

use super::render::{self, Export, Given, asks_for_times};
use crate::derive::node::Input;
use crate::derive::recipes::{Making, Opened, Recipe, Written, Wrong};
use crate::query;

/// Renders a template.
pub(super) struct TemplateRecipe {
    pub(super) text: String,
    pub(super) args: Vec<String>,
    pub(super) input: Input,
    /// The entries of `export`: the captures of each file, and the file.
    pub(super) exports: Vec<(Vec<String>, Input)>,
}

impl Recipe for TemplateRecipe {
    fn inputs(&self) -> Vec<&Input> {
        // A template uses only the paths of its exports otherwise; the identity contains them.
        let timed = self.exports.iter().filter(|_| asks_for_times(&self.text));
        let exports = timed.map(|(_, export)| export);
        [&self.input].into_iter().chain(exports).collect()
    }

    fn identity(&self) -> String {
        let exports = self.exports.iter().map(|(of, to)| (of, to.path()));
        let exports: Vec<_> = exports.collect();
        format!("template {:?} {:?} {exports:?}", self.text, self.args)
    }

    fn is_table(&self) -> bool {
        false
    }

    fn write(&self, inputs: &Opened, making: &mut Making<'_, '_>) -> Result<Written, Wrong> {
        let columns = inputs.first()?.columns();
        // The exports follow the input, if the template uses their times.
        let mut sources = inputs.sources.iter().skip(1);
        let keep = making.works.keep.as_ref();
        let export = |(captures, input): &(Vec<String>, Input)| {
            let span = match sources.next() {
                Some(source) => query::span(source, keep)?,
                None => None,
            };
            Ok(Export {
                captures: captures.clone(),
                path: input.path(),
                span,
            })
        };
        let exports: Result<Vec<_>, Wrong> = self.exports.iter().map(export).collect();
        let exports = exports?;
        let given = Given {
            args: &self.args,
            columns: &columns,
            exports: &exports,
        };
        let text = render::render(&self.text, &given)?;
        making.bytes(text.as_bytes())
    }
}
