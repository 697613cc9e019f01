//! The recipe of Rename: rows whose columns get other names.

use super::spec;
use crate::derive::DeriveError;
use crate::derive::node::Input;
use crate::derive::recipes::{Making, Opened, Recipe, Written, Wrong};
use crate::query::{Renamed, renamed};
use regex::Regex;

/// Renames columns.
pub(super) struct RenameRecipe {
    pub(super) input: Input,
    /// The first rule that matches a column applies.
    pub(super) rules: Vec<spec::Rule>,
}

impl Recipe for RenameRecipe {
    fn inputs(&self) -> Vec<&Input> {
        vec![&self.input]
    }

    fn identity(&self) -> String {
        format!("rename {:?}", self.rules)
    }

    fn is_table(&self) -> bool {
        true
    }

    fn write(&self, inputs: &Opened, making: &mut Making<'_, '_>) -> Result<Written, Wrong> {
        let rules = compiled(&self.rules)?;
        let (schema, rows) = renamed(inputs.first()?, &|name| rename(&rules, name))?;
        making.rows(&schema, rows)
    }
}

/// A rule with its compiled pattern.
enum Rule<'r> {
    Direct(&'r str, &'r str, bool),
    Pattern(Regex, &'r str),
}

fn compiled(rules: &[spec::Rule]) -> Result<Vec<Rule<'_>>, DeriveError> {
    let rule = |rule| match rule {
        &spec::Rule::Direct {
            ref from,
            ref to,
            cast,
        } => Ok(Rule::Direct(from, to, cast.is_some())),
        spec::Rule::Pattern {
            pattern,
            replacement,
        } => Ok(Rule::Pattern(
            Regex::new(pattern).map_err(DeriveError::new)?,
            replacement,
        )),
    };
    rules.iter().map(rule).collect()
}

/// Returns the new name of a column, by the first rule that matches.
fn rename(rules: &[Rule<'_>], name: &str) -> Renamed {
    for rule in rules {
        match rule {
            Rule::Direct(from, to, as_time) if *from == name => {
                return Renamed {
                    name: (*to).to_owned(),
                    as_time: *as_time,
                };
            }
            Rule::Pattern(pattern, replacement) if pattern.is_match(name) => {
                return Renamed {
                    name: pattern.replace(name, *replacement).into_owned(),
                    as_time: false,
                };
            }
            _ => {}
        }
    }
    Renamed {
        name: name.to_owned(),
        as_time: false,
    }
}
