//! Expands the variables in a document.
//!
//! Invariants: only strings of the spec are templates, except comments and templates that are
//! rendered later. Only the given variables are available, not the environment.

use super::DocumentError;
use crate::resource::field::{Checked, Fault, FieldPath};
use crate::resource::kind::{KindEntry, Kinds};
use serde::Deserialize;
use serde_yaml::Value;
use std::collections::{BTreeMap, HashMap};
use std::error::Error;
use tera::{Context, Tera};

/// Openings of parts that Tera replaces.
const OPENINGS: [&str; 3] = ["{{", "{%", "{#"];

pub(super) fn expand(
    text: &str,
    variables: &BTreeMap<String, String>,
    kinds: Kinds,
) -> Result<String, DocumentError> {
    let templated = |text: &str| OPENINGS.iter().any(|opening| text.contains(opening));
    if !templated(text) {
        return Ok(text.to_owned());
    }
    let document = super::read::single(text).and_then(Value::deserialize);
    let mut document = document.map_err(|error| {
        let mut error = DocumentError::from(error);
        let line = error.line().and_then(|line| text.lines().nth(line - 1));
        if line.is_some_and(|line| line.contains("{{")) {
            error
                .message
                .push_str("; a value with `{{ }}` has to be quoted");
        }
        error
    })?;
    let mut expander = Expander::new(variables, kinds)?;
    let kind = expander.kind(document.get("kind"));
    if let Some(spec) = document.get_mut("spec") {
        let root = FieldPath::root("spec");
        expander
            .value(kind, &root, spec)
            .map_err(|fault| DocumentError::of_fault(text, &fault))?;
    }
    match expander.changed {
        false => Ok(text.to_owned()),
        true => Ok(serde_yaml::to_string(&document)?),
    }
}

struct Expander {
    tera: Tera,
    context: Context,
    kinds: Kinds,
    changed: bool,
}

impl Expander {
    fn new(variables: &BTreeMap<String, String>, kinds: Kinds) -> Result<Expander, DocumentError> {
        let mut tera = Tera::default();
        tera.autoescape_on(Vec::new());
        tera.register_function("get_env", |_: &HashMap<String, tera::Value>| {
            Err(tera::Error::msg(
                "the environment is not read; give variables with `-v NAME=VALUE`",
            ))
        });
        let context = Context::from_serialize(variables)
            .map_err(|error| DocumentError::without_place(&error.to_string()))?;
        Ok(Expander {
            tera,
            context,
            kinds,
            changed: false,
        })
    }

    /// Returns the kind that a value names.
    fn kind(&self, name: Option<&Value>) -> Option<&'static KindEntry> {
        self.kinds.find(name?.as_str()?).ok()
    }

    /// Expands the strings in `value`, which is part of a spec of `kind`.
    fn value(
        &mut self,
        kind: Option<&'static KindEntry>,
        at: &FieldPath,
        value: &mut Value,
    ) -> Checked {
        match value {
            Value::String(text) if OPENINGS.iter().any(|opening| text.contains(opening)) => {
                let expanded = self.tera.render_str(text, &self.context);
                let expanded = expanded.or_else(|error| at.fault(explain(&error)));
                *text = expanded.map_err(|fault| silence(kind, fault))?;
                self.changed = true;
            }
            Value::Sequence(items) => {
                for (index, item) in items.iter_mut().enumerate() {
                    self.value(kind, &at.index(index), item)?;
                }
            }
            Value::Mapping(map) => {
                let nested = match kind {
                    Some(kind) if kind.nests => self.kind(map.get("kind")),
                    _ => None,
                };
                for (key, value) in map {
                    let Some(key) = key.as_str() else {
                        continue;
                    };
                    let inner = match (nested, key) {
                        (Some(nested), "spec") => Some(nested),
                        _ => kind,
                    };
                    if !kind.is_some_and(|kind| kind.literal.contains(&key)) {
                        self.value(inner, &at.key(key), value)?;
                    }
                }
            }
            Value::Tagged(tagged) => self.value(kind, at, &mut tagged.value)?,
            Value::String(_) | Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
        Ok(())
    }
}

/// Returns the reason of an error without repeating the template.
fn explain(error: &tera::Error) -> String {
    let mut deepest: &dyn Error = error;
    while let Some(source) = deepest.source() {
        deepest = source;
    }
    let message = deepest.to_string();
    let variable = message.strip_prefix("Variable `");
    if let Some((name, _)) = variable.and_then(|rest| rest.split_once('`')) {
        return format!("the variable `{name}` is not given; give it with `-v {name}=VALUE`");
    }
    // Tera shows a template that it cannot parse over several lines; the last one has the reason.
    let last = message.lines().rev().find(|line| !line.trim().is_empty());
    let last = last.unwrap_or("it cannot be expanded").trim();
    last.trim_start_matches("= ").to_owned()
}

/// Removes everything but the name of a variable from a fault of a field with a secret.
fn silence(kind: Option<&KindEntry>, fault: Fault) -> Fault {
    let at = fault.at.to_string();
    let field = at.strip_prefix("spec.");
    let keyed = kind.zip(field);
    let keyed = keyed.is_some_and(|(kind, field)| kind.secret.contains(&field));
    match keyed && !fault.message.starts_with("the variable `") {
        true => Fault {
            message: "it cannot be expanded; write ${env:NAME} or ${file:/PATH} in its place"
                .to_owned(),
            ..fault
        },
        false => fault,
    }
}
