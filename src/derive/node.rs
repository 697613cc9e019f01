//! What a resource shows: directories, and files that are made when they are read.

use super::DeriveError;
use super::spec::SyntheticSeries;
use super::template::asks_for_times;
use crate::query::{Aggregate, Format, Hash, Width, key};
use crate::tinyfs::{Name, NodeId, Time, Version};
use parking_lot::Mutex;
use regex::Regex;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::{Arc, LazyLock, OnceLock};

/// An entry of a derived directory.
#[derive(Clone)]
pub enum Node {
    /// A directory.
    Dir(Arc<Dir>),
    /// A file.
    File(Arc<DerivedFile>),
}

/// A derived directory.
pub struct Dir {
    /// Where it is.
    pub path: Vec<u8>,
    /// What it lists.
    pub entries: BTreeMap<Name, Node>,
    /// Who owns it, and when what is in it was last changed.
    pub owner: Owner,
}

/// What is told of a derived node besides its content.
#[derive(Clone, Copy, Debug)]
pub struct Owner {
    /// The owner of the resource.
    pub uid: u32,
    /// Its group.
    pub gid: u32,
    /// Who may read it: the permission bits of the resource.
    pub mode: u16,
    /// When the resource or the newest input changed last.
    pub modified: Time,
}

/// A file that is made when it is read.
pub struct DerivedFile {
    /// Where it is: the directory of the resource, and the path in it.
    pub path: Vec<u8>,
    /// The version that it is made at.
    pub(super) at: Version,
    pub(super) recipe: Arc<Recipe>,
    /// The format of rows; of what has none, nothing.
    pub(super) format: Option<Format>,
    pub(super) owner: Owner,
    /// Its key, once it is known.
    pub(super) key: Mutex<Option<Result<Hash, DeriveError>>>,
    /// What is read for it, where its inputs changed before it was made: the same file of a version.
    pub(super) instead: OnceLock<Hash>,
}

impl DerivedFile {
    /// What is told of it besides its content.
    pub fn owner(&self) -> Owner {
        self.owner
    }

    /// The same rows in another format.
    pub(super) fn in_format(&self, format: Format, path: Vec<u8>) -> DerivedFile {
        DerivedFile {
            path,
            at: self.at,
            recipe: self.recipe.clone(),
            format: Some(format),
            owner: self.owner,
            key: Mutex::new(None),
            instead: OnceLock::new(),
        }
    }
}

/// What a file is made of.
#[derive(Clone)]
pub(super) enum Input {
    /// A file of the pond.
    Stored { path: String, id: NodeId },
    /// A derived file.
    Derived(Arc<DerivedFile>),
}

impl Input {
    pub(super) fn path(&self) -> String {
        match self {
            Input::Stored { path, .. } => path.clone(),
            Input::Derived(file) => String::from_utf8_lossy(&file.path).into_owned(),
        }
    }
}

/// Inputs that are one series, and what stands before the names of its columns.
#[derive(Clone)]
pub(super) struct Group {
    pub(super) prefix: String,
    pub(super) inputs: Vec<Input>,
}

/// How a file is made.
pub(super) enum Recipe {
    /// By a query over tables, or over one file that it calls `$1`.
    Query {
        query: String,
        tables: BTreeMap<String, Vec<Input>>,
        file: Option<Input>,
    },
    /// By joining series on their time. With `sorted`, columns come in the order of their names.
    Join {
        groups: Vec<Group>,
        columns: Option<Vec<String>>,
        sorted: bool,
    },
    /// By reducing series to buckets.
    Reduce {
        groups: Vec<Group>,
        columns: Option<Vec<String>>,
        aggregates: Vec<Aggregate>,
        all_rows: bool,
        base: Width,
        width: Width,
    },
    /// By renaming columns: in the order of the input, the new name of each rule that may fit.
    Rename {
        input: Input,
        rules: Vec<super::spec::Rule>,
    },
    /// By computing waves.
    Synthetic(SyntheticSeries),
    /// By rendering a template.
    Template {
        text: String,
        args: Vec<String>,
        input: Input,
        /// What `export` says: the captures of each file, and where it is.
        exports: Vec<(Vec<String>, Input)>,
    },
    /// By drawing.
    Chart {
        spec: super::spec::ChartCollection,
        title: String,
        png: bool,
        inputs: Vec<Input>,
    },
    /// By putting files one after the other.
    Concat {
        inputs: Vec<Input>,
        header_once: bool,
        separator: String,
    },
    /// By saying why there is nothing.
    Text(String),
}

impl Recipe {
    /// All that it is made of, in an order that matters.
    pub(super) fn inputs(&self) -> Vec<&Input> {
        match self {
            Recipe::Query { tables, file, .. } => tables.values().flatten().chain(file).collect(),
            Recipe::Join { groups, .. } | Recipe::Reduce { groups, .. } => {
                groups.iter().flat_map(|group| &group.inputs).collect()
            }
            Recipe::Rename { input, .. } => vec![input],
            Recipe::Template {
                text,
                input,
                exports,
                ..
            } => {
                // Of the others only the paths are told, which its text has.
                let timed = exports.iter().filter(|_| asks_for_times(text));
                let exports = timed.map(|(_, export)| export);
                [input].into_iter().chain(exports).collect()
            }
            Recipe::Chart { inputs, .. } | Recipe::Concat { inputs, .. } => inputs.iter().collect(),
            Recipe::Synthetic(_) | Recipe::Text(_) => Vec::new(),
        }
    }

    /// An input of an input, and so on: the first number counts the inputs of this recipe.
    pub(super) fn input_at(&self, place: &[usize]) -> Option<&Input> {
        let (first, rest) = place.split_first()?;
        let input = self.inputs().into_iter().nth(*first)?;
        match (rest, input) {
            ([], input) => Some(input),
            (rest, Input::Derived(file)) => file.recipe.input_at(rest),
            (_, Input::Stored { .. }) => None,
        }
    }

    /// The path that what is made depends on besides content: that of the file of a query that does not only read it.
    pub(super) fn told_path(&self) -> Option<String> {
        match self {
            Recipe::Query {
                query,
                file: Some(input),
                ..
            } if tells_path(query) => Some(input.path()),
            _ => None,
        }
    }

    /// Whether its rows can be had in any format.
    pub(super) fn is_table(&self) -> bool {
        match self {
            Recipe::Query { .. }
            | Recipe::Join { .. }
            | Recipe::Reduce { .. }
            | Recipe::Rename { .. }
            | Recipe::Synthetic(_) => true,
            Recipe::Template { .. }
            | Recipe::Chart { .. }
            | Recipe::Concat { .. }
            | Recipe::Text(_) => false,
        }
    }

    /// What distinguishes it from all recipes that make something else of the same inputs.
    fn text(&self) -> String {
        let mut text = String::new();
        let groups = |groups: &[Group]| -> Vec<(String, usize)> {
            let group = |group: &Group| (group.prefix.clone(), group.inputs.len());
            groups.iter().map(group).collect()
        };
        // Writing to a string cannot fail.
        let _ = match self {
            Recipe::Query {
                query,
                tables,
                file,
            } => {
                let tables: Vec<_> = tables.iter().map(|(name, of)| (name, of.len())).collect();
                let told = self.told_path().map(|path| format!(" {path:?}"));
                let told = told.unwrap_or_default();
                write!(text, "query {query:?} {tables:?} {}{told}", file.is_some())
            }
            Recipe::Join {
                groups: of,
                columns,
                sorted,
            } => write!(text, "join {:?} {columns:?} {sorted}", groups(of)),
            Recipe::Reduce {
                groups: of,
                columns,
                aggregates,
                all_rows,
                width,
                base: _,
            } => write!(
                text,
                "reduce {:?} {columns:?} {aggregates:?} {all_rows} {width:?}",
                groups(of)
            ),
            Recipe::Rename { rules, .. } => write!(text, "rename {rules:?}"),
            Recipe::Synthetic(series) => write!(text, "synthetic {series:?}"),
            Recipe::Template {
                text: body,
                args,
                exports,
                ..
            } => {
                let exports: Vec<_> = exports.iter().map(|(of, to)| (of, to.path())).collect();
                write!(text, "template {body:?} {args:?} {exports:?}")
            }
            Recipe::Chart {
                spec, title, png, ..
            } => write!(text, "chart {spec:?} {title:?} {png}"),
            Recipe::Concat {
                header_once,
                separator,
                ..
            } => write!(text, "concat {header_once} {separator:?}"),
            Recipe::Text(words) => write!(text, "text {words:?}"),
        };
        text
    }

    /// The key of what it makes of inputs with these identities.
    pub(super) fn key(&self, format: Option<Format>, inputs: &[Hash]) -> Hash {
        let format = format.map_or("", Format::word);
        let text = self.text();
        let parts = [format.as_bytes(), text.as_bytes()];
        let inputs = inputs.iter().map(|input| &input[..]);
        key(RESULT, &parts.into_iter().chain(inputs).collect::<Vec<_>>())
    }
}

/// Whether the path of `$1` may be in what a query says: it is anywhere but where the file is read, or the query reads
/// a file by a path of its own.
fn tells_path(query: &str) -> bool {
    static READ: LazyLock<Option<Regex>> = LazyLock::new(|| {
        Regex::new(r"(?i)\b(?:read_[a-z_]+\s*\(\s*|(?:from|join)\s+)'(\$1')?").ok()
    });
    let Some(read) = &*READ else {
        return true;
    };
    let mut all = read.captures_iter(query);
    all.any(|read| read.get(1).is_none()) || read.replace_all(query, "").contains("$1")
}

/// What keys of results begin with. The number grows whenever a recipe makes something else than before.
const RESULT: &str = "result 2";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_that_only_reads_its_file_is_known_by_content_alone() {
        for query in [
            "SELECT * FROM read_csv('$1')",
            "select a from READ_CSV_AUTO( '$1', header = true) x join '$1' y using (a)",
            "FROM '$1'",
        ] {
            assert!(!tells_path(query), "{query}");
        }
        for query in [
            "SELECT '$1' AS source, * FROM read_csv('$1')",
            "SELECT * FROM read_csv('$1') WHERE name = '$1.old'",
            "SELECT * FROM read_csv('/data/a.csv'), read_csv('$1')",
            "SELECT * FROM '/data/a.csv'",
            "SELECT * FROM read_csv('$1x')",
        ] {
            assert!(tells_path(query), "{query}");
        }
    }
}
