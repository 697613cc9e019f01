//! Documents: the YAML text that defines a resource.
//!
//! [`Document::parse`] reads one, [`Document::expand`] replaces variables before that, and
//! [`Document::stamp`] adds the resource's UUID. A [`DocumentError`] is one sentence, with line,
//! column and field where they are known.
//! Invariants: a parsed document is valid, except for what depends on its inputs. No error repeats
//! a secret.
//!
//! ```yaml
//! apiVersion: pondmount/v1
//! kind: Reduce
//! name: daily
//! metadata: { path: /sites/daily }
//! spec: { collections: … }
//! ```

mod expand;
mod locate;
pub(super) mod read;
mod stamp;
#[cfg(test)]
mod tests;

use super::field::{Checked, Fault, FieldPath, component};
use super::kind::{KindEntry, Kinds, Spec};
use crate::observe::guarded;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use uuid::Uuid;

/// Greatest length of a resource's name in bytes. Suffixes are appended to it.
const MAX_NAME: usize = 200;
/// Greatest length of a component of `metadata.path`, in bytes.
const MAX_COMPONENT: usize = 255;

/// The definition of a resource.
#[derive(Clone, Debug)]
pub struct Document {
    /// Any text. Nothing depends on it.
    pub api_version: String,
    /// The kind of the resource.
    pub kind: &'static KindEntry,
    /// Its name, unique within the kind.
    pub name: String,
    /// Its description; empty if there is none.
    pub desc: String,
    /// Texts by name. `uuid` and `path` have a meaning.
    pub metadata: BTreeMap<String, String>,
    /// The spec of the kind.
    pub spec: Arc<dyn Spec>,
    /// The value of `metadata.uuid`.
    pub uuid: Option<Uuid>,
}

impl PartialEq for Document {
    fn eq(&self, other: &Document) -> bool {
        let Document {
            api_version,
            kind,
            name,
            desc,
            metadata,
            spec,
            uuid,
        } = self;
        (api_version, kind, name) == (&other.api_version, &other.kind, &other.name)
            && (desc, metadata, uuid) == (&other.desc, &other.metadata, &other.uuid)
            && **spec == *other.spec
    }
}

/// The reason why a text is not a document, in one sentence.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct DocumentError {
    place: Option<(usize, usize)>,
    message: String,
}

impl Document {
    /// Parses and checks a document.
    pub fn parse(text: &str, kinds: Kinds) -> Result<Document, DocumentError> {
        readable(|| Document::read(text, kinds))
    }

    fn read(text: &str, kinds: Kinds) -> Result<Document, DocumentError> {
        let comment = |line: &str| line.trim().is_empty() || line.trim_start().starts_with('#');
        if text.lines().all(comment) {
            return Err(DocumentError::without_place("there is no document in it"));
        }
        // Read twice: the kind must be known to deserialize the spec.
        let read::Heading { kind } = read::Heading::deserialize(read::single(text)?)?;
        let kind = kind.find(&FieldPath::root("kind"), kinds);
        let kind = kind.map_err(|fault| DocumentError::of_fault(text, &fault))?;
        let document = (kind.read)(read::single(text)?, kind)?;
        match document.check(kinds) {
            Ok(uuid) => Ok(Document { uuid, ..document }),
            Err(fault) => Err(DocumentError::of_fault(text, &fault)),
        }
    }

    /// Expands the variables in the strings of the spec, as Tera templates. Returns `text` itself
    /// if nothing is to be expanded, else a text without its comments. The result still has to be
    /// parsed.
    ///
    /// Not expanded are `metadata` and the fields in [`Kind::LITERAL`](super::Kind::LITERAL).
    pub fn expand(
        text: &str,
        variables: &BTreeMap<String, String>,
        kinds: Kinds,
    ) -> Result<String, DocumentError> {
        readable(|| expand::expand(text, variables, kinds))
    }

    /// Adds `metadata.uuid` to the text of a valid document. Returns `text` itself if it has that
    /// UUID. Comments are kept, unless `metadata` is in braces or has another UUID.
    pub fn stamp(text: &str, uuid: Uuid, kinds: Kinds) -> Result<String, DocumentError> {
        readable(|| stamp::stamp(text, uuid, kinds))
    }

    /// Returns the absolute path in the pond at which the rendered directory also appears.
    pub fn path(&self) -> Option<&str> {
        self.metadata.get("path").map(String::as_str)
    }

    /// Checks what the types do not express. Returns the UUID.
    fn check(&self, kinds: Kinds) -> Checked<Option<Uuid>> {
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
        self.spec.validate(&FieldPath::root("spec"), kinds)?;
        match self.metadata.get("uuid").map(|uuid| Uuid::try_parse(uuid)) {
            None => Ok(None),
            Some(Ok(uuid)) => Ok(Some(uuid)),
            Some(Err(_)) => at.key("uuid").fault("it is not a uuid"),
        }
    }
}

/// Runs `read` on a text and turns a panic of the YAML library into an error. Version 0.10.7 panics
/// on an alias at the end of a list.
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
    /// Returns the line, counted from 1.
    pub fn line(&self) -> Option<usize> {
        self.place.map(|(line, _)| line)
    }

    /// Returns the column in characters, counted from 1.
    pub fn column(&self) -> Option<usize> {
        self.place.map(|(_, column)| column)
    }

    fn new(place: Option<(usize, usize)>, message: &str) -> DocumentError {
        // The library repeats keys as they are, with line breaks.
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
        // The position is printed first, and the field, which the library prefixes, is kept.
        if let Some((line, column)) = place {
            let place = format!(" at line {line} column {column}");
            message = message.replacen(&place, "", 1);
        }
        // "struct" is no term of YAML.
        let message = message.replace("expected struct ", "expected a map: the fields of ");
        DocumentError::new(place, &without_value(message))
    }
}

/// Removes the value from a message about its type, since it may be a misplaced secret.
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
