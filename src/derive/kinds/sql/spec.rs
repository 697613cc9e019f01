//! The spec of Sql: a query on several named inputs.
//!
//! Invariant: after the check, a query can use the name of each input without quotes.

use crate::resource::Kind;
use crate::resource::field::{Checked, FieldPath, named, pattern, said, unique_keys};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Results of queries.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sql {
    /// The results.
    pub queries: Vec<Query>,
}

/// A result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Query {
    /// Name of the result.
    pub name: String,
    /// Tables of the query: their names, with the pattern of the files that form each.
    #[serde(deserialize_with = "unique_keys")]
    pub inputs: BTreeMap<String, String>,
    /// The query.
    pub query: String,
}

impl Kind for Sql {
    const NAME: &'static str = "Sql";
    const ABOUT: &'static str = "Runs a query on several inputs.";

    fn check(&self, at: &FieldPath) -> Checked {
        named(
            &at.key("queries"),
            &self.queries,
            |q| &q.name,
            |at, query| {
                let inputs = at.key("inputs");
                if query.inputs.is_empty() {
                    return inputs.fault("there is no input");
                }
                let mut folded = BTreeSet::new();
                for (alias, files) in &query.inputs {
                    let at = inputs.key(alias);
                    if !is_identifier(alias) {
                        return at.fault(format!(
                            "{alias:?} is not the name of a table; write letters, digits and `_`"
                        ));
                    }
                    // Unquoted identifiers of a query are not case-sensitive.
                    if !folded.insert(alias.to_ascii_lowercase()) {
                        return at.fault(format!(
                            "the name {alias:?} was given before in another case"
                        ));
                    }
                    pattern(&at, files)?;
                }
                said(&at.key("query"), &query.query)
            },
        )
    }

    fn patterns(&self) -> Vec<&str> {
        let inputs = self.queries.iter().flat_map(|query| query.inputs.values());
        inputs.map(|pattern| &pattern[..]).collect()
    }
}

fn is_identifier(name: &str) -> bool {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    name.chars().all(word) && name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
}
