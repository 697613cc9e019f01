//! The spec of DynamicDir: several derived directories in one.
//!
//! Invariants: after the check, no entry is of a kind that collects data. Directories nest at most
//! [`MAX_NESTED`] levels.

use crate::derive::kinds::NestedSeed;
use crate::resource::field::{Checked, FieldPath, KindName, named};
use crate::resource::{Kind, Kinds, Spec};
use serde::Deserialize;
use serde::de::{self, Deserializer, IgnoredAny, MapAccess, Visitor};
use std::fmt;
use std::sync::Arc;

/// Greatest nesting depth of directories of this kind.
const MAX_NESTED: usize = 4;

/// A directory of derived directories.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DynamicDir {
    /// The directories.
    pub entries: Vec<DynamicEntry>,
}

/// A derived directory.
#[derive(Clone, Debug, PartialEq)]
pub struct DynamicEntry {
    /// Name of the directory.
    pub name: String,
    /// The kind as written.
    pub kind: KindName,
    /// Its spec, or `None` if the kind is not derived. The check refuses that.
    pub spec: Option<Arc<dyn Spec>>,
}

#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "lowercase")]
enum Field {
    Name,
    Kind,
    Spec,
}

impl<'de> Deserialize<'de> for DynamicEntry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<DynamicEntry, D::Error> {
        struct OfEntry;

        impl<'de> Visitor<'de> for OfEntry {
            type Value = DynamicEntry;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map with `name`, `kind` and `spec`")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<DynamicEntry, A::Error> {
                let (mut name, mut kind, mut spec) = (None, None, None);
                while let Some(field) = map.next_key::<Field>()? {
                    match field {
                        Field::Name if name.is_none() => name = Some(map.next_value()?),
                        Field::Kind if kind.is_none() => kind = Some(map.next_value::<KindName>()?),
                        Field::Spec if spec.is_none() => {
                            // The kind selects how the spec is deserialized, and the reader cannot
                            // go back.
                            let kind: &KindName = kind.as_ref().ok_or_else(|| {
                                de::Error::custom("write `kind` above `spec` in an entry")
                            })?;
                            spec = Some(match NestedSeed::of(kind.as_str()) {
                                Some(seed) => Some(map.next_value_seed(seed)?),
                                None => {
                                    map.next_value::<IgnoredAny>()?;
                                    None
                                }
                            });
                        }
                        Field::Name => return Err(de::Error::duplicate_field("name")),
                        Field::Kind => return Err(de::Error::duplicate_field("kind")),
                        Field::Spec => return Err(de::Error::duplicate_field("spec")),
                    }
                }
                Ok(DynamicEntry {
                    name: name.ok_or_else(|| de::Error::missing_field("name"))?,
                    kind: kind.ok_or_else(|| de::Error::missing_field("kind"))?,
                    spec: spec.ok_or_else(|| de::Error::missing_field("spec"))?,
                })
            }
        }

        deserializer.deserialize_map(OfEntry)
    }
}

impl DynamicDir {
    fn check_nested(&self, at: &FieldPath, kinds: Kinds, depth: usize) -> Checked {
        if depth > MAX_NESTED {
            return at.fault(format!(
                "a DynamicDir holds at most {MAX_NESTED} levels of itself"
            ));
        }
        named(
            &at.key("entries"),
            &self.entries,
            |e| &e.name,
            |at, entry| {
                let kind = entry.kind.find(&at.key("kind"), kinds)?;
                let Some(spec) = &entry.spec else {
                    return at.key("kind").fault(format!(
                        "{kind} collects data, and is applied on its own: \
                         it cannot be in a DynamicDir"
                    ));
                };
                let at = at.key("spec");
                match spec.downcast_ref::<DynamicDir>() {
                    Some(nested) => nested.check_nested(&at, kinds, depth + 1),
                    None => spec.validate(&at, kinds),
                }
            },
        )
    }
}

impl Kind for DynamicDir {
    const NAME: &'static str = "DynamicDir";
    const ABOUT: &'static str = "Holds several derived directories.";
    const NESTS: bool = true;

    fn check(&self, at: &FieldPath) -> Checked {
        self.check_among(at, Kinds::new(&[crate::derive::KINDS]))
    }

    fn check_among(&self, at: &FieldPath, kinds: Kinds) -> Checked {
        self.check_nested(at, kinds, 1)
    }

    fn patterns(&self) -> Vec<&str> {
        let specs = self.entries.iter().filter_map(|entry| entry.spec.as_ref());
        specs.flat_map(|spec| spec.patterns()).collect()
    }
}
