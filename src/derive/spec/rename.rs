//! Rename: series with other names of columns.
//!
//! Role: its typed spec. In: rules, of which the first that fits a column counts. Holds always: the
//! pattern of a rule is a regular expression.

use super::field::{Check, Checked, FieldPath, filled, listed, named, pattern, said};
use regex::Regex;
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, Deserializer, MapAccess, Visitor};
use serde::{Deserialize, Serialize};
use std::fmt;

/// Series with renamed columns, one for each file found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rename {
    /// Directories of such series.
    pub collections: Vec<RenameCollection>,
}

/// One directory of series with renamed columns.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RenameCollection {
    /// The name of the directory.
    pub name: String,
    /// The files.
    pub pattern: String,
    /// How columns are renamed: by the first rule that fits.
    pub rules: Vec<Rule>,
}

/// How a column is renamed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum Rule {
    /// The column of one name.
    Direct {
        /// The name.
        from: String,
        /// Its new name.
        to: String,
        /// What its values become.
        cast: Option<Cast>,
    },
    /// The columns whose names a regular expression fits somewhere.
    Pattern {
        /// The regular expression.
        pattern: String,
        /// What stands for the part that fits; `$1` is its first group.
        replacement: String,
    },
}

/// What the values of a renamed column become.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Cast {
    /// Times, read from their text.
    Timestamp,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum RuleType {
    Direct,
    Pattern,
}

/// A rule as it is written, before it is known which fields belong to its type.
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
        // Within the visit, so that the place of an error is that of the rule.
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

impl Check for Rename {
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
}

/// The last line of what is said of a regular expression; those before draw it.
fn reason(error: &regex::Error) -> String {
    let text = error.to_string();
    let last = text.lines().last().unwrap_or("it cannot be read");
    last.trim_start_matches("error: ").to_owned()
}
