//! Deserializes the outer form of a document: one per file, with the fields that all kinds have.
//!
//! [`document`] is instantiated for each kind, so that the spec is deserialized in place.
//!
//! Invariant: nothing is buffered on the way, since the YAML reader knows line and field only while
//! it reads. The result is not checked yet.

use super::Document;
use crate::resource::field::{KindName, unique_keys};
use crate::resource::kind::{Kind, KindEntry};
use serde::Deserialize;
use serde::de::{self, Deserializer, MapAccess, SeqAccess, Visitor};
use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

/// The YAML text of a document.
pub(crate) type DocumentYaml<'a> = serde_yaml::Deserializer<'a>;

/// The fields that identify a document, whatever else it has.
#[derive(Deserialize)]
#[serde(expecting = "a map with apiVersion, kind, name, desc, metadata and spec")]
pub(super) struct Heading {
    pub(super) kind: KindName,
}

#[derive(Deserialize)]
#[serde(field_identifier)]
enum Field {
    #[serde(rename = "apiVersion")]
    ApiVersion,
    #[serde(rename = "kind")]
    Kind,
    #[serde(rename = "name")]
    Name,
    #[serde(rename = "desc")]
    Desc,
    #[serde(rename = "metadata")]
    Metadata,
    #[serde(rename = "spec")]
    Spec,
}

#[derive(Deserialize)]
#[serde(transparent)]
struct Metadata(#[serde(deserialize_with = "unique_keys")] BTreeMap<String, String>);

/// Returns a deserializer of the only document in a text. Fails if there is a second one.
pub(super) fn single(text: &str) -> Result<DocumentYaml<'_>, serde_yaml::Error> {
    let mut documents = serde_yaml::Deserializer::from_str(text);
    let first = documents.next();
    if let Some(second) = documents.next() {
        second.deserialize_any(Refused)?;
    }
    first.ok_or_else(|| de::Error::custom("there is no document in it"))
}

/// Fails for any value, so that the error has its position.
struct Refused;

impl Refused {
    fn second<E: de::Error>() -> Result<(), E> {
        Err(E::custom(
            "a second document begins here; write one document per file",
        ))
    }
}

impl<'de> Visitor<'de> for Refused {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the end of the file, since there is one document per file")
    }

    fn visit_map<A: MapAccess<'de>>(self, _: A) -> Result<(), A::Error> {
        Refused::second()
    }

    fn visit_seq<A: SeqAccess<'de>>(self, _: A) -> Result<(), A::Error> {
        Refused::second()
    }

    fn visit_str<E: de::Error>(self, _: &str) -> Result<(), E> {
        Refused::second()
    }

    fn visit_unit<E: de::Error>(self) -> Result<(), E> {
        Refused::second()
    }
}

/// Deserializes a document of kind `T`, which has this entry in the list of kinds.
pub(crate) fn document<T: Kind>(
    yaml: DocumentYaml<'_>,
    kind: &'static KindEntry,
) -> Result<Document, serde_yaml::Error> {
    yaml.deserialize_map(OfDocument::<T>(kind, PhantomData))
}

struct OfDocument<T>(&'static KindEntry, PhantomData<T>);

impl<'de, T: Kind> Visitor<'de> for OfDocument<T> {
    type Value = Document;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map with apiVersion, kind, name, desc, metadata and spec")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Document, A::Error> {
        let (mut api_version, mut name, mut desc) = (None, None, None);
        let (mut metadata, mut spec, mut kinds) = (None, None, 0);
        fn once<T, E: de::Error>(
            slot: &mut Option<T>,
            field: &'static str,
            value: T,
        ) -> Result<(), E> {
            match slot.replace(value) {
                None => Ok(()),
                Some(_) => Err(E::duplicate_field(field)),
            }
        }
        while let Some(field) = map.next_key::<Field>()? {
            match field {
                Field::ApiVersion => once(&mut api_version, "apiVersion", map.next_value()?)?,
                Field::Name => once(&mut name, "name", map.next_value::<String>()?)?,
                Field::Desc => once(&mut desc, "desc", map.next_value()?)?,
                Field::Metadata => {
                    let value = map.next_value::<Option<Metadata>>()?;
                    once(&mut metadata, "metadata", value)?;
                }
                Field::Spec => once(&mut spec, "spec", map.next_value::<T>()?)?,
                Field::Kind => {
                    map.next_value::<de::IgnoredAny>()?;
                    kinds += 1;
                }
            }
        }
        if kinds > 1 {
            return Err(de::Error::duplicate_field("kind"));
        }
        Ok(Document {
            api_version: api_version.ok_or_else(|| de::Error::missing_field("apiVersion"))?,
            kind: self.0,
            name: name.ok_or_else(|| de::Error::missing_field("name"))?,
            // The description and the metadata are optional.
            desc: desc.flatten().unwrap_or_default(),
            metadata: metadata
                .flatten()
                .map(|Metadata(map)| map)
                .unwrap_or_default(),
            spec: Arc::new(spec.ok_or_else(|| de::Error::missing_field("spec"))?),
            uuid: None,
        })
    }
}
