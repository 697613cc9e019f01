//! The history of a path: the versions that changed the node at the path, through renames.
//!
//! All nodes that a name led to one after another form one history: editors replace a file by a
//! new one. Where the history of a name begins with a node that had another name before, it
//! continues under that name.
//!
//! [`PathHistory`] reads the history from its newest event back, one event at a time, so that a
//! page costs what it shows. Its position is a [`HistoryCursor`].

use crate::index::Link;
use crate::pond::Pond;
use crate::tinyfs::{Errno, FsResult, Last, Name, NodeId, Version, split, walk};

/// A version that changed a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// The version.
    pub version: Version,
    /// `made`, `changed`, `moved` or `removed`.
    pub change: &'static str,
    /// The path in that version.
    pub path: Vec<u8>,
    /// The length of a file.
    pub size: Option<u64>,
}

/// A position in the history of a path: the events up to a version are still to come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistoryCursor {
    /// The directory that holds the file; the directory itself if there is no name.
    pub dir: NodeId,
    /// The name of the file.
    pub name: Option<Name>,
    /// The newest version that is still to come.
    pub until: Version,
}

/// The events of a path, the newest first.
pub struct PathHistory<'p> {
    pond: &'p Pond,
    /// The removal of a directory, which is not among the versions of the directory.
    removed: Option<Event>,
    /// `None` after the oldest event.
    next: Option<HistoryCursor>,
}

impl Pond {
    /// Returns the history of the node that `path` leads to, or led to last. It has no events if
    /// no version has the path.
    pub fn path_history(&self, path: &[u8]) -> FsResult<PathHistory<'_>> {
        let newest = self.latest().version;
        let history = |removed, dir, name, until| PathHistory {
            pond: self,
            removed,
            next: Some(HistoryCursor { dir, name, until }),
        };
        if path.iter().all(|b| *b == b'/') {
            return Ok(history(None, NodeId::ROOT, None, newest));
        }
        let (dir, name) = self.last_place_of(path)?;
        let Some(last) = self.index.name_link(dir, &name, newest)? else {
            return Ok(self.path_history_from(None));
        };
        if !self.node(last.begun, last.child)?.is_dir() {
            return Ok(history(None, dir, Some(name), newest));
        }
        let removed = (last.ended != Version::NOW).then(|| Event {
            version: last.ended,
            change: "removed",
            path: path.strip_prefix(b"/").unwrap_or(path).to_vec(),
            size: None,
        });
        let until = Version(last.ended.0.saturating_sub(1)).min(newest);
        Ok(history(removed, last.child, None, until))
    }

    /// Returns the history that [`PathHistory::cursor`] has left. A cursor of a client may hold any
    /// numbers.
    pub fn path_history_from(&self, cursor: Option<HistoryCursor>) -> PathHistory<'_> {
        let newest = self.latest().version;
        PathHistory {
            pond: self,
            removed: None,
            next: cursor.map(|cursor| HistoryCursor {
                until: cursor.until.min(newest),
                ..cursor
            }),
        }
    }

    /// Returns the directory and the name of a path whose last directories may be removed. A loop,
    /// since a recursion for each component would overflow the stack on a long path.
    pub(super) fn last_place_of(&self, path: &[u8]) -> FsResult<(NodeId, Name)> {
        let (dirs, name, _) = split(path)?;
        let newest = self.latest().version;
        let (mut here, mut is_gone) = (NodeId::ROOT, false);
        for part in dirs.split(|byte| *byte == b'/') {
            if matches!(part, b"" | b".") {
                continue;
            }
            if !is_gone {
                // The slash makes the walk follow a link and refuse anything but a directory.
                let part = [part, b"/"].concat();
                match walk(&self.index, Version::NOW, here, &part, Last::Follow) {
                    Ok((id, _)) => {
                        here = id;
                        continue;
                    }
                    Err(error) if error.errno() == Errno::ENOENT => is_gone = true,
                    Err(error) => return Err(error),
                }
            }
            let part = Name::new(part).map_err(|_| Errno::ENOENT)?;
            let link = self.index.name_link(here, &part, newest)?;
            here = link.ok_or(Errno::ENOENT)?.child;
        }
        Ok((here, name))
    }

    /// Returns the name that a node had until it got this one.
    pub(super) fn before(&self, link: &Link) -> FsResult<Option<Link>> {
        let mut links = self.index.links(link.child)?;
        links.retain(|other| other.ended == link.begun);
        Ok(links.pop())
    }

    /// Returns the path of a directory at a version, without a slash at its beginning.
    fn directory_path(&self, at: Version, dir: NodeId) -> FsResult<Vec<u8>> {
        let path = self.path_of(at, dir)?.unwrap_or_default();
        Ok(path.strip_prefix(b"/").unwrap_or(&path).to_vec())
    }

    pub(super) fn join(&self, at: Version, link: &Link) -> FsResult<Vec<u8>> {
        let dir = self.directory_path(at, link.dir)?;
        Ok(match dir.is_empty() {
            true => link.name.as_bytes().to_vec(),
            false => [&dir, &b"/"[..], link.name.as_bytes()].concat(),
        })
    }
}

impl PathHistory<'_> {
    /// Returns the next older event.
    pub fn next_event(&mut self) -> FsResult<Option<Event>> {
        if let Some(removed) = self.removed.take() {
            return Ok(Some(removed));
        }
        match self.next.take() {
            None => Ok(None),
            Some(HistoryCursor { dir, name, until }) => match name {
                None => self.directory_event(dir, until),
                Some(name) => self.file_event(dir, name, until),
            },
        }
    }

    /// Returns the position after the events that were returned; `None` if no more follow.
    pub fn cursor(&self) -> Option<&HistoryCursor> {
        self.next.as_ref()
    }

    fn directory_event(&mut self, dir: NodeId, until: Version) -> FsResult<Option<Event>> {
        let pond = self.pond;
        let Some(version) = pond.last_directory_version(until, dir)? else {
            return Ok(None);
        };
        let path = pond.directory_path(version, dir)?;
        let older = match before(version) {
            Some(until) => pond.last_directory_version(until, dir)?,
            None => None,
        };
        let change = match older {
            None => "made",
            Some(older) if pond.directory_path(older, dir)? != path => "moved",
            Some(_) => "changed",
        };
        self.next = older.map(|until| HistoryCursor {
            dir,
            name: None,
            until,
        });
        Ok(Some(Event {
            version,
            change,
            path,
            size: None,
        }))
    }

    fn file_event(&mut self, dir: NodeId, name: Name, until: Version) -> FsResult<Option<Event>> {
        let pond = self.pond;
        let Some(link) = pond.index.name_link(dir, &name, until)? else {
            return Ok(None);
        };
        if link.ended <= until {
            let last = Version(link.ended.0.saturating_sub(1));
            self.next = Some(HistoryCursor {
                dir,
                name: Some(name),
                until: last,
            });
            return Ok(Some(Event {
                version: link.ended,
                change: "removed",
                path: pond.join(last, &link)?,
                size: None,
            }));
        }
        let changed = match link.begun < until {
            true => {
                let from = Version(link.begun.0 + 1);
                pond.index.last_change(link.child, from, until)?
            }
            false => None,
        };
        let version = changed.unwrap_or(link.begun);
        let older = before(version);
        let (change, next) = match (changed, older) {
            (Some(_), _) => ("changed", Some((dir, name))),
            (None, None) => ("made", None),
            (None, Some(older)) => match pond.index.name_link(dir, &name, older)? {
                Some(older) if older.ended == link.begun => ("changed", Some((dir, name))),
                Some(_) => ("made", Some((dir, name))),
                None => match pond.before(&link)? {
                    Some(before) => ("moved", Some((before.dir, before.name))),
                    None => ("made", None),
                },
            },
        };
        self.next = next.zip(older).map(|((dir, name), until)| HistoryCursor {
            dir,
            name: Some(name),
            until,
        });
        let node = pond.node(version, link.child)?;
        Ok(Some(Event {
            version,
            change,
            path: pond.join(version, &link)?,
            size: node.is_file().then_some(node.size),
        }))
    }
}

/// Returns the number before that of a version.
fn before(version: Version) -> Option<Version> {
    version.0.checked_sub(1).map(Version)
}
