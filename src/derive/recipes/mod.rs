//! Recipes: how a derived file is rendered from its inputs, and the key of its result.
//!
//! A plan assigns a [`Recipe`] to each file; `render` opens the inputs and calls it. A kind's own
//! recipe is in its folder; [`QueryRecipe`] and [`JoinRecipe`] serve several kinds. Invariant:
//! recipes whose results differ for inputs of equal content differ in [`Recipe::identity`]. It is
//! part of the key of a cached result: a change of it rebuilds the results.

mod join;
mod query;

pub(super) use join::JoinRecipe;
pub(super) use query::QueryRecipe;

use super::DeriveError;
use super::cache::Draft;
use super::node::Input;
use super::render::Works;
use crate::query::{Before, Blob, Format, Hash, Member, QueryError, Rows, SchemaRef, Source, key};
use std::io::Write;
use std::sync::Arc;

/// The prefix of result keys. The number increases whenever a recipe changes its results.
const RESULT: &str = "result 2";

/// Renders a file.
pub(super) trait Recipe: Send + Sync {
    /// Returns all inputs, in an order that matters.
    fn inputs(&self) -> Vec<&Input>;

    /// Returns what distinguishes the recipe, apart from the content of its inputs.
    fn identity(&self) -> String;

    /// Returns whether the result is rows, which can be written in any format.
    fn is_table(&self) -> bool;

    /// Writes the result to the draft.
    fn write(&self, inputs: &Opened, making: &mut Making<'_, '_>) -> Result<Written, Wrong>;

    /// Returns whether the inputs are read as rows, as opposed to bytes.
    fn reads_rows(&self) -> bool {
        true
    }

    /// Returns a path that the result depends on besides the content of the inputs.
    fn told_path(&self) -> Option<String> {
        None
    }

    /// Returns the text of a recipe that only says why there is nothing.
    fn notice(&self) -> Option<&str> {
        None
    }
}

impl dyn Recipe + '_ {
    /// Returns the key of the result for inputs with these identities.
    pub(super) fn key(&self, format: Option<Format>, inputs: &[Hash]) -> Hash {
        let format = format.map_or("", Format::word);
        let text = self.identity();
        let parts = [format.as_bytes(), text.as_bytes()];
        let inputs = inputs.iter().map(|input| &input[..]);
        key(RESULT, &parts.into_iter().chain(inputs).collect::<Vec<_>>())
    }

    /// Returns an input of an input, and so on: the first number counts the inputs of this recipe.
    pub(super) fn input_at(&self, place: &[usize]) -> Option<&Input> {
        let (first, rest) = place.split_first()?;
        let input = self.inputs().into_iter().nth(*first)?;
        match (rest, input) {
            ([], input) => Some(input),
            (rest, Input::Derived(file)) => file.recipe.input_at(rest),
            (_, Input::Stored { .. }) => None,
        }
    }
}

/// Inputs that are one series, and the prefix of the names of its columns.
#[derive(Clone)]
pub(super) struct Group {
    pub(super) prefix: String,
    pub(super) inputs: Vec<Input>,
}

/// The inputs of a recipe, in its order.
#[derive(Default)]
pub(super) struct Opened {
    /// Each with its mark.
    pub(super) blobs: Vec<(String, Arc<dyn Blob>)>,
    /// The inputs as rows, unless the recipe reads bytes.
    pub(super) sources: Vec<Arc<Source>>,
}

/// The output of a recipe, and what it uses to write it.
pub(super) struct Making<'m, 'c> {
    pub(super) works: &'m Works,
    /// The format of rows.
    pub(super) format: Format,
    /// The previous result of the file, from other inputs, parts of which may be reused.
    pub(super) before: Option<Before>,
    pub(super) draft: &'m mut Draft<'c>,
}

/// The description of a written result.
#[derive(Default)]
pub(super) struct Written {
    /// The number of rows, if it is a table.
    pub(super) rows: Option<u64>,
    /// The keys of its sections and the number of row groups of each, if it was written in
    /// sections.
    pub(super) sections: Vec<(Hash, usize)>,
}

impl Making<'_, '_> {
    /// Writes rows in the format of the file.
    pub(super) fn rows(&mut self, schema: &SchemaRef, rows: Rows) -> Result<Written, Wrong> {
        Ok(Written {
            rows: Some(crate::query::write(
                schema,
                rows,
                self.format,
                &mut *self.draft,
            )?),
            sections: Vec::new(),
        })
    }

    /// Writes bytes.
    pub(super) fn bytes(&mut self, bytes: &[u8]) -> Result<Written, Wrong> {
        self.draft.write_all(bytes)?;
        Ok(Written::default())
    }
}

impl Opened {
    /// Returns the first input as rows.
    pub(super) fn first(&self) -> Result<Arc<Source>, DeriveError> {
        let first = self.sources.first().cloned();
        first.ok_or_else(|| DeriveError::new("it has no input"))
    }

    /// Returns the inputs of groups, group by group.
    pub(super) fn groups(&self, groups: &[Group]) -> Vec<Vec<Member>> {
        let mut sources = self.sources.iter();
        let mut set = |group: &Group| -> Vec<Member> {
            let some = sources.by_ref().take(group.inputs.len());
            let member = |source: &Arc<Source>| Member {
                source: source.clone(),
                prefix: group.prefix.clone(),
            };
            some.map(member).collect()
        };
        groups.iter().map(&mut set).collect()
    }
}

/// Returns the part of an identity that groups have.
pub(super) fn identity_of_groups(groups: &[Group]) -> Vec<(&str, usize)> {
    let groups = groups.iter();
    groups
        .map(|group| (group.prefix.as_str(), group.inputs.len()))
        .collect()
}

/// A text that explains why there is nothing else.
pub(super) struct Notice(pub(super) String);

impl Recipe for Notice {
    fn inputs(&self) -> Vec<&Input> {
        Vec::new()
    }

    fn identity(&self) -> String {
        format!("text {:?}", self.0)
    }

    fn is_table(&self) -> bool {
        false
    }

    fn write(&self, _: &Opened, making: &mut Making<'_, '_>) -> Result<Written, Wrong> {
        making.bytes(self.0.as_bytes())
    }

    fn notice(&self) -> Option<&str> {
        Some(&self.0)
    }
}

/// An error of a recipe; some queries are run again.
pub(super) enum Wrong {
    Query(QueryError),
    Else(DeriveError),
}

impl From<QueryError> for Wrong {
    fn from(error: QueryError) -> Wrong {
        Wrong::Query(error)
    }
}

impl From<DeriveError> for Wrong {
    fn from(error: DeriveError) -> Wrong {
        Wrong::Else(error)
    }
}

impl From<std::io::Error> for Wrong {
    fn from(error: std::io::Error) -> Wrong {
        Wrong::Else(error.into())
    }
}
