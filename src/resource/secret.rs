//! References to secrets, `${env:NAME}` or `${file:/PATH}`, which keep keys out of the pond.
//!
//! The secret is read each time it is used.
//!
//! Invariant: no error, `Debug` or `Display` output contains a secret, even if one was written in
//! place of a reference.

use super::field::FromText;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::path::PathBuf;

/// Error for a text that is no reference. It does not repeat the text, which may be the secret.
const REFUSED: &str =
    "a secret is not written into a document; write ${env:NAME} or ${file:/PATH} in its place";

/// The location of a secret.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum SecretRef {
    /// An environment variable of the process that uses it.
    Env(String),
    /// A file of the host: its text without the line end.
    File(PathBuf),
}

/// A secret, which is not shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

/// An error of reading a secret.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The variable is not set.
    #[error("the environment variable {0} is not set")]
    Unset(String),
    /// The file cannot be read.
    #[error("{path} cannot be read: {source}", path = .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The error of the operating system.
        source: std::io::Error,
    },
    /// The secret is empty.
    #[error("the secret {0} is empty")]
    Empty(SecretRef),
    /// The secret is not text.
    #[error("the secret {0} is not UTF-8 text")]
    NotText(SecretRef),
}

impl SecretRef {
    /// Parses a reference. The error does not repeat the text.
    pub fn new(text: &str) -> Result<SecretRef, String> {
        let inside = text.strip_prefix("${").and_then(|t| t.strip_suffix('}'));
        let reference = match inside.and_then(|inside| inside.split_once(':')) {
            Some(("env", name)) if is_variable(name) => SecretRef::Env(name.to_owned()),
            Some(("file", path)) if path.starts_with('/') && !path.contains(['}', '\0']) => {
                SecretRef::File(path.into())
            }
            _ => return Err(REFUSED.to_owned()),
        };
        Ok(reference)
    }

    /// Reads the secret.
    pub fn read(&self) -> Result<Secret, SecretError> {
        let text = match self {
            SecretRef::Env(name) => {
                let value = std::env::var_os(name);
                let value = value.ok_or_else(|| SecretError::Unset(name.clone()))?;
                value.into_string().ok()
            }
            SecretRef::File(path) => match std::fs::read(path) {
                Ok(bytes) => String::from_utf8(bytes).ok(),
                Err(source) => {
                    let path = path.clone();
                    return Err(SecretError::Unreadable { path, source });
                }
            },
        };
        let text = text.ok_or_else(|| SecretError::NotText(self.clone()))?;
        match text.trim_end_matches(['\r', '\n']) {
            "" => Err(SecretError::Empty(self.clone())),
            secret => Ok(Secret(secret.to_owned())),
        }
    }
}

fn is_variable(name: &str) -> bool {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    name.chars().all(word) && name.starts_with(|c: char| !c.is_ascii_digit())
}

impl Secret {
    /// Returns the secret itself.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl fmt::Display for SecretRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SecretRef::Env(name) => write!(f, "${{env:{name}}}"),
            SecretRef::File(path) => write!(f, "${{file:{}}}", path.display()),
        }
    }
}

impl Serialize for SecretRef {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for SecretRef {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<SecretRef, D::Error> {
        let expected = "a reference such as ${env:NAME}";
        deserializer.deserialize_str(FromText::new(expected, SecretRef::new))
    }
}

#[cfg(test)]
mod tests {
    use super::SecretRef;
    use std::io::Write;

    #[test]
    fn a_reference_is_read_when_it_is_used() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        writeln!(file, "hush").unwrap();
        let text = format!("${{file:{}}}", file.path().display());
        let reference = SecretRef::new(&text).unwrap();
        let secret = reference.read().unwrap();
        assert_eq!(secret.expose(), "hush");
        assert!(!format!("{secret:?}{reference:?}{reference}").contains("hush"));
        assert_eq!(reference.to_string(), text);
        file.as_file().set_len(0).unwrap();
        let error = reference.read().unwrap_err().to_string();
        assert!(error.contains("is empty"), "{error}");
        drop(file);
        let error = reference.read().unwrap_err().to_string();
        assert!(error.contains("cannot be read"), "{error}");
        // `PATH` is set in every test environment.
        let path = SecretRef::new("${env:PATH}").unwrap();
        assert_eq!(
            path.read().unwrap().expose(),
            std::env::var("PATH").unwrap()
        );
        let unset = SecretRef::new("${env:NO_SUCH_VARIABLE_IS_SET}").unwrap();
        let error = unset.read().unwrap_err().to_string();
        assert_eq!(
            error,
            "the environment variable NO_SUCH_VARIABLE_IS_SET is not set"
        );
    }

    #[test]
    fn a_literal_is_refused_and_not_repeated() {
        for text in [
            "AKIA5",
            "",
            "${env:}",
            "${env:A-B}",
            "${env:1A}",
            "${file:}",
            "${file:rel}",
            "${AKIA5}",
            "x${env:A}",
            "${env:A} ",
            "{{ key }}",
            "${vault:a}",
            "$AKIA5",
        ] {
            let error = SecretRef::new(text).unwrap_err();
            assert!(
                !error.contains("AKIA5") && error.contains("${env:NAME}"),
                "{error}"
            );
        }
    }
}
