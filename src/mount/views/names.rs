//! Look-up, creation, renaming and removal of names.

use crate::mount::requests::intent::removes_directory;
use crate::mount::vfs::{Found, Vfs, name};
use crate::mount::views::attr::{self, FOR_EVER};
use crate::mount::views::inodes::{Own, Subject, Tree, View};
use crate::mount::views::own::OWN;
use crate::mount::views::past::{self, VERSIONS};
use crate::pond::Reference;
use crate::tinyfs::ops::{Caller, NewNode, RenameMode};
use crate::tinyfs::{Errno, FsResult, Kind, MAX_NAME, Name, NodeId, Version};
use fuser::RenameFlags;
use std::sync::Arc;
use std::time::Duration;

/// The result of a LOOKUP.
#[derive(Debug)]
pub(in crate::mount) enum Lookup {
    /// The name exists.
    Found(Found),
    /// There is no such name; the kernel may cache that for this time.
    Absent(Duration),
    /// There is no such name now; not to be cached.
    AbsentNow,
}

impl Vfs {
    /// Looks up `name` for a thread of user `uid` that may be about to remove it as a directory.
    ///
    /// Returns `None` if resources have to be loaded first: then the caller uses
    /// [`Vfs::lookup`], which takes longer.
    pub(in crate::mount) fn lookup_to(
        &self,
        parent: u64,
        bytes: &[u8],
        (uid, thread): (u32, u32),
    ) -> FsResult<Option<Lookup>> {
        // Only tags can be removed by `rmdir`, and only by users that may.
        if let Some(Reference::Tag(tag)) = Reference::parse(bytes)
            && let View::Versions { tree, of } = self.view(parent)?
            && tree.is_live()
            && of == Subject::Dir(NodeId::ROOT)
            && let Some(tag) = self.pond.tag(&tag)?
            && (uid == 0 || uid == self.pond.node(Version::NOW, NodeId::ROOT)?.uid)
            && removes_directory(thread)
        {
            let found = self.tag_directory(tag.version)?;
            self.note_parent(parent, &found);
            return Ok(Some(Lookup::Found(found)));
        }
        if let View::Node { tree, id } = self.view(parent)?
            && !self.overlay_is_at_hand(tree, id)
            && !past::is_reserved(bytes)
            && !matches!(bytes, b"." | b"..")
            && self.pond.lookup(tree.at, id, &name(bytes)?)?.is_none()
        {
            return Ok(None);
        }
        self.lookup(parent, bytes).map(Some)
    }

    /// Returns whether a number is an `@version`, in which changes of names make versions.
    pub(in crate::mount) fn holds_versions(&self, ino: u64) -> bool {
        matches!(self.inodes.view(ino), Some(View::Versions { .. }))
    }

    /// Returns a version's name as a directory, for the process that makes or removes it so.
    fn tag_directory(&self, target: Version) -> FsResult<Found> {
        // Entered from no path, so that it differs from the directories that the kernel knows.
        let view = View::Node {
            tree: Tree::LIVE.past(NodeId::POND, target),
            id: NodeId::ROOT,
        };
        let found = self.found(view, &self.node(view)?)?;
        Ok(Found {
            name_valid: Duration::ZERO,
            ..found
        })
    }

    /// Looks up `name` in a directory. `.` and `..` come with file handles of inodes that the
    /// kernel has forgotten.
    pub(in crate::mount) fn lookup(&self, parent: u64, bytes: &[u8]) -> FsResult<Lookup> {
        let view = self.view(parent)?;
        let looked = match bytes {
            b"." => return self.itself(view).map(Lookup::Found),
            b".." => {
                return self
                    .itself(self.parent_of(parent, view)?)
                    .map(Lookup::Found);
            }
            _ => self.lookup_in(view, bytes)?,
        };
        if let Lookup::Found(found) = &looked {
            self.note_parent(parent, found);
        }
        Ok(looked)
    }

    /// Returns a view of which the kernel has the number, and counts a reference to it.
    fn itself(&self, view: View) -> FsResult<Found> {
        if let View::Derived { .. } = view {
            return self.derived_again(view);
        }
        // The reference is taken first: no kernel lock keeps the node in place.
        let number = self.hold(view);
        match self.node(view) {
            Ok(node) => Ok(self.found_as(number, view, &node)),
            Err(error) => {
                self.forget(number, 1);
                Err(error)
            }
        }
    }

    /// Returns the parent of a directory.
    fn parent_of(&self, ino: u64, view: View) -> FsResult<View> {
        match view.as_live() {
            Some(id) => {
                let parent = self.pond.node(Version::NOW, id)?.parent;
                Ok(View::live(parent.ok_or(Errno::ENOTDIR)?))
            }
            None => self.view(self.inodes.parent(ino).ok_or(Errno::ESTALE)?),
        }
    }

    /// Looks up `name` in a directory by its view.
    fn lookup_in(&self, view: View, bytes: &[u8]) -> FsResult<Lookup> {
        match view {
            view @ View::Derived { .. } => self.lookup_derived(view, &name(bytes)?),
            View::Node { tree, id } if bytes == VERSIONS => {
                let of = Subject::Dir(id);
                let view = View::Versions { tree, of };
                Ok(Lookup::Found(self.found(view, &self.node(view)?)?))
            }
            View::Node { tree, id } if tree.is_live() && is_own(id, bytes) => {
                let view = View::Own(Own::Dir);
                Ok(Lookup::Found(self.found(view, &self.node(view)?)?))
            }
            // The name may be longer than any stored one.
            View::Node { tree, id } if bytes.len() > MAX_NAME && past::is_reserved(bytes) => {
                self.file_versions(tree, id, bytes)
            }
            View::Node { tree, id } => match self.pond.lookup(tree.at, id, &name(bytes)?)? {
                Some((id, node)) => {
                    let found = self.found(View::Node { tree, id }, &node)?;
                    Ok(Lookup::Found(found))
                }
                // Reserved names do not depend on the directory alone.
                None if past::is_reserved(bytes) => self.file_versions(tree, id, bytes),
                None => match self.lookup_overlay(tree, id, &name(bytes)?)? {
                    Some(found) => Ok(Lookup::Found(found)),
                    None if tree.is_live() && self.is_overlaid(id) => Ok(Lookup::AbsentNow),
                    None => Ok(Lookup::Absent(FOR_EVER)),
                },
            },
            View::Versions { tree, of } => match self.version_named(tree, of, bytes)? {
                Some(view) => Ok(Lookup::Found(self.found(view, &self.node(view)?)?)),
                None => Ok(Lookup::AbsentNow),
            },
            View::Own(Own::Dir) => match Own::named(bytes).map(View::Own) {
                Some(view) => Ok(Lookup::Found(self.found(view, &self.node(view)?)?)),
                None => Ok(Lookup::AbsentNow),
            },
            View::Ref { .. } | View::Own(_) => Err(Errno::ENOTDIR.into()),
        }
    }

    /// Looks up `FILE@version`.
    fn file_versions(&self, tree: Tree, dir: NodeId, bytes: &[u8]) -> FsResult<Lookup> {
        let file = match past::file_of(bytes) {
            Some(file) => file,
            None if bytes.len() > MAX_NAME + VERSIONS.len() => {
                return Err(Errno::ENAMETOOLONG.into());
            }
            None => return Ok(Lookup::AbsentNow),
        };
        let Some((of, ..)) = self.file_subject(tree, dir, &file)? else {
            return Ok(Lookup::AbsentNow);
        };
        let view = View::Versions { tree, of };
        let number = self.hold_named(view, of, &file);
        let found = self.itself(view);
        // By now there are two references, or none.
        self.forget(number, 1);
        found.map(Lookup::Found)
    }

    /// Returns the live directory and the new name in it, or why the name cannot be created.
    fn place(&self, parent: u64, bytes: &[u8]) -> FsResult<(NodeId, Name)> {
        let dir = self.live(parent)?;
        match past::is_reserved(bytes) || is_own(dir, bytes) {
            true => Err(Errno::EINVAL.into()),
            false => {
                let name = name(bytes)?;
                match self.is_overlay(dir, &name)? {
                    true => Err(Errno::EEXIST.into()),
                    false => Ok((dir, name)),
                }
            }
        }
    }

    /// Returns the live directory and the name in it that is to be removed.
    fn entry(&self, parent: u64, bytes: &[u8]) -> FsResult<(NodeId, Name)> {
        let dir = self.live(parent)?;
        match bytes == VERSIONS || is_own(dir, bytes) {
            true => Err(Errno::EROFS.into()),
            false => {
                let name = name(bytes)?;
                let stored = || self.pond.lookup(Version::NOW, dir, &name);
                match self.is_overlay(dir, &name)? && stored()?.is_none() {
                    true => Err(Errno::EROFS.into()),
                    false => Ok((dir, name)),
                }
            }
        }
    }

    fn make(
        self: &Arc<Vfs>,
        caller: &Caller,
        parent: u64,
        name: &[u8],
        new: &NewNode<'_>,
    ) -> FsResult<Found> {
        let (dir, name) = self.place(parent, name)?;
        let (id, node) = self.pond.create(caller, dir, &name, new)?;
        self.name_changed(dir, &name);
        self.found(View::live(id), &node)
    }

    /// Creates a file or a special file.
    pub(in crate::mount) fn mknod(
        self: &Arc<Vfs>,
        caller: &Caller,
        parent: u64,
        name: &[u8],
        (mode, umask): (u32, u32),
        rdev: u32,
    ) -> FsResult<Found> {
        let kind = attr::kind_of_mode(mode)?;
        let is_device = matches!(kind, Kind::CharDevice | Kind::BlockDevice);
        let new = NewNode {
            kind,
            mode: attr::new_mode(mode, umask),
            rdev: if is_device { rdev } else { 0 },
            target: &[],
        };
        self.make(caller, parent, name, &new)
    }

    pub(in crate::mount) fn mkdir(
        self: &Arc<Vfs>,
        caller: &Caller,
        parent: u64,
        name: &[u8],
        (mode, umask): (u32, u32),
    ) -> FsResult<Found> {
        if let View::Versions { of, .. } = self.view(parent)? {
            return self.tag_directory(self.tag(of, name)?.version);
        }
        let new = NewNode {
            kind: Kind::Directory,
            mode: attr::new_mode(mode, umask),
            rdev: 0,
            target: &[],
        };
        self.make(caller, parent, name, &new)
    }

    pub(in crate::mount) fn symlink(
        self: &Arc<Vfs>,
        caller: &Caller,
        parent: u64,
        name: &[u8],
        target: &[u8],
    ) -> FsResult<Found> {
        let new = NewNode {
            kind: Kind::Symlink,
            mode: 0o777,
            rdev: 0,
            target,
        };
        self.make(caller, parent, name, &new)
    }

    pub(in crate::mount) fn link(
        self: &Arc<Vfs>,
        caller: &Caller,
        ino: u64,
        parent: u64,
        name: &[u8],
    ) -> FsResult<Found> {
        let (dir, name) = self.place(parent, name)?;
        // A past node can enter the present only as a copy.
        let id = self.view(ino)?.as_live().ok_or(Errno::EXDEV)?;
        let node = self.pond.link(caller, id, dir, &name)?;
        self.name_changed(dir, &name);
        self.found(View::live(id), &node)
    }

    pub(in crate::mount) fn unlink(
        self: &Arc<Vfs>,
        caller: &Caller,
        parent: u64,
        name: &[u8],
    ) -> FsResult<()> {
        if let View::Versions { of, .. } = self.view(parent)? {
            return self.untag(of, name);
        }
        let (dir, name) = self.entry(parent, name)?;
        self.pond.unlink(caller, dir, &name)?;
        self.name_changed(dir, &name);
        Ok(())
    }

    pub(in crate::mount) fn rmdir(
        self: &Arc<Vfs>,
        caller: &Caller,
        parent: u64,
        name: &[u8],
    ) -> FsResult<()> {
        if let View::Versions { of, .. } = self.view(parent)? {
            return self.untag(of, name);
        }
        let (dir, name) = self.entry(parent, name)?;
        self.pond.rmdir(caller, dir, &name)?;
        self.name_changed(dir, &name);
        Ok(())
    }

    pub(in crate::mount) fn rename(
        self: &Arc<Vfs>,
        caller: &Caller,
        (parent, name): (u64, &[u8]),
        (new_parent, new_name): (u64, &[u8]),
        flags: RenameFlags,
    ) -> FsResult<()> {
        let whiteout = flags.contains(RenameFlags::RENAME_WHITEOUT);
        let mode = match flags - RenameFlags::RENAME_WHITEOUT {
            rest if rest.is_empty() => RenameMode::Replace,
            RenameFlags::RENAME_NOREPLACE => RenameMode::NoReplace,
            RenameFlags::RENAME_EXCHANGE if !whiteout => RenameMode::Exchange,
            _ => return Err(Errno::EINVAL.into()),
        };
        let (dir, name) = self.entry(parent, name)?;
        let (new_dir, new_name) = self.place(new_parent, new_name)?;
        let (from, to) = ((dir, &name), (new_dir, &new_name));
        self.pond.rename(caller, from, to, mode, whiteout)?;
        self.name_changed(dir, &name);
        self.name_changed(new_dir, &new_name);
        Ok(())
    }
}

/// Returns whether a name in directory `dir` is `.pond`.
fn is_own(dir: NodeId, name: &[u8]) -> bool {
    dir == NodeId::ROOT && name == OWN
}
