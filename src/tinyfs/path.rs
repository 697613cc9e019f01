//! Path resolution: from a path in bytes to a node at a version.
//!
//! The rules are those of POSIX. A symbolic link on the way is followed. The last component is
//! followed on request ([`Last`]), or if a slash comes after it. `..` of the root is the root. An
//! absolute path, also as the target of a link, starts at the root of the tree.

use super::{Errno, FsResult, Kind, Name, NameError, Names, Node, NodeId, Nodes, Store, Version};

/// Maximum number of symbolic links that one walk follows, as on Linux.
const MAX_FOLLOWED: u32 = 40;

/// What a walk does with a symbolic link as the last component.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Last {
    /// Follows the link.
    Follow,
    /// Returns the link itself.
    Stay,
}

/// A tree in which paths can be resolved: the stored nodes, or a [`Wd`](super::Wd) with dynamic
/// directories.
pub(super) trait Tree {
    /// A node of the tree.
    type Place: Clone;
    /// Returns the root.
    fn root(&self) -> FsResult<Self::Place>;
    /// Returns the kind of node at a place.
    fn kind(&self, place: &Self::Place) -> Kind;
    /// Returns the parent of a directory.
    fn up(&self, place: &Self::Place) -> FsResult<Self::Place>;
    /// Returns what `name` in a directory leads to, if it exists.
    fn child(&self, place: &Self::Place, name: &Name) -> FsResult<Option<Self::Place>>;
    /// Returns the target of a symbolic link.
    fn target(&self, place: &Self::Place) -> FsResult<Vec<u8>>;
}

/// Resolves `path` from directory `from` at version `at`.
///
/// Errors: `ENOENT`, also for an empty path; `ENOTDIR`, also if a slash follows a node that is not
/// a directory; `ELOOP`; `ENAMETOOLONG`; `EINVAL` for a path that contains NUL.
pub fn walk<S: Store>(
    store: &S,
    at: Version,
    from: NodeId,
    path: &[u8],
    last: Last,
) -> FsResult<(NodeId, Node)> {
    let nodes = Stored { store, at };
    let from = nodes.node(from)?;
    walk_tree(&nodes, from, path, last)
}

/// Does the same as [`walk`] in any [`Tree`].
pub(super) fn walk_tree<T: Tree>(
    tree: &T,
    from: T::Place,
    path: &[u8],
    last: Last,
) -> FsResult<T::Place> {
    if path.is_empty() {
        return Err(Errno::ENOENT.into());
    }
    let mut followed = 0;
    let mut here = from;
    let mut path = path.to_vec();
    let mut rest = 0;
    if path.first() == Some(&b'/') {
        here = tree.root()?;
    }
    loop {
        rest += slashes(&path, rest);
        let Some(todo) = path.get(rest..).filter(|todo| !todo.is_empty()) else {
            return Ok(here);
        };
        if tree.kind(&here) != Kind::Directory {
            return Err(Errno::ENOTDIR.into());
        }
        let length = todo.iter().take_while(|byte| **byte != b'/').count();
        let (component, after) = todo.split_at(length);
        rest += length;
        let next = match component {
            b"." => here.clone(),
            b".." => tree.up(&here)?,
            name => tree.child(&here, &checked(name)?)?.ok_or(Errno::ENOENT)?,
        };
        let link = tree.kind(&next) == Kind::Symlink;
        if link && (last == Last::Follow || !after.is_empty()) {
            followed += 1;
            if followed > MAX_FOLLOWED {
                return Err(Errno::ELOOP.into());
            }
            let mut target = tree.target(&next)?;
            if target.first() == Some(&b'/') {
                here = tree.root()?;
            }
            target.extend_from_slice(after);
            (path, rest) = (target, 0);
            continue;
        }
        if !after.is_empty() && tree.kind(&next) != Kind::Directory {
            return Err(Errno::ENOTDIR.into());
        }
        here = next;
    }
}

/// Splits the path of a new entry into the path of its directory, its name, and whether a slash
/// follows, which demands a directory.
///
/// Errors: `EEXIST` if the last component is `.` or `..` or missing; `ENOENT` for an empty path;
/// `ENAMETOOLONG`, `EINVAL`.
pub fn split(path: &[u8]) -> FsResult<(&[u8], Name, bool)> {
    if path.is_empty() {
        return Err(Errno::ENOENT.into());
    }
    let trimmed = path.trim_suffix_slashes();
    let begin = trimmed
        .iter()
        .rposition(|byte| *byte == b'/')
        .map_or(0, |i| i + 1);
    let (parent, name) = trimmed.split_at(begin);
    if matches!(name, b"" | b"." | b"..") {
        return Err(Errno::EEXIST.into());
    }
    let parent = if parent.is_empty() { b"." } else { parent };
    Ok((parent, checked(name)?, trimmed.len() < path.len()))
}

/// Converts a path component to a name. Errors: `ENOENT` if it is empty, `ENAMETOOLONG`, `EINVAL`.
pub(super) fn checked(component: &[u8]) -> FsResult<Name> {
    Name::new(component).map_err(|error| match error {
        NameError::TooLong => Errno::ENAMETOOLONG.into(),
        NameError::Empty => Errno::ENOENT.into(),
        NameError::Reserved => Errno::EINVAL.into(),
    })
}

fn slashes(path: &[u8], from: usize) -> usize {
    path.iter()
        .skip(from)
        .take_while(|byte| **byte == b'/')
        .count()
}

trait TrimSlashes {
    fn trim_suffix_slashes(&self) -> &[u8];
}

impl TrimSlashes for [u8] {
    fn trim_suffix_slashes(&self) -> &[u8] {
        let end = self
            .iter()
            .rposition(|byte| *byte != b'/')
            .map_or(0, |i| i + 1);
        self.split_at(end).0
    }
}

/// The nodes of a store at one version, as a [`Tree`].
struct Stored<'s, S> {
    store: &'s S,
    at: Version,
}

impl<S: Store> Stored<'_, S> {
    fn node(&self, id: NodeId) -> FsResult<(NodeId, Node)> {
        let node = self.store.get::<Nodes>(self.at, &id)?;
        Ok((id, node.ok_or(Errno::ENOENT)?))
    }
}

impl<S: Store> Tree for Stored<'_, S> {
    type Place = (NodeId, Node);

    fn root(&self) -> FsResult<Self::Place> {
        self.node(NodeId::ROOT)
    }

    fn kind(&self, place: &Self::Place) -> Kind {
        place.1.kind
    }

    fn up(&self, place: &Self::Place) -> FsResult<Self::Place> {
        self.node(place.1.parent.ok_or(Errno::ENOTDIR)?)
    }

    fn child(&self, place: &Self::Place, name: &Name) -> FsResult<Option<Self::Place>> {
        let key = (place.0, name.clone());
        match self.store.get::<Names>(self.at, &key)? {
            Some(dentry) => self.node(dentry.child).map(Some),
            None => Ok(None),
        }
    }

    fn target(&self, place: &Self::Place) -> FsResult<Vec<u8>> {
        Ok(place.1.target.to_vec())
    }
}
