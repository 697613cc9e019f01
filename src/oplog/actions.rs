//! The actions of one commit, as they stand in its JSON file.
//!
//! Role: read a commit without the kernel, which takes an empty file for a commit that did
//! nothing. In: the bytes of a file. Out: what the commit adds, removes and is identified by.
//! Holds always: a commit of this program is whole only with its transaction identifier, which
//! stands after everything it adds.

use super::digest::generation;
use super::error::OplogError;
use super::schema::ENGINE_PREFIX;
use super::table::{Table, commit_path};
use crate::tinyfs::Version;
use serde_json::Value;

/// What a commit holds.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Actions {
    /// The files that it adds, with their sizes.
    pub adds: Vec<(String, u64)>,
    /// The files that it removes.
    pub removes: Vec<String>,
    /// Transaction identifiers: application and version.
    pub txns: Vec<(String, i64)>,
}

impl Actions {
    /// Whether the files that it adds were written for the generation that it says it is.
    pub(super) fn agree(&self) -> bool {
        let mut told = self.adds.iter().filter_map(|(path, _)| generation(path));
        told.all(|generation| {
            self.txns
                .iter()
                .any(|(_, version)| u64::try_from(*version) == Ok(generation))
        })
    }

    /// Whether this commit is that of an application's generation.
    pub(super) fn is_of(&self, app: &str, generation: i64) -> bool {
        self.txns.iter().any(|(a, v)| a == app && *v == generation)
    }
}

/// Reads the commit of a version; the inner error tells in what way it is not whole.
pub(super) fn read(table: &Table, version: Version) -> Result<Result<Actions, String>, OplogError> {
    Ok(match table.get(&commit_path(version))? {
        Some(bytes) => parse(&bytes, version),
        None => Err("its file is missing".into()),
    })
}

fn parse(bytes: &[u8], version: Version) -> Result<Actions, String> {
    if bytes.is_empty() {
        return Err("its file is empty".into());
    }
    let mut actions = Actions::default();
    let (mut ours, mut protocol, mut metadata) = (false, false, false);
    for (n, line) in bytes.split(|b| *b == b'\n').enumerate() {
        if line.trim_ascii().is_empty() {
            continue;
        }
        let torn = |e: &str| format!("line {} of its file cannot be read: {e}", n + 1);
        let value: Value = serde_json::from_slice(line).map_err(|e| torn(&e.to_string()))?;
        let Some(action) = value.as_object() else {
            return Err(torn("it is no action"));
        };
        let text = |v: &Value, key: &str| v.get(key).and_then(Value::as_str).map(String::from);
        for (name, action) in action {
            match name.as_str() {
                "commitInfo" => {
                    let engine = text(action, "engineInfo").unwrap_or_default();
                    ours |= engine.starts_with(ENGINE_PREFIX);
                }
                "protocol" => protocol = true,
                "metaData" => metadata = true,
                "add" => {
                    let path = text(action, "path");
                    let size = action.get("size").and_then(Value::as_u64);
                    let add = path
                        .zip(size)
                        .ok_or_else(|| torn("a file has no path or size"))?;
                    actions.adds.push(add);
                }
                "remove" => {
                    let path = text(action, "path").ok_or_else(|| torn("a file has no path"))?;
                    actions.removes.push(path);
                }
                "txn" => {
                    let app = text(action, "appId");
                    let version = action.get("version").and_then(Value::as_i64);
                    let txn = app
                        .zip(version)
                        .ok_or_else(|| torn("a transaction has no name"))?;
                    actions.txns.push(txn);
                }
                // What a reader does not know, the protocol's version would tell it of.
                _ => {}
            }
        }
    }
    match () {
        () if version.0 == 0 && !(protocol && metadata) => Err("it does not make the table".into()),
        () if version.0 > 0 && ours && actions.txns.is_empty() => {
            Err("its file is cut short".into())
        }
        () if version.0 > 0 && ours && !actions.agree() => {
            Err("it is of another generation than its data files".into())
        }
        () => Ok(actions),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_commit_that_ends_early_is_told_from_a_whole_one() {
        let info = r#"{"commitInfo":{"engineInfo":"pondmount/1"}}"#;
        let add = r#"{"add":{"path":"a","size":3}}"#;
        let txn = r#"{"txn":{"appId":"p","version":4}}"#;
        let whole = format!("{info}\n{add}\n{txn}\n");
        let actions = parse(whole.as_bytes(), Version(1)).unwrap();
        assert_eq!(actions.adds, [("a".to_string(), 3)]);
        assert!(actions.is_of("p", 4) && !actions.is_of("p", 5) && !actions.is_of("q", 4));
        // Every true prefix is torn, but for the one that only lacks the last line's end.
        for end in 0..whole.len() - 1 {
            assert!(
                parse(&whole.as_bytes()[..end], Version(1)).is_err(),
                "{end}"
            );
        }
        assert!(parse(&vec![0; whole.len()], Version(1)).is_err());
    }

    #[test]
    fn a_commit_of_another_program_needs_no_transaction() {
        let foreign = r#"{"commitInfo":{"engineInfo":"delta-rs:1.1"}}"#;
        assert!(parse(foreign.as_bytes(), Version(3)).is_ok());
        assert!(parse(foreign.as_bytes(), Version(0)).is_err());
    }
}
