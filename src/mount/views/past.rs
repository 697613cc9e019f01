//! `@version`: the versions of each directory and each file.
//!
//! A directory's past follows its node, not its path: a moved directory keeps its past. A file's
//! past follows its name in its directory, since editors replace a file by a new one. Versions are
//! named by numbers; all other names are links to the number.

use crate::mount::vfs::Vfs;
use crate::mount::views::inodes::{NameKey, Subject, Tree, View};
use crate::pond::{Edit, Reference, Tag};
use crate::tinyfs::{Errno, FsError, FsResult, Kind, Name, Node, NodeId, Version};

/// The hidden name.
pub(in crate::mount) const VERSIONS: &[u8] = b"@version";
/// The link to the newest version.
pub(in crate::mount) const LATEST: &[u8] = b"latest";

/// Returns whether a name is reserved for versions, and cannot be given to a node.
pub(in crate::mount) fn is_reserved(name: &[u8]) -> bool {
    name.ends_with(VERSIONS)
}

/// The longest suffix, in bytes, that the versions of a file share with it, so that their names are
/// no longer than 255.
const MAX_ENDING: usize = 64;

/// Returns the file whose versions a name stands for: `report.csv` of `report.csv@version`. The
/// name may be longer than a file's: FUSE takes names of up to 1,024 bytes.
pub(in crate::mount) fn file_of(name: &[u8]) -> Option<Name> {
    Name::new(name.strip_suffix(VERSIONS)?).ok()
}

/// Returns the file name extension that the versions of a file get, such as `.csv`.
fn extension(name: &Name) -> &[u8] {
    let name = name.as_bytes();
    match name.iter().rposition(|b| *b == b'.') {
        Some(at) if at > 0 && name.len() - at <= MAX_ENDING => name.get(at..).unwrap_or_default(),
        _ => b"",
    }
}

/// The content of an `@version`.
pub(in crate::mount) struct Contents {
    /// The listed versions, oldest first, each with its node.
    pub(in crate::mount) edits: Vec<Edit>,
    /// Names of versions.
    pub(in crate::mount) tags: Vec<Tag>,
    /// The suffix of each name.
    pub(in crate::mount) extension: Box<[u8]>,
}

impl Vfs {
    /// Looks up a name in the `@version` of `of`. A version that is not listed, since it changed
    /// nothing there, is found as well.
    pub(in crate::mount) fn version_named(
        &self,
        tree: Tree,
        of: Subject,
        name: &[u8],
    ) -> FsResult<Option<View>> {
        let bare = match of {
            Subject::Dir(_) => None,
            Subject::File(_, key) => name.strip_suffix(extension(&self.name_of(key)?)),
        };
        let bare = bare.filter(|bare| *bare != name);
        // A tag may have the same suffix as the file.
        for text in [Some(name), bare].into_iter().flatten() {
            if let Some(view) = self.version_meant(tree, of, text)? {
                return Ok(Some(view));
            }
        }
        Ok(None)
    }

    fn version_meant(&self, tree: Tree, of: Subject, text: &[u8]) -> FsResult<Option<View>> {
        let Some(reference) = Reference::parse(text) else {
            return Ok(None);
        };
        let target = match &reference {
            // Versions that changed nothing here are not counted.
            Reference::Latest(back) => self.nth_back(tree.at, of, *back)?,
            reference => self.pond.resolve(reference, tree.at)?,
        };
        let Some(target) = target else {
            return Ok(None);
        };
        let Some(node) = self.node_at(of, target)? else {
            return Ok(None);
        };
        Ok(Some(match reference {
            Reference::Number(number) if number == target => View::Node {
                tree: tree.past(of.dir(), target),
                id: node,
            },
            _ => View::Ref { tree, of, target },
        }))
    }

    /// Returns the node of `of` at a version, if it existed.
    fn node_at(&self, of: Subject, at: Version) -> FsResult<Option<NodeId>> {
        match of {
            Subject::Dir(dir) => Ok(self.pond.has_node(at, dir)?.then_some(dir)),
            Subject::File(dir, key) => {
                if !self.pond.has_node(at, dir)? {
                    return Ok(None);
                }
                let found = self.pond.lookup(at, dir, &self.name_of(key)?)?;
                Ok(found.filter(|(_, node)| !node.is_dir()).map(|(id, _)| id))
            }
        }
    }

    fn nth_back(&self, at: Version, of: Subject, back: u64) -> FsResult<Option<Version>> {
        if let Subject::Dir(NodeId::ROOT) = of {
            return self.pond.resolve(&Reference::Latest(back), at);
        }
        // Starts at the newest version: the cost is one read for each version back.
        let (mut until, mut back) = (at, back);
        loop {
            let found = match of {
                Subject::Dir(dir) => self.pond.last_directory_version(until, dir)?,
                Subject::File(dir, key) => {
                    let last = (self.pond).last_file_version(until, dir, &self.name_of(key)?)?;
                    last.map(|(edit, _)| edit.version)
                }
            };
            match (
                back.checked_sub(1),
                found.and_then(|found| found.0.checked_sub(1)),
            ) {
                (None, _) => return Ok(found),
                (Some(_), None) => return Ok(None),
                (Some(fewer), Some(before)) => (back, until) = (fewer, Version(before)),
            }
        }
    }

    /// Returns the listed versions.
    fn edits(&self, at: Version, of: Subject) -> FsResult<Vec<Edit>> {
        match of {
            Subject::Dir(node) => {
                let versions = self.pond.directory_versions(at, node)?;
                let edit = |version| Edit { version, node };
                Ok(versions.into_iter().map(edit).collect())
            }
            Subject::File(dir, key) => self.pond.file_versions(at, dir, &self.name_of(key)?),
        }
    }

    /// Returns everything that `@version` of something lists.
    pub(in crate::mount) fn versions_of(&self, tree: Tree, of: Subject) -> FsResult<Contents> {
        let mut tags = self.pond.tags()?;
        tags.retain(|tag| tag.version <= tree.at);
        let mut there = Vec::new();
        for tag in tags {
            if self.node_at(of, tag.version)?.is_some() {
                there.push(tag);
            }
        }
        let extension = match of {
            Subject::Dir(_) => [].into(),
            Subject::File(_, key) => extension(&self.name_of(key)?).into(),
        };
        Ok(Contents {
            edits: self.edits(tree.at, of)?,
            tags: there,
            extension,
        })
    }

    /// Returns the file `name` of a directory, if it is or ever was one.
    pub(in crate::mount) fn file_subject(
        &self,
        tree: Tree,
        dir: NodeId,
        name: &Name,
    ) -> FsResult<Option<(Subject, NodeId, Version)>> {
        let subject = Subject::File(dir, NameKey::of(name));
        if let Some((id, node)) = self.pond.lookup(tree.at, dir, name)?
            && !node.is_dir()
        {
            return Ok(Some((subject, id, tree.at)));
        }
        let last = self.pond.last_file_version(tree.at, dir, name)?;
        Ok(last.map(|(edit, begun)| (subject, edit.node, begun)))
    }

    /// Returns the made-up node of `@version`.
    pub(in crate::mount) fn versions_node(&self, tree: Tree, of: Subject) -> FsResult<Node> {
        let (shown, mode, newest) = match of {
            Subject::Dir(dir) => {
                let node = self.pond.node(tree.at, dir)?;
                // Its owner may create names of versions there.
                let names = match tree.is_live() && dir == NodeId::ROOT {
                    true => 0o200,
                    false => 0,
                };
                let mode = node.mode & (0o555 | names);
                (node, mode, self.pond.last_directory_version(tree.at, dir)?)
            }
            Subject::File(dir, key) => {
                let name = self.name_of(key)?;
                let found = self.file_subject(tree, dir, &name)?;
                let (_, id, at) = found.ok_or(Errno::ENOENT)?;
                let node = self.pond.node(at, id)?;
                // Users that may read the file may search its past.
                let mode = node.mode & 0o444 | (node.mode & 0o444) >> 2;
                (node, mode, None)
            }
        };
        let info = match newest {
            Some(version) => self.pond.version(version)?,
            None => None,
        };
        let time = info.map_or(shown.mtime, |info| info.clock);
        Ok(Node {
            kind: Kind::Directory,
            // The same mode as its target.
            mode,
            nlink: 2,
            size: 0,
            allocated: 0,
            atime: time,
            mtime: time,
            ctime: time,
            ..shown
        })
    }

    /// Returns the made-up node of a link to a version.
    pub(in crate::mount) fn ref_node(
        &self,
        tree: Tree,
        of: Subject,
        target: Version,
    ) -> FsResult<Node> {
        let itself = self.versions_node(tree, of)?;
        let info = self.pond.version(target)?.ok_or(Errno::ENOENT)?;
        let mut text = target.to_string().into_bytes();
        if let Subject::File(_, key) = of {
            text.extend_from_slice(extension(&self.name_of(key)?));
        }
        Ok(Node {
            kind: Kind::Symlink,
            mode: 0o777,
            nlink: 1,
            size: text.len() as u64,
            atime: info.clock,
            mtime: info.clock,
            ctime: info.clock,
            target: text.into(),
            ..itself
        })
    }

    /// Returns the name of a key that a held view uses.
    fn name_of(&self, key: NameKey) -> FsResult<Name> {
        Ok(self.inodes.name(key).ok_or(Errno::ESTALE)?)
    }

    /// Tags the newest version, after committing everything until now.
    pub(in crate::mount) fn tag(&self, of: Subject, name: &[u8]) -> FsResult<Tag> {
        if of != Subject::Dir(NodeId::ROOT) {
            return Err(Errno::EPERM.into());
        }
        let text = std::str::from_utf8(name).map_err(|_| Errno::EINVAL)?;
        self.pond.give_tag(text, None, "").map_err(FsError::from)
    }

    /// Removes the name of a version.
    pub(in crate::mount) fn untag(&self, of: Subject, name: &[u8]) -> FsResult<()> {
        let text = std::str::from_utf8(name).map_err(|_| Errno::ENOENT)?;
        if of != Subject::Dir(NodeId::ROOT) {
            return Err(Errno::EPERM.into());
        }
        match self.pond.take_tag(text).map_err(FsError::from)? {
            true => Ok(()),
            // A version itself cannot be removed this way.
            false if matches!(Reference::parse(name), Some(Reference::Number(_))) => {
                Err(Errno::EPERM.into())
            }
            false => Err(Errno::ENOENT.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_about_versions_are_reserved() {
        assert!(is_reserved(b"@version") && is_reserved(b"a.csv@version"));
        assert!(!is_reserved(b"@versions") && !is_reserved(b"@version.txt"));
    }

    #[test]
    fn versions_of_a_file_end_as_it_does() {
        let of = |name: &str| {
            let name = Name::new(name.as_bytes()).unwrap();
            String::from_utf8_lossy(extension(&name)).into_owned()
        };
        let ends = ["a.csv", "a.tar.gz", ".profile", "README", "x."].map(of);
        assert_eq!(ends, [".csv", ".gz", "", "", "."]);
        assert_eq!(of(&format!("a.{}", "x".repeat(253))), "");
    }
}
