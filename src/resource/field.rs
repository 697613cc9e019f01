//! Paths of fields, faults, and the checks that several kinds share.
//!
//! [`Kind::check`](super::Kind::check) uses them for what the types of a spec cannot express.
//!
//! Invariant: a fault names one field. Its message is one sentence without the name of the field.

use super::kind::{KindEntry, Kinds};
use crate::tinyfs::Pattern;
use serde::de::{self, Deserialize, DeserializeSeed, Deserializer, MapAccess, Visitor};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::marker::PhantomData;

/// Greatest length of a name in a spec, in bytes: it becomes the name of a directory entry.
const MAX_NAME: usize = 255;

/// A step from a value to a part of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Key(String),
    Index(usize),
}

/// The path of a field, such as `spec.collections[0].pattern`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldPath(Vec<Step>);

/// A field, and what is wrong with its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    pub(crate) at: FieldPath,
    pub(crate) message: String,
}

/// The result of a check.
pub type Checked<T = ()> = Result<T, Fault>;

impl FieldPath {
    pub(crate) fn root(key: &str) -> FieldPath {
        FieldPath(vec![Step::Key(key.to_owned())])
    }

    fn then(&self, step: Step) -> FieldPath {
        let mut steps = self.0.clone();
        steps.push(step);
        FieldPath(steps)
    }

    pub(crate) fn key(&self, key: &str) -> FieldPath {
        self.then(Step::Key(key.to_owned()))
    }

    pub(crate) fn index(&self, index: usize) -> FieldPath {
        self.then(Step::Index(index))
    }

    pub(crate) fn steps(&self) -> &[Step] {
        &self.0
    }

    pub(crate) fn fault<T>(&self, message: impl Into<String>) -> Checked<T> {
        Err(Fault {
            at: self.clone(),
            message: message.into(),
        })
    }
}

impl fmt::Display for FieldPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, step) in self.0.iter().enumerate() {
            match step {
                Step::Key(key) if place == 0 => f.write_str(key)?,
                Step::Key(key) => write!(f, ".{key}")?,
                Step::Index(index) => write!(f, "[{index}]")?,
            }
        }
        Ok(())
    }
}

/// Checks that a text is not empty. It may have braces.
pub(crate) fn said(at: &FieldPath, text: &str) -> Checked {
    match text.trim().is_empty() {
        true => at.fault("it is empty"),
        false => Ok(()),
    }
}

/// Checks that a text is not empty and has no variable.
pub(crate) fn filled(at: &FieldPath, text: &str) -> Checked {
    said(at, text)?;
    unexpanded(at, text)
}

/// Fails for a text with a variable: variables are expanded before a document is parsed.
fn unexpanded(at: &FieldPath, text: &str) -> Checked {
    match text.contains("{{") || text.contains("{%") {
        true => at.fault(format!(
            "{text:?} holds a variable that was not expanded; give it with `apply -v NAME=VALUE`"
        )),
        false => Ok(()),
    }
}

/// Checks that a text can be the name of a directory entry.
pub(crate) fn component(at: &FieldPath, name: &str) -> Checked {
    filled(at, name)?;
    match name {
        "." | ".." => at.fault("a name is neither `.` nor `..`"),
        _ if name.contains(['/', '\0']) => at.fault(format!(
            "{name:?} is not the name of a file: it holds `/` or a zero byte"
        )),
        _ if name.len() > MAX_NAME => at.fault("the name has more than 255 bytes"),
        _ if name.ends_with("@version") => {
            at.fault("a name does not end in `@version`, which leads to the past")
        }
        _ => Ok(()),
    }
}

/// Checks a list with at least one item.
pub(crate) fn listed<'a, T>(
    at: &FieldPath,
    items: &'a [T],
    mut check: impl FnMut(&FieldPath, &'a T) -> Checked,
) -> Checked {
    if items.is_empty() {
        return at.fault("the list is empty");
    }
    for (index, item) in items.iter().enumerate() {
        check(&at.index(index), item)?;
    }
    Ok(())
}

/// Checks a list with at least one item, whose names differ and are valid for directory entries.
pub(crate) fn named<T>(
    at: &FieldPath,
    items: &[T],
    name: impl Fn(&T) -> &str,
    mut check: impl FnMut(&FieldPath, &T) -> Checked,
) -> Checked {
    let mut names = BTreeSet::new();
    listed(at, items, |at, item| {
        let name = name(item);
        component(&at.key("name"), name)?;
        if !names.insert(name.to_owned()) {
            return at
                .key("name")
                .fault(format!("the name {name:?} was given before"));
        }
        check(at, item)
    })
}

/// Checks that a list has at least one item and no duplicates.
pub(crate) fn distinct<T: fmt::Display>(at: &FieldPath, items: &[T]) -> Checked {
    let mut seen = BTreeSet::new();
    listed(at, items, |at, item| match seen.insert(item.to_string()) {
        true => Ok(()),
        false => at.fault(format!("{:?} was given before", item.to_string())),
    })
}

/// Checks the selected columns, if there are any.
pub(crate) fn columns(at: &FieldPath, columns: Option<&[String]>) -> Checked {
    let Some(columns) = columns else {
        return Ok(());
    };
    let at = at.key("columns");
    listed(&at, columns, |at, column| filled(at, column))?;
    distinct(&at, columns)
}

/// Parses a pattern of paths in the pond.
pub(crate) fn pattern(at: &FieldPath, pattern: &str) -> Checked<Pattern> {
    filled(at, pattern)?;
    match Pattern::new(pattern.as_bytes()) {
        Ok(parsed) => Ok(parsed),
        Err(error) => at.fault(format!("{pattern:?} is {error}")),
    }
}

/// Checks `in_pattern`, and that `out_pattern` refers only to wildcards that it has.
pub(crate) fn renaming(at: &FieldPath, from: &str, to: &str) -> Checked {
    let captures = pattern(&at.key("in_pattern"), from)?.captures();
    let at = at.key("out_pattern");
    component(&at, to)?;
    for after in to.split('$').skip(1) {
        let end = after.find(|c: char| !c.is_ascii_digit());
        let digits = after.get(..end.unwrap_or(after.len())).unwrap_or(after);
        if digits.is_empty() {
            continue;
        }
        // A number that overflows exceeds the number of wildcards too.
        if digits
            .parse::<usize>()
            .map_or(true, |number| number >= captures)
        {
            return at.fault(match captures {
                0 => format!("`${digits}` stands for nothing: {from:?} has no wildcard"),
                1 => format!("`${digits}` stands for nothing: {from:?} has one wildcard, `$0`"),
                _ => format!(
                    "`${digits}` stands for nothing: {from:?} has the wildcards `$0` to `${}`",
                    captures - 1
                ),
            });
        }
    }
    Ok(())
}

/// Deserializes a map and refuses duplicate keys, of which the YAML reader would take the last.
pub(crate) fn unique_keys<'de, K, V, D>(deserializer: D) -> Result<BTreeMap<K, V>, D::Error>
where
    K: Deserialize<'de> + Ord + fmt::Display,
    V: Deserialize<'de>,
    D: Deserializer<'de>,
{
    struct Map<K, V>(PhantomData<(K, V)>);

    impl<'de, K, V> Visitor<'de> for Map<K, V>
    where
        K: Deserialize<'de> + Ord + fmt::Display,
        V: Deserialize<'de>,
    {
        type Value = BTreeMap<K, V>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a map")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Self::Value, A::Error> {
            let mut map = BTreeMap::new();
            while let Some(key) = access.next_key::<K>()? {
                if map.contains_key(&key) {
                    return Err(de::Error::custom(format!("duplicate field `{key}`")));
                }
                map.insert(key, access.next_value()?);
            }
            Ok(map)
        }
    }

    deserializer.deserialize_map(Map(PhantomData))
}

/// The name of a kind, which may not exist.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct KindName(String);

impl KindName {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the kind of this name, which stands at path `at`.
    pub(crate) fn find(&self, at: &FieldPath, kinds: Kinds) -> Checked<&'static KindEntry> {
        kinds.find(&self.0).or_else(|message| at.fault(message))
    }
}

impl<'de> Deserialize<'de> for KindName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<KindName, D::Error> {
        let name = |name: &str| Ok(KindName(name.to_owned()));
        deserializer.deserialize_str(FromText::new("a kind such as Reduce", name))
    }
}

/// Deserializes a text and converts it inside the visit, so that an error has a position.
pub(crate) struct FromText<T, F>(pub(crate) &'static str, pub(crate) F, PhantomData<T>);

impl<T, F: FnOnce(&str) -> Result<T, String>> FromText<T, F> {
    pub(crate) fn new(expected: &'static str, make: F) -> FromText<T, F> {
        FromText(expected, make, PhantomData)
    }
}

impl<T, F: FnOnce(&str) -> Result<T, String>> Visitor<'_> for FromText<T, F> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        (self.1)(text).map_err(E::custom)
    }
}

impl<'de, T, F: FnOnce(&str) -> Result<T, String>> DeserializeSeed<'de> for FromText<T, F> {
    type Value = T;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<T, D::Error> {
        deserializer.deserialize_str(self)
    }
}
