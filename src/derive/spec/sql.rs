//! Sql: a query over several named inputs.
//!
//! Role: its typed spec. Holds always: once checked, each input has a name that a query can use bare.

use super::field::{Check, Checked, FieldPath, named, pattern, said, unique_keys};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Results of queries.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sql {
    /// The results.
    pub queries: Vec<Query>,
}

/// One result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Query {
    /// The name of the result.
    pub name: String,
    /// The tables of the query: a name for each, and the files that are one series under it.
    #[serde(deserialize_with = "unique_keys")]
    pub inputs: BTreeMap<String, String>,
    /// The query.
    pub query: String,
}

impl Check for Sql {
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
                    // A query does not tell apart what differs in case.
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
}

fn is_identifier(name: &str) -> bool {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    name.chars().all(word) && name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
}
