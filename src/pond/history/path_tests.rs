//! The history of a path that is read event by event equals one that is computed as a whole.

use super::Event;
use super::tests::Life;
use crate::index::Link;
use crate::pond::Pond;
use crate::tinyfs::{FsResult, Name, NodeId, Version};

/// The reference implementation: reads all links and versions of the path, oldest event first.
impl Pond {
    /// Returns the history of the node that `path` leads to, or led to last, oldest event first.
    fn whole_history(&self, path: &[u8]) -> FsResult<Vec<Event>> {
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
        let is_dir = self.node(last.begun, last.child)?.is_dir();
        if last.ended != Version::NOW {
            events.push(Event {
                version: last.ended,
                change: "removed",
                path: match is_dir {
                    true => path.to_vec(),
                    false => self.join(Version(last.ended.0 - 1), &last)?,
                },
                size: None,
            });
        }
        Ok(events)
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
                if later.is_some_and(|later| later.begun != link.ended) {
                    if let Some(event) = events.last_mut() {
                        event.change = "made";
                    }
                    events.push(Event {
                        version: link.ended,
                        change: "removed",
                        path: self.join(Version(link.ended.0 - 1), link)?,
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

    /// Adds the events of a file under one name, the newest first.
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
}

#[test]
fn the_history_of_a_path_read_event_by_event_is_the_whole_one() {
    for seed in 1..=8 {
        let mut life = Life::new(seed);
        life.commit();
        for _ in 0..40 {
            (0..life.below(6) + 1).for_each(|_| life.step());
            life.commit();
        }
        let pond = &life.pond;
        let mut paths: Vec<&Vec<u8>> = life.versions.values().flatten().map(|(p, _)| p).collect();
        paths.sort();
        paths.dedup();
        for path in paths {
            let mut expected = match pond.whole_history(path) {
                Ok(expected) => expected,
                Err(error) => {
                    let other = pond.path_history(path).err().map(|e| e.errno());
                    assert_eq!(other, Some(error.errno()));
                    continue;
                }
            };
            expected.reverse();
            // The removal of a directory has no position of its own. After it, each event is read
            // from a position, as in pages of one row.
            let mut history = pond.path_history(path).unwrap();
            let mut found = Vec::new();
            while let Some(event) = history.next_event().unwrap() {
                found.push(event);
                history = pond.path_history_from(history.cursor().cloned());
            }
            let shown = String::from_utf8_lossy(path);
            assert_eq!(found, expected, "seed {seed}: /{shown}");
        }
        pond.close().unwrap();
    }
}
