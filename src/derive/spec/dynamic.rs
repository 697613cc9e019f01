//! The spec of DynamicDir: several derived directories in one.
//!
//! Invariants: after the check, no entry is of a kind that collects data. Directories nest at most
//! [`MAX_NESTED`] levels.

use super::field::{Check, Checked, FieldPath, named};
use super::{Kind, Spec, SpecSeed};
use serde::de::{self, Deserializer, MapAccess, Visitor};
use serde::{Deserialize, Serialize};
use std::fmt;

/// Greatest nesting depth of directories of this kind.
const MAX_NESTED: usize = 4;

/// A directory of derived directories.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DynamicDir {
    /// The directories.
    pub entries: Vec<DynamicEntry>,
}

/// A derived directory.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DynamicEntry {
    /// Name of the directory.
    pub name: String,
    /// Its spec, which also states the kind.
    #[serde(flatten)]
    pub spec: Spec,
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
                        Field::Kind if kind.is_none() => kind = Some(map.next_value::<Kind>()?),
                        Field::Spec if spec.is_none() => {
                            // The kind selects how the spec is deserialized, and the reader cannot
                            // go back.
                            let kind = kind.ok_or_else(|| {
                                de::Error::custom("write `kind` above `spec` in an entry")
                            })?;
                            spec = Some(map.next_value_seed(SpecSeed(kind))?);
                        }
                        Field::Name => return Err(de::Error::duplicate_field("name")),
                        Field::Kind => return Err(de::Error::duplicate_field("kind")),
                        Field::Spec => return Err(de::Error::duplicate_field("spec")),
                    }
                }
                Ok(DynamicEntry {
                    name: name.ok_or_else(|| de::Error::missing_field("name"))?,
                    spec: match (kind, spec) {
                        (None, _) => return Err(de::Error::missing_field("kind")),
                        (_, spec) => spec.ok_or_else(|| de::Error::missing_field("spec"))?,
                    },
                })
            }
        }

        deserializer.deserialize_map(OfEntry)
    }
}

impl DynamicDir {
    fn check_nested(&self, at: &FieldPath, depth: usize) -> Checked {
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
                let kind = entry.spec.kind();
                if !kind.is_derived() {
                    return at.key("kind").fault(format!(
                    "{kind} collects data, and is applied on its own: it cannot be in a DynamicDir"
                ));
                }
                let at = at.key("spec");
                match &entry.spec {
                    Spec::DynamicDir(nested) => nested.check_nested(&at, depth + 1),
                    spec => spec.check(&at),
                }
            },
        )
    }
}

impl Check for DynamicDir {
    fn check(&self, at: &FieldPath) -> Checked {
        self.check_nested(at, 1)
    }
}
