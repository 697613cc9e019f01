//! Parses the JSON file of one commit.
//!
//! Used instead of the kernel where a torn commit has to be detected: the kernel takes an empty
//! file for a commit without actions.
//!
//! Invariant: a commit of pondmount is complete only if it has its transaction identifier, which
//! follows everything that it adds.

use super::digest::generation;
use super::error::OplogError;
use super::schema::ENGINE_PREFIX;
use super::table::{MAX_LOG_FILE, Table, commit_path};
use crate::tinyfs::Version;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::error::Category;

/// The actions of a commit.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Actions {
    /// Paths of the files that it adds, with their sizes in bytes.
    pub adds: Vec<(String, u64)>,
    /// Paths of the files that it removes.
    pub removes: Vec<String>,
    /// Transaction identifiers: application id and version.
    pub txns: Vec<(String, i64)>,
}

/// Prefix of the application id of merges. Their version is the number of files that they remove.
pub(super) const MERGES: &str = "merge-";

impl Actions {
    /// Returns whether the commit only moves rows.
    pub(super) fn is_merge(&self) -> bool {
        self.merge().is_some()
    }

    fn merge(&self) -> Option<i64> {
        let merge = self.txns.iter().find(|(app, _)| app.starts_with(MERGES));
        merge.map(|(_, removes)| *removes)
    }

    /// Returns whether the generations in the names of added files match the transaction.
    pub(super) fn agree(&self) -> bool {
        let mut told = self.adds.iter().filter_map(|(path, _)| generation(path));
        told.all(|generation| {
            self.txns
                .iter()
                .any(|(_, version)| u64::try_from(*version) == Ok(generation))
        })
    }

    /// Returns whether the commit is that of generation `generation` of `app`.
    pub(super) fn is_of(&self, app: &str, generation: i64) -> bool {
        self.txns.iter().any(|(a, v)| a == app && *v == generation)
    }
}

/// Reads the commit of a version. The inner error says why it is not complete.
pub(super) fn read(table: &Table, version: Version) -> Result<Result<Actions, String>, OplogError> {
    Ok(match table.get(&commit_path(version))? {
        Some(bytes) => parse(&bytes, version),
        None => Err("its file is missing".into()),
    })
}

/// One line of a commit. Unknown actions are skipped without allocation: the protocol version
/// announces those that a reader must know.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Line {
    commit_info: Option<Info>,
    protocol: Option<IgnoredAny>,
    meta_data: Option<IgnoredAny>,
    add: Option<Add>,
    remove: Option<Remove>,
    txn: Option<Txn>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Info {
    engine_info: Option<String>,
}

#[derive(Deserialize)]
struct Add {
    path: String,
    size: u64,
}

#[derive(Deserialize)]
struct Remove {
    path: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Txn {
    app_id: String,
    version: i64,
}

fn parse(bytes: &[u8], version: Version) -> Result<Actions, String> {
    if bytes.is_empty() {
        return Err("its file is empty".into());
    }
    if bytes.len() as u64 >= MAX_LOG_FILE {
        return Err("its file is longer than that of a commit can be".into());
    }
    // Skipped fields are checked too, since other Delta readers parse them.
    if std::str::from_utf8(bytes).is_err() {
        return Err("its file is no text".into());
    }
    let mut actions = Actions::default();
    let (mut ours, mut protocol, mut metadata) = (false, false, false);
    for (n, line) in bytes.split(|b| *b == b'\n').enumerate() {
        if line.trim_ascii().is_empty() {
            continue;
        }
        let line: Line = serde_json::from_slice(line)
            .map_err(|e| format!("line {} of its file cannot be read: {}", n + 1, place(&e)))?;
        let engine = line.commit_info.and_then(|info| info.engine_info);
        ours |= engine.is_some_and(|engine| engine.starts_with(ENGINE_PREFIX));
        protocol |= line.protocol.is_some();
        metadata |= line.meta_data.is_some();
        actions
            .adds
            .extend(line.add.map(|add| (add.path, add.size)));
        actions
            .removes
            .extend(line.remove.map(|remove| remove.path));
        actions
            .txns
            .extend(line.txn.map(|txn| (txn.app_id, txn.version)));
    }
    match () {
        () if version.0 == 0 && !(protocol && metadata) => {
            Err("it does not create the table".into())
        }
        () if version.0 > 0 && ours && actions.txns.is_empty() => {
            Err("its file is cut short".into())
        }
        () if actions
            .merge()
            .is_some_and(|removes| usize::try_from(removes) != Ok(actions.removes.len())) =>
        {
            Err("its file is cut short".into())
        }
        () if version.0 > 0 && ours && !actions.agree() => {
            Err("it is of another generation than its data files".into())
        }
        () => Ok(actions),
    }
}

/// Returns what is wrong with a line, without its content.
fn place(error: &serde_json::Error) -> String {
    let what = match error.classify() {
        Category::Data => "it is no action",
        Category::Eof => "it is cut short",
        Category::Syntax | Category::Io => "it is no JSON",
    };
    format!("{what} (column {})", error.column())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_truncated_commit_is_refused() {
        let info = r#"{"commitInfo":{"engineInfo":"pondmount/1"}}"#;
        let add = r#"{"add":{"path":"a","size":3}}"#;
        let txn = r#"{"txn":{"appId":"p","version":4}}"#;
        let whole = format!("{info}\n{add}\n{txn}\n");
        let actions = parse(whole.as_bytes(), Version(1)).unwrap();
        assert_eq!(actions.adds, [("a".to_string(), 3)]);
        assert!(actions.is_of("p", 4) && !actions.is_of("p", 5) && !actions.is_of("q", 4));
        // Every proper prefix is torn, except the one that only lacks the last newline.
        for end in 0..whole.len() - 1 {
            assert!(
                parse(&whole.as_bytes()[..end], Version(1)).is_err(),
                "{end}"
            );
        }
        assert!(parse(&vec![0; whole.len()], Version(1)).is_err());
    }

    #[test]
    fn a_merge_with_missing_removes_is_refused() {
        let info = r#"{"commitInfo":{"engineInfo":"pondmount/1"}}"#;
        let add = r#"{"add":{"path":"a-merged-b","size":3}}"#;
        let txn = r#"{"txn":{"appId":"merge-p","version":2}}"#;
        let remove = r#"{"remove":{"path":"c"}}"#;
        let whole = format!("{info}\n{add}\n{txn}\n{remove}\n{remove}\n");
        assert!(parse(whole.as_bytes(), Version(1)).unwrap().is_merge());
        let cut = &whole.as_bytes()[..whole.len() - remove.len() - 1];
        assert!(parse(cut, Version(1)).is_err());
    }

    #[test]
    fn deep_json_is_refused_and_unknown_fields_are_not_allocated() {
        let deep = format!("{{\"commitInfo\":{}", "[".repeat(1 << 20));
        let why = parse(deep.as_bytes(), Version(1)).unwrap_err();
        assert!(why.contains("line 1") && why.len() < 100, "{why}");
        let wide = format!("{{\"cdc\":[{}1]}}", "[],".repeat(1 << 20));
        assert_eq!(parse(wide.as_bytes(), Version(1)), Ok(Actions::default()));
    }

    proptest! {
        #[test]
        fn any_bytes_are_parsed_as_a_commit_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = parse(&bytes, Version(1));
        }

        #[test]
        fn any_json_line_is_parsed_as_an_action_without_panic(
            key in "add|remove|txn|commitInfo|protocol|metaData|x",
            value in "null|1|-1|\\{\\}|\\[\\]|\\{\"path\":1\\}|\\{\"path\":\"a\",\"size\":-1\\}|1e999|\"\\\\ud800\"",
        ) {
            let _ = parse(format!("{{\"{key}\":{value}}}").as_bytes(), Version(1));
        }
    }

    #[test]
    fn a_foreign_commit_needs_no_transaction_identifier() {
        let foreign = r#"{"commitInfo":{"engineInfo":"delta-rs:1.1"}}"#;
        assert!(parse(foreign.as_bytes(), Version(3)).is_ok());
        assert!(parse(foreign.as_bytes(), Version(0)).is_err());
    }
}
