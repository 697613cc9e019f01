//! Reads the table `[limits]` of `pond.toml`, and reports the values.

use super::amount::Unit;
use super::{ALL, Limits};
use serde::{Deserialize, Serialize};

/// A limit: its name, meaning and range.
pub(super) struct Limit {
    pub(super) name: &'static str,
    pub(super) about: &'static str,
    pub(super) unit: Unit,
    pub(super) default: u64,
    pub(super) least: u64,
    pub(super) most: u64,
    pub(super) get: fn(&Limits) -> u64,
    pub(super) set: fn(&mut Limits, u64),
}

impl Limit {
    /// Returns the name in `pond.toml`.
    pub(super) fn key(&self) -> String {
        self.name.replace('_', "-")
    }
}

/// A limit, its value, and the source of the value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Setting {
    /// Its name in `pond.toml`.
    pub name: String,
    /// The value as written in `pond.toml`.
    pub value: String,
    /// The value as a number: bytes, a count, or milliseconds.
    pub number: u64,
    /// The default.
    pub default: String,
    /// Whether `pond.toml` sets it; otherwise it is the default.
    pub set: bool,
    /// The value in `pond.toml` now, if the pond was opened with another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
    /// What it bounds.
    pub about: String,
}

/// An error in a table of limits.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LimitError {
    /// No limit has this name.
    #[error("[limits] has no limit `{0}`: `pondmount status --config` lists all of them")]
    Unknown(String),
    /// The value does not have the unit of the limit.
    #[error("limit `{name}` is `{value}`: it has to be {example}")]
    Value {
        /// The limit.
        name: String,
        /// The value in `pond.toml`.
        value: String,
        /// An example of a value.
        example: &'static str,
    },
    /// The value is out of range.
    #[error("limit `{name}` is {value}: it has to be from {least} to {most}")]
    Range {
        /// The limit.
        name: String,
        /// The value in `pond.toml`.
        value: String,
        /// The least value.
        least: String,
        /// The greatest value.
        most: String,
    },
    /// Two limits contradict each other.
    #[error(
        "limit `wait-at` is {wait}, less than `spill-at`, which is {spill}: writers would wait for what has not begun"
    )]
    Order {
        /// The value of `wait-at`.
        wait: String,
        /// The value of `spill-at`.
        spill: String,
    },
}

impl Limits {
    /// Returns the limits that a table sets; all others have their defaults.
    pub fn from_table(table: &toml::Table) -> Result<Limits, LimitError> {
        let mut limits = Limits::default();
        for (name, value) in table {
            let Some(limit) = ALL.iter().find(|limit| limit.key() == *name) else {
                return Err(LimitError::Unknown(name.clone()));
            };
            let number = limit.unit.read(value).ok_or_else(|| LimitError::Value {
                name: name.clone(),
                value: value.to_string().trim_matches('"').to_owned(),
                example: limit.unit.example(),
            })?;
            if !(limit.least..=limit.most).contains(&number) {
                return Err(LimitError::Range {
                    name: name.clone(),
                    value: limit.unit.write(number),
                    least: limit.unit.write(limit.least),
                    most: limit.unit.write(limit.most),
                });
            }
            (limit.set)(&mut limits, number);
        }
        if limits.wait_at < limits.spill_at {
            return Err(LimitError::Order {
                wait: Unit::Bytes.write(limits.wait_at),
                spill: Unit::Bytes.write(limits.spill_at),
            });
        }
        Ok(limits)
    }

    /// Returns all limits with their values. `table` is the present one of `pond.toml`, which
    /// applies when the pond is opened next.
    pub fn settings(&self, table: Option<&toml::Table>) -> Result<Vec<Setting>, LimitError> {
        let next = table.map_or(Ok(Limits::default()), Limits::from_table)?;
        let setting = |limit: &Limit| {
            let (number, next) = ((limit.get)(self), (limit.get)(&next));
            Setting {
                next: (number != next).then(|| limit.unit.write(next)),
                name: limit.key(),
                value: limit.unit.write(number),
                number,
                default: limit.unit.write(limit.default),
                set: table.is_some_and(|table| table.contains_key(&limit.key())),
                about: limit.about.trim().to_owned(),
            }
        };
        Ok(ALL.iter().map(setting).collect())
    }
}
