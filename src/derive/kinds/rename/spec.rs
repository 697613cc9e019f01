//! The spec of Rename: series whose columns get other names.
//!
//! The first rule that matches a column applies.
//!
//! Invariant: after the check, the pattern of a rule is a valid regular expression.

use crate::resource::Kind;
use crate::resource::field::{Checked, FieldPath, filled, listed, named, pattern, said};
use regex::Regex;
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, Deserializer, MapAccess, Visitor};
use serde::{Deserialize, Serialize};
use std::fmt;

/// Series with renamed columns, one for each file that matches.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rename {
    /// The directories.
    pub collections: Vec<RenameCollection>,
}

/// A directory of series with renamed columns.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RenameCollection {
    /// Name of the directory.
    pub name: String,
    /// Pattern of the files.
    pub pattern: String,
    /// Rules; the first that matches a column applies.
    pub rules: Vec<Rule>,
}

/// A rule that renames columns.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum Rule {
    /// Renames the column with an exact name.
    Direct {
        /// The name.
        from: String,
        /// The new name.
        to: String,
        /// Conversion of its values.
        cast: Option<Cast>,
    },
    /// Renames columns in whose name a regular expression matches.
    Pattern {
        /// The regular expression.
        pattern: String,
        /// Replacement of the match. `$1` is its first group.
        replacement: String,
    },
}

/// Conversion of the values of a renamed column.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Cast {
    /// Parses text as times.
    Timestamp,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum RuleType {
    Direct,
    Pattern,
}

/// A rule as written. Which fields are allowed depends on its type.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    r#type: RuleType,
    from: Option<String>,
    to: Option<String>,
    cast: Option<Cast>,
    pattern: Option<String>,
    replacement: Option<String>,
}

impl TryFrom<Written> for Rule {
    type Error = &'static str;

    fn try_from(written: Written) -> Result<Rule, &'static str> {
        match written {
            Written {
                r#type: RuleType::Direct,
                from: Some(from),
                to: Some(to),
                cast,
                pattern: None,
                replacement: None,
            } => Ok(Rule::Direct { from, to, cast }),
            Written {
                r#type: RuleType::Pattern,
                pattern: Some(pattern),
                replacement: Some(replacement),
                from: None,
                to: None,
                cast: None,
            } => Ok(Rule::Pattern {
                pattern,
                replacement,
            }),
            Written {
                r#type: RuleType::Direct,
                ..
            } => Err("a rule of the type `direct` has `from`, `to` and perhaps `cast`"),
            Written {
                r#type: RuleType::Pattern,
                ..
            } => Err("a rule of the type `pattern` has `pattern` and `replacement`"),
        }
    }
}

impl<'de> Deserialize<'de> for Rule {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Rule, D::Error> {
        // Inside the visit, so that an error has the position of the rule.
        struct OfRule;

        impl<'de> Visitor<'de> for OfRule {
            type Value = Rule;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a rule: a map with `type: direct` or `type: pattern`")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Rule, A::Error> {
                let written = Written::deserialize(MapAccessDeserializer::new(map))?;
                Rule::try_from(written).map_err(de::Error::custom)
            }
        }

        deserializer.deserialize_map(OfRule)
    }
}

impl Kind for Rename {
    const NAME: &'static str = "Rename";
    const ABOUT: &'static str = "Renames columns.";

    fn check(&self, at: &FieldPath) -> Checked {
        named(
            &at.key("collections"),
            &self.collections,
            |c| &c.name,
            |at, collection| {
                pattern(&at.key("pattern"), &collection.pattern)?;
                listed(&at.key("rules"), &collection.rules, |at, rule| match rule {
                    Rule::Direct { from, to, .. } => {
                        filled(&at.key("from"), from)?;
                        filled(&at.key("to"), to)
                    }
                    Rule::Pattern {
                        pattern,
                        replacement,
                    } => {
                        said(&at.key("pattern"), pattern)?;
                        said(&at.key("replacement"), replacement)?;
                        match Regex::new(pattern) {
                            Ok(_) => Ok(()),
                            Err(error) => at.key("pattern").fault(format!(
                                "{pattern:?} is not a regular expression: {}",
                                reason(&error)
                            )),
                        }
                    }
                })
            },
        )
    }

    fn patterns(&self) -> Vec<&str> {
        self.collections.iter().map(|c| &c.pattern[..]).collect()
    }
}

/// Returns the last line of the error, which is the reason. The lines before show the expression.
fn reason(error: &regex::Error) -> String {
    let text = error.to_string();
    let last = text.lines().last().unwrap_or("it cannot be read");
    last.trim_start_matches("error: ").to_owned()
}
