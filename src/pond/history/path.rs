//! The history of a path: the versions that changed what it leads to, through renames.
//!
//! What a name leads to one after another is one history: editors put a new file in the place of the old one.
//! Where it began with something that had another name before, it goes on under that name.

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
    /// The path that it had then.
    pub path: Vec<u8>,
    /// The length of a file.
    pub size: Option<u64>,
}

impl Pond {
    /// What became of what `path` leads to, or led to last; the oldest first.
    pub fn path_history(&self, path: &[u8]) -> FsResult<Vec<Event>> {
        if path.iter().all(|b| *b == b'/') {
            return self.directory_events(NodeId::ROOT, Version::NOW);
        }
        let newest = self.latest().version;
        let (dir, name) = self.last_place_of(path)?;
        let Some(last) = self.name_history(newest, dir, &name)?.pop() else {
            return Ok(Vec::new());
        };
        let mut events = match self.node(last.begun, last.child)?.is_dir() {
            true => self.directory_events(last.child, last.ended)?,
            false => self.file_events(dir, name, newest)?,
        };
        if last.ended != Version::NOW {
            events.push(Event {
                version: last.ended,
                change: "removed",
                path: path.strip_prefix(b"/").unwrap_or(path).to_vec(),
                size: None,
            });
        }
        Ok(events)
    }

    /// Returns the directory and the name of a path whose last directories may be removed. A loop,
    /// since a recursion for each component would overflow the stack on a long path.
    fn last_place_of(&self, path: &[u8]) -> FsResult<(NodeId, Name)> {
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
            let links = self.name_history(newest, here, &part)?;
            here = links.last().ok_or(Errno::ENOENT)?.child;
        }
        Ok((here, name))
    }

    fn directory_events(&self, dir: NodeId, until: Version) -> FsResult<Vec<Event>> {
        let last = Version(until.0.saturating_sub(1)).min(self.latest().version);
        let mut events: Vec<Event> = Vec::new();
        for version in self.directory_versions(last, dir)? {
            let path = self.path_of(version, dir)?.unwrap_or_default();
            let path = path.strip_prefix(b"/").unwrap_or(&path).to_vec();
            let change = match events.last() {
                None => "made",
                Some(before) if before.path != path => "moved",
                Some(_) => "changed",
            };
            events.push(Event {
                version,
                change,
                path,
                size: None,
            });
        }
        Ok(events)
    }

    fn file_events(&self, dir: NodeId, name: Name, newest: Version) -> FsResult<Vec<Event>> {
        let mut events: Vec<Event> = Vec::new();
        let (mut dir, mut name, mut until) = (dir, name, newest);
        loop {
            let links = self.name_history(until, dir, &name)?;
            let Some(first) = links.first() else { break };
            let before = self.before(first)?;
            let mut later: Option<&Link> = None;
            for link in links.iter().rev() {
                if let Some(later) = later.filter(|later| later.begun != link.ended) {
                    if let Some(event) = events.last_mut() {
                        event.change = "made";
                    }
                    events.push(Event {
                        version: link.ended,
                        change: "removed",
                        path: self.join(later.begun, later)?,
                        size: None,
                    });
                }
                self.link_events(link, until, &mut events)?;
                later = Some(link);
            }
            let Some(before) = before else { break };
            if let Some(event) = events.last_mut() {
                event.change = "moved";
            }
            until = Version(first.begun.0 - 1);
            (dir, name) = (before.dir, before.name);
        }
        events.reverse();
        if let Some(first) = events.first_mut() {
            first.change = "made";
        }
        Ok(events)
    }

    /// The name that a node had until it got this one.
    fn before(&self, link: &Link) -> FsResult<Option<Link>> {
        let mut links = self.index.links(link.child)?;
        links.retain(|other| other.ended == link.begun);
        Ok(links.pop())
    }

    /// Adds what happened to a file under one name, the newest first.
    fn link_events(&self, link: &Link, until: Version, events: &mut Vec<Event>) -> FsResult<()> {
        let last = match link.ended {
            Version::NOW => until,
            ended => Version(ended.0 - 1).min(until),
        };
        let mut versions = vec![link.begun];
        if link.begun < last {
            let from = Version(link.begun.0 + 1);
            versions.extend(self.index.trail(link.child, from, last)?);
        }
        for version in versions.into_iter().rev() {
            let node = self.node(version, link.child)?;
            let path = self.join(version, link)?;
            events.push(Event {
                version,
                change: "changed",
                path,
                size: node.is_file().then_some(node.size),
            });
        }
        Ok(())
    }

    fn join(&self, at: Version, link: &Link) -> FsResult<Vec<u8>> {
        let dir = self.path_of(at, link.dir)?.unwrap_or_default();
        let dir = dir.strip_prefix(b"/").unwrap_or(&dir);
        Ok(match dir.is_empty() {
            true => link.name.as_bytes().to_vec(),
            false => [dir, b"/", link.name.as_bytes()].concat(),
        })
    }
}
