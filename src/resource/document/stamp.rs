//! Adds the UUID of a resource to the text of its document.
//!
//! Invariant: the result parses to the same document with the UUID. The text is otherwise unchanged
//! where that is possible.

use super::{Document, DocumentError};
use crate::resource::kind::Kinds;
use serde::Deserialize;
use serde_yaml::{Mapping, Value};
use uuid::Uuid;

pub(super) fn stamp(text: &str, uuid: Uuid, kinds: Kinds) -> Result<String, DocumentError> {
    let document = Document::parse(text, kinds)?;
    if document.uuid == Some(uuid) {
        return Ok(text.to_owned());
    }
    let mut wanted = document;
    wanted.uuid = Some(uuid);
    wanted.metadata.insert("uuid".to_owned(), uuid.to_string());
    // The line is inserted by the look of the text, so the result is parsed and compared.
    for stamped in [in_metadata(text, uuid), before_spec(text, uuid)]
        .into_iter()
        .flatten()
    {
        if Document::parse(&stamped, kinds).is_ok_and(|document| document == wanted) {
            return Ok(stamped);
        }
    }
    let mut value = Value::deserialize(super::read::single(text)?)?;
    if let Value::Mapping(document) = &mut value {
        let metadata = document.entry("metadata".into()).or_insert(Value::Null);
        if metadata.is_null() {
            *metadata = Value::Mapping(Mapping::new());
        }
        if let Value::Mapping(metadata) = metadata {
            metadata.insert("uuid".into(), uuid.to_string().into());
        }
    }
    let stamped = serde_yaml::to_string(&value)?;
    match Document::parse(&stamped, kinds)? == wanted {
        true => Ok(stamped),
        false => Err(DocumentError::without_place(
            "the uuid cannot be added; write `metadata` as one key and value per line",
        )),
    }
}

/// Returns the text with a line inserted below `metadata:`.
fn in_metadata(text: &str, uuid: Uuid) -> Option<String> {
    let (end, _) = line_ends(text).find(|(_, line)| line.trim_end() == "metadata:")?;
    let (before, after) = text.split_at_checked(end)?;
    let next = after.lines().find(|line| !line.trim().is_empty())?;
    let indent = next.len() - next.trim_start().len();
    Some(format!("{before}{:indent$}uuid: {uuid}\n{after}", ""))
}

/// Returns the text with `metadata` inserted above `spec:`.
fn before_spec(text: &str, uuid: Uuid) -> Option<String> {
    let (end, line) = line_ends(text).find(|(_, line)| line.starts_with("spec:"))?;
    let (before, after) = text.split_at_checked(end - line.len())?;
    Some(format!("{before}metadata:\n  uuid: {uuid}\n{after}"))
}

/// Returns the lines of a text, each with the offset behind it.
fn line_ends(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.split_inclusive('\n').scan(0, |end, line| {
        *end += line.len();
        Some((*end, line))
    })
}
