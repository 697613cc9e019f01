//! Requests about the past and their replies: versions, paths at a version, differences,
//! restorations.
//!
//! Long replies come in pages. A path is relative to the root of the pond, without a leading slash.

use super::answer::{PAGE, json, reading, timestamp};
use super::raw::Raw;
use crate::cli::failure::Failure;
use crate::pond::{Change, Difference, HistoryCursor, Pond, PondError, Reference, Return, Tag};
use crate::tinyfs::ops::Place;
use crate::tinyfs::{Errno, FsError, Kind, Name, Node, NodeId, Time, Version};
use base64::prelude::{BASE64_STANDARD, Engine};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::ops::Bound;

/// The exit code for a path that does not exist.
const NOT_THERE: u8 = 13;
/// The most bytes of paths in one page: those of a deep tree are long.
const PATHS: usize = 8 << 20;
/// The most bytes of a file in one reply.
const PIECE: u64 = 1 << 20;

/// A request about the past.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "travel", rename_all = "snake_case")]
pub enum Travel {
    /// Returns the node at a path: a [`NodeReport`].
    Stat {
        /// The path.
        path: Raw,
        /// The version; `None` for the present.
        at: Option<String>,
    },
    /// Returns the entries of a directory: a [`ListPage`].
    List {
        /// The directory.
        path: Raw,
        /// The version.
        at: Option<String>,
        /// The name after which the page begins.
        after: Option<Raw>,
    },
    /// Returns bytes of a file: a [`Piece`].
    Read {
        /// The file.
        path: Raw,
        /// The version.
        at: Option<String>,
        /// The offset of the first byte.
        offset: u64,
    },
    /// Returns the versions that changed a path, the newest first: a [`HistoryPage`].
    History {
        /// The path, which need not exist any more.
        path: Raw,
        /// [`HistoryPage::next`] of the page before this one.
        #[serde(default)]
        from: Option<HistoryPosition>,
    },
    /// Returns the differences between two versions: a [`DiffPage`].
    Diff {
        /// The earlier version.
        from: String,
        /// The later version; `None` for the present.
        to: Option<String>,
        /// The path below which to compare.
        path: Raw,
        /// The path after which the page begins.
        after: Option<Raw>,
    },
    /// Names a version: a [`TagReport`].
    Tag {
        /// The name.
        name: String,
        /// The version; `None` for a new one of everything as it is now.
        at: Option<String>,
        /// The description of the tag.
        message: String,
    },
    /// Removes a tag.
    Untag {
        /// The name.
        name: String,
    },
    /// Returns all tags: a list of [`TagReport`]s.
    Tags,
    /// Restores a path: a [`ReturnReport`].
    Restore {
        /// The path.
        path: Raw,
        /// The version.
        at: String,
    },
    /// Reverts the newest version: a [`ReturnReport`].
    Undo,
}

/// A node at a path.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeReport {
    /// Its name in a list, otherwise its path.
    pub path: Raw,
    /// The version that was read; `None` for the present.
    pub version: Option<u64>,
    /// Its kind: `file`, `directory`, `symlink` and so on.
    pub kind: String,
    /// Its inode number.
    pub inode: u64,
    /// Permission bits.
    pub mode: u16,
    /// The number of its names.
    pub links: u32,
    /// The owner's user id.
    pub uid: u32,
    /// The group id.
    pub gid: u32,
    /// Its size in bytes.
    pub size: u64,
    /// When its content last changed.
    pub modified: String,
    /// The target of a symbolic link.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<Raw>,
}

/// A page of a directory, sorted by name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListPage {
    /// The entries.
    pub rows: Vec<NodeReport>,
    /// Whether more follow.
    pub more: bool,
}

/// Bytes of a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Piece {
    /// In base 64; empty at the end of the file.
    pub data: String,
}

/// A page of the history of a path, the newest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistoryPage {
    /// The versions.
    pub rows: Vec<HistoryRow>,
    /// Where the next page begins; `None` if this was the last.
    pub next: Option<HistoryPosition>,
}

/// A position in the history of a path. See [`HistoryCursor`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistoryPosition {
    /// Inode of the directory that holds the file, or of the directory whose history it is.
    pub dir: u64,
    /// The name of the file.
    pub name: Option<Raw>,
    /// The newest version of the next page.
    pub until: u64,
}

/// A version that changed a path.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistoryRow {
    /// Its number.
    pub version: u64,
    /// When it was committed: later than every earlier version, whatever the clock showed.
    pub committed: String,
    /// What the clock showed then, if it differs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clock: Option<String>,
    /// `made`, `changed`, `moved` or `removed`.
    pub change: String,
    /// The path at that version.
    pub path: Raw,
    /// The size in bytes of a file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
}

/// A page of differences, sorted by path.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiffPage {
    /// The earlier version.
    pub from: u64,
    /// The later version; `None` for the present.
    pub to: Option<u64>,
    /// The differences.
    pub rows: Vec<DiffRow>,
    /// Whether more follow.
    pub more: bool,
}

/// A path that differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiffRow {
    /// `added`, `removed`, `modified`, `attributes`, `kind` or `moved`.
    pub change: String,
    /// The path.
    pub path: Raw,
    /// The earlier path of a moved node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub moved_from: Option<Raw>,
    /// The kind of the node.
    pub kind: String,
    /// The size before, for a file.
    pub size_before: Option<u64>,
    /// The size after.
    pub size_after: Option<u64>,
}

/// A named version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TagReport {
    /// Its name.
    pub name: String,
    /// Its number.
    pub version: u64,
    /// When the tag was created.
    pub given: String,
    /// The description of the tag.
    pub message: String,
}

/// The result of a restoration or an undo.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReturnReport {
    /// The version that was restored.
    pub from: u64,
    /// The version that holds the result.
    pub version: u64,
    /// The version that was undone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undone: Option<u64>,
    /// The number of names and nodes that changed.
    pub changes: usize,
}

/// Serves a request.
pub(super) fn answer(pond: &Pond, travel: &Travel) -> Result<Value, Failure> {
    match travel {
        Travel::Stat { path, at } => json(&stat(pond, path, at.as_deref())?),
        Travel::List { path, at, after } => json(&list(pond, path, at.as_deref(), after.as_ref())?),
        Travel::Read { path, at, offset } => json(&read(pond, path, at.as_deref(), *offset)?),
        Travel::History { path, from } => json(&history(pond, path, from.as_ref())?),
        Travel::Diff {
            from,
            to,
            path,
            after,
        } => json(&diff(pond, (from, to.as_deref()), path, after.as_ref())?),
        Travel::Tag { name, at, message } => {
            let version = at.as_deref().map(|at| version_of(pond, at)).transpose()?;
            json(&report(pond.give_tag(name, version, message)?))
        }
        Travel::Untag { name } => match pond.take_tag(name)? {
            true => Ok(Value::Null),
            false => Err(PondError::NoVersion(name.clone()).into()),
        },
        Travel::Tags => {
            let tags = pond.tags().map_err(PondError::Tree)?;
            json(&tags.into_iter().map(report).collect::<Vec<_>>())
        }
        Travel::Restore { path, at } => restore(pond, path, at),
        Travel::Undo => {
            let (undone, done) = pond.undo()?;
            let mut report = returned(done);
            report.undone = Some(undone.version.0);
            json(&report)
        }
    }
}

/// Resolves a version as the user writes it.
pub fn version_of(pond: &Pond, text: &str) -> Result<Version, Failure> {
    let none = || PondError::NoVersion(text.to_owned());
    let reference = Reference::parse(text.as_bytes()).ok_or_else(none)?;
    let found = pond
        .resolve(&reference, Version::NOW)
        .map_err(PondError::Tree)?;
    Ok(found.ok_or_else(none)?)
}

/// Does the same; `None` is the present.
fn view_of(pond: &Pond, at: Option<&str>) -> Result<Version, Failure> {
    at.map_or(Ok(Version::NOW), |at| version_of(pond, at))
}

fn number(at: Version) -> Option<u64> {
    (at != Version::NOW).then_some(at.0)
}

/// Resolves a path, or returns the failure.
fn walk(pond: &Pond, at: Version, path: &Raw) -> Result<(NodeId, Node), Failure> {
    pond.walk(at, &path.0).map_err(|error| {
        let when = number(at).map_or(String::new(), |at| format!(" in version {at}"));
        leads_nowhere(error, path, &when)
    })
}

/// Returns the failure for a path that cannot be resolved. `when` names the version.
fn leads_nowhere(error: FsError, path: &Raw, when: &str) -> Failure {
    match (error.errno(), &error) {
        (Errno::ENOENT | Errno::ENOTDIR, _) => PondError::NoPath(format!("/{path}{when}")).into(),
        // The path is wrong, not the pond.
        (_, FsError::Posix(_)) => {
            Failure::system(format!("cannot follow the path /{path}{when}"), &error)
        }
        _ => PondError::Tree(error).into(),
    }
}

fn node_report(path: Raw, at: Version, id: NodeId, node: &Node) -> NodeReport {
    NodeReport {
        path,
        version: number(at),
        kind: node.kind.name().to_owned(),
        inode: id.0,
        mode: node.mode,
        links: node.nlink,
        uid: node.uid,
        gid: node.gid,
        size: node.size,
        modified: timestamp(Time::from_micros(node.mtime.micros())),
        target: (node.kind == Kind::Symlink).then(|| Raw(node.target.to_vec())),
    }
}

fn stat(pond: &Pond, path: &Raw, at: Option<&str>) -> Result<NodeReport, Failure> {
    let at = view_of(pond, at)?;
    let (id, node) = walk(pond, at, path)?;
    Ok(node_report(path.clone(), at, id, &node))
}

fn list(
    pond: &Pond,
    path: &Raw,
    at: Option<&str>,
    after: Option<&Raw>,
) -> Result<ListPage, Failure> {
    let at = view_of(pond, at)?;
    let (id, node) = walk(pond, at, path)?;
    if !node.is_dir() {
        let rows = vec![node_report(path.clone(), at, id, &node)];
        return Ok(ListPage { rows, more: false });
    }
    let after = after.map(entry_name).transpose()?;
    let from = after.as_ref().map_or(Bound::Unbounded, Bound::Excluded);
    let entries = pond.list_from(at, id, from, PAGE);
    let (entries, more) = entries.map_err(PondError::Tree)?;
    let mut page = ListPage {
        rows: Vec::with_capacity(entries.len()),
        more,
    };
    for (name, dentry) in entries {
        let node = pond.node(at, dentry.child).map_err(PondError::Tree)?;
        let name = Raw(name.as_bytes().to_vec());
        page.rows.push(node_report(name, at, dentry.child, &node));
    }
    Ok(page)
}

fn read(pond: &Pond, path: &Raw, at: Option<&str>, offset: u64) -> Result<Piece, Failure> {
    let at = view_of(pond, at)?;
    let (id, node) = walk(pond, at, path)?;
    if !node.is_file() {
        let what = node.kind.name();
        return Err(Failure::new(
            "not_a_file",
            format!("/{path} is no file but a {what}"),
        ));
    }
    let data = pond.read(at, id, offset, PIECE).map_err(PondError::Tree)?;
    Ok(Piece {
        data: BASE64_STANDARD.encode(data),
    })
}

fn history(
    pond: &Pond,
    path: &Raw,
    from: Option<&HistoryPosition>,
) -> Result<HistoryPage, Failure> {
    let when = " in any version";
    let mut history = match from {
        Some(from) => pond.path_history_from(Some(cursor(from)?)),
        None => (pond.path_history(&path.0)).map_err(|error| leads_nowhere(error, path, when))?,
    };
    let mut page = HistoryPage::default();
    while page.rows.len() < PAGE
        && let Some(event) = history.next_event().map_err(PondError::Tree)?
    {
        let info = pond.version(event.version).map_err(PondError::Tree)?;
        let info = info.ok_or_else(|| PondError::NoVersion(event.version.to_string()))?;
        page.rows.push(HistoryRow {
            version: event.version.0,
            committed: timestamp(info.committed),
            clock: reading(&info),
            change: event.change.to_owned(),
            path: Raw(event.path),
            size: event.size,
        });
    }
    if page.rows.is_empty() && from.is_none() {
        return Err(PondError::NoPath(format!("/{path}{when}")).into());
    }
    page.next = history.cursor().map(|cursor| HistoryPosition {
        dir: cursor.dir.0,
        name: cursor
            .name
            .as_ref()
            .map(|name| Raw(name.as_bytes().to_vec())),
        until: cursor.until.0,
    });
    Ok(page)
}

fn cursor(position: &HistoryPosition) -> Result<HistoryCursor, Failure> {
    let name = position.name.as_ref().map(entry_name).transpose()?;
    Ok(HistoryCursor {
        dir: NodeId(position.dir),
        name,
        until: Version(position.until),
    })
}

/// Parses the name that a request continues from.
fn entry_name(name: &Raw) -> Result<Name, Failure> {
    let refused = || Failure::usage(format!("{name} is not the name of a directory entry"));
    Name::new(&name.0).map_err(|_| refused())
}

fn diff(
    pond: &Pond,
    (from, to): (&str, Option<&str>),
    path: &Raw,
    after: Option<&Raw>,
) -> Result<DiffPage, Failure> {
    let (from, to) = (version_of(pond, from)?, view_of(pond, to)?);
    let node = |at| match walk(pond, at, path) {
        Ok((id, _)) => Ok(Some(id)),
        Err(failure) if failure.exit == NOT_THERE => Ok(None),
        Err(failure) => Err(failure),
    };
    let both = (node(from)?, node(to)?);
    if both == (None, None) {
        return Err(PondError::NoPath(format!("/{path} in either version")).into());
    }
    let mut page = DiffPage {
        from: from.0,
        to: number(to),
        ..DiffPage::default()
    };
    let path = path.0.strip_suffix(b"/").unwrap_or(&path.0);
    let after = after.map(|after| after.0.clone());
    let mut comparison = pond.differences(from, to, path, both, after);
    let mut bytes = 0;
    while let Some(difference) = comparison.next_difference().map_err(PondError::Tree)? {
        if page.rows.len() == PAGE || bytes > PATHS {
            page.more = true;
            break;
        }
        bytes += difference.path.len();
        if let Change::Moved(from) = &difference.change {
            bytes += from.len();
        }
        page.rows.push(diff_row(difference));
    }
    Ok(page)
}

fn diff_row(difference: Difference) -> DiffRow {
    let (change, moved_from) = match difference.change {
        Change::Added => ("added", None),
        Change::Removed => ("removed", None),
        Change::Modified => ("modified", None),
        Change::Attributes => ("attributes", None),
        Change::Kind => ("kind", None),
        Change::Moved(path) => ("moved", Some(Raw(path))),
    };
    let size = |side: &Option<(NodeId, Node)>| {
        let file = side.as_ref().filter(|(_, node)| node.is_file());
        file.map(|(_, node)| node.size)
    };
    let (size_before, size_after) = (size(&difference.before), size(&difference.after));
    let side = difference.after.or(difference.before);
    DiffRow {
        change: change.to_owned(),
        path: Raw(difference.path),
        moved_from,
        kind: side.map_or(String::new(), |(_, node)| node.kind.name().to_owned()),
        size_before,
        size_after,
    }
}

fn restore(pond: &Pond, path: &Raw, at: &str) -> Result<Value, Failure> {
    let at = version_of(pond, at)?;
    let parts: Vec<&[u8]> = path
        .0
        .split(|b| *b == b'/')
        .filter(|part| !part.is_empty())
        .collect();
    let Some((name, dirs)) = parts.split_last() else {
        return json(&returned(pond.restore(None, at)?));
    };
    let name = Name::new(name)
        .map_err(|_| Failure::usage(format!("/{path} does not end in the name of anything")))?;
    let around = Raw(dirs.join(&b'/'));
    let (dir, _) = walk(pond, Version::NOW, &around)
        .map_err(|failure| failure.hinted("bring the directory around it back first"))?;
    // The node of the path then; or, if there was none, the node in this directory.
    let dir_then = match walk(pond, at, &around) {
        Ok((then, _)) => then,
        Err(failure) if failure.exit == NOT_THERE => dir,
        Err(failure) => return Err(failure),
    };
    let place = Place {
        dir,
        dir_then,
        name: &name,
    };
    match pond.restore(Some(place), at) {
        Err(PondError::Tree(error)) if error.errno() == Errno::ENOENT => {
            Err(PondError::NoPath(format!("/{path}, now or in version {at}")).into())
        }
        done => json(&returned(done?)),
    }
}

fn returned(done: Return) -> ReturnReport {
    ReturnReport {
        from: done.from.0,
        version: done.version.0,
        undone: None,
        changes: done.changes,
    }
}

fn report(tag: Tag) -> TagReport {
    TagReport {
        name: tag.name,
        version: tag.version.0,
        given: timestamp(tag.given),
        message: tag.message,
    }
}

impl From<FsError> for Failure {
    fn from(error: FsError) -> Failure {
        PondError::Tree(error).into()
    }
}
