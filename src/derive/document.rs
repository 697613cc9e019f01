//! Documents: what a resource is, as YAML.
//!
//! Role: read a document and say what is wrong with it. In: the text of a file, or of one that is to be
//! applied with variables. Out: a [`Document`], or a [`DocumentError`] of one sentence with line, column
//! and field. Holds always: a document that was read is valid, but for what only its inputs can tell;
//! no error repeats a secret.
//!
//! ```yaml
//! apiVersion: pondmount/v1
//! kind: Reduce
//! name: daily
//! desc: Daily means
//! metadata:
//!   path: /sites/daily
//! spec:
//!   collections: …
//! ```

mod expand;
mod locate;
mod read;
mod stamp;
#[cfg(test)]
mod tests;

use super::spec::field::{Checked, Fault, FieldPath, component};
use super::spec::{Kind, Spec};
use crate::observe::guarded;
use serde::Deserialize;
use serde::de::DeserializeSeed;
use std::collections::BTreeMap;
use std::fmt;
use uuid::Uuid;

/// The longest name of a resource, in bytes: endings are added to it.
const MAX_NAME: usize = 200;
/// The longest name of a component of `metadata.path`, in bytes.
const MAX_COMPONENT: usize = 255;

/// A resource, as its document says.
#[derive(Clone, Debug, PartialEq)]
pub struct Document {
    /// Whose form the document has: any text, which nothing depends on.
    pub api_version: String,
    /// What sort of resource it is.
    pub kind: Kind,
    /// What it is called, among all of its kind.
    pub name: String,
    /// What it is for; empty if the document does not say.
    pub desc: String,
    /// Texts by name. `uuid` and `path` have a meaning.
    pub metadata: BTreeMap<String, String>,
    /// What the kind asks for.
    pub spec: Spec,
    /// What `metadata.uuid` holds.
    pub uuid: Option<Uuid>,
}

/// Why a text is not a document, in one sentence.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct DocumentError {
    place: Option<(usize, usize)>,
    message: String,
}

impl Document {
    /// Reads a document and checks it.
    pub fn parse(text: &str) -> Result<Document, DocumentError> {
        readable(|| Document::read(text))
    }

    fn read(text: &str) -> Result<Document, DocumentError> {
        let comment = |line: &str| line.trim().is_empty() || line.trim_start().starts_with('#');
        if text.lines().all(comment) {
            return Err(DocumentError::without_place("there is no document in it"));
        }
        // Once for the kind alone, which says how the spec is to be read.
        let kind = read::Heading::deserialize(read::single(text)?)?.kind;
        let document = read::DocumentSeed(kind).deserialize(read::single(text)?)?;
        match document.check() {
            Ok(uuid) => Ok(Document { uuid, ..document }),
            Err(fault) => Err(DocumentError::of_fault(text, &fault)),
        }
    }

    /// Replaces the variables in the strings of the spec, as Tera templates. The answer is `text` itself
    /// if there is nothing to replace, and without the comments of `text` otherwise. It still has to be
    /// parsed.
    ///
    /// Left alone are `metadata`, the comments of HydroVu's devices, and the bodies of templates.
    pub fn expand(
        text: &str,
        variables: &BTreeMap<String, String>,
    ) -> Result<String, DocumentError> {
        readable(|| expand::expand(text, variables))
    }

    /// Puts `metadata.uuid` into the text of a valid document; the answer is `text` itself if it is
    /// there. Comments are kept, unless `metadata` is written in braces or has another uuid.
    pub fn stamp(text: &str, uuid: Uuid) -> Result<String, DocumentError> {
        readable(|| stamp::stamp(text, uuid))
    }

    /// Where in the pond the rendered directory appears besides its own place: an absolute path.
    pub fn path(&self) -> Option<&str> {
        self.metadata.get("path").map(String::as_str)
    }

    /// Checks what the types do not say, and answers the uuid.
    fn check(&self) -> Checked<Option<Uuid>> {
        let at = FieldPath::root("name");
        component(&at, &self.name)?;
        if self.name.len() > MAX_NAME {
            return at.fault(format!("the name has more than {MAX_NAME} bytes"));
        }
        if self.name.ends_with(".yaml") {
            return at.fault("a name does not end in `.yaml`: its file does");
        }
        if Uuid::try_parse(&self.name).is_ok() {
            return at.fault("a name is not a uuid, which would be taken for that of a resource");
        }
        let at = FieldPath::root("metadata");
        if let Some(path) = self.path() {
            check_path(&at.key("path"), path)?;
        }
        self.spec.check(&FieldPath::root("spec"))?;
        match self.metadata.get("uuid").map(|uuid| Uuid::try_parse(uuid)) {
            None => Ok(None),
            Some(Ok(uuid)) => Ok(Some(uuid)),
            Some(Err(_)) => at.key("uuid").fault("it is not a uuid"),
        }
    }
}

/// What `read` makes of a text, on some of which the library panics (an alias where a list ends, in 0.10.7).
pub(super) fn readable<T>(
    read: impl FnOnce() -> Result<T, DocumentError>,
) -> Result<T, DocumentError> {
    let unreadable = || {
        Err(DocumentError::without_place(
            "it is no YAML that can be read",
        ))
    };
    guarded(read).unwrap_or_else(unreadable)
}

fn check_path(at: &FieldPath, path: &str) -> Checked {
    let Some(relative) = path.strip_prefix('/') else {
        return at.fault(format!(
            "{path:?} is not absolute: it does not begin with `/`"
        ));
    };
    if relative.is_empty() {
        return at.fault("the root of the pond cannot be a rendered directory");
    }
    for name in relative.split('/') {
        let wrong = match name {
            "" => "it has a `/` too many",
            "." | ".." => "it has no `.` and no `..`",
            _ if name.ends_with("@version") => "`@version` leads to the past",
            _ if name.len() > MAX_COMPONENT => "a name has at most 255 bytes",
            _ if name.contains('\0') => "a name holds no zero byte",
            _ => continue,
        };
        return at.fault(format!("{path:?} is not a path of a directory: {wrong}"));
    }
    Ok(())
}

impl DocumentError {
    /// The line, from 1.
    pub fn line(&self) -> Option<usize> {
        self.place.map(|(line, _)| line)
    }

    /// The column, from 1, in characters.
    pub fn column(&self) -> Option<usize> {
        self.place.map(|(_, column)| column)
    }

    fn new(place: Option<(usize, usize)>, message: &str) -> DocumentError {
        // Keys are repeated as they are, and may have several lines.
        let message = message.replace(['\n', '\r'], " ");
        DocumentError { place, message }
    }

    fn without_place(message: &str) -> DocumentError {
        DocumentError::new(None, message)
    }

    fn of_fault(text: &str, fault: &Fault) -> DocumentError {
        let place = locate::locate(text, fault.at.steps());
        DocumentError::new(place, &format!("{}: {}", fault.at, fault.message))
    }
}

impl From<serde_yaml::Error> for DocumentError {
    fn from(error: serde_yaml::Error) -> DocumentError {
        let place = error.location().map(|at| (at.line(), at.column()));
        let mut message = error.to_string();
        // The place comes first here, and the field, which the library puts before its words, stays.
        if let Some((line, column)) = place {
            let place = format!(" at line {line} column {column}");
            message = message.replacen(&place, "", 1);
        }
        // A struct is no word of YAML.
        let message = message.replace("expected struct ", "expected a map: the fields of ");
        DocumentError::new(place, &without_value(message))
    }
}

/// Takes the value out of a message about its type, since it may be a secret out of place.
fn without_value(message: String) -> String {
    let begins = ["invalid type: ", "invalid value: "];
    let start = begins.iter().filter_map(|begin| message.find(begin)).min();
    let Some((before, found)) = start.and_then(|start| message.split_at_checked(start)) else {
        return message;
    };
    match (found.find(['"', '`']), found.rfind(", expected ")) {
        (Some(value), Some(expected)) if value < expected => {
            let (kept, wanted) = (found.get(..value), found.get(expected..));
            format!(
                "{before}{}{}",
                kept.unwrap_or("").trim_end(),
                wanted.unwrap_or("")
            )
        }
        _ => message,
    }
}

impl fmt::Display for DocumentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some((line, column)) = self.place {
            write!(f, "line {line}, column {column}: ")?;
        }
        f.write_str(&self.message)
    }
}
