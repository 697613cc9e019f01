//! The pond as the mount shows it, live and past: maps inode numbers to views.
//!
//! In: inode numbers, names and bytes, as the kernel sends them. Out: attributes and bytes, or an
//! error number. Operations on names, files and attributes are in [`names`](super::views::names),
//! [`files`](super::views::files) and [`xattr`](super::views::xattr), those on derived directories
//! in [`derived`](super::views::derived).

use super::cache::invalidation::CachedAttributes;
use super::cache::notify::Notifications;
use super::cache::page_push::PagePush;
use super::requests::{Monitor, Requests};
use super::views::attr::{self, FOR_EVER, NOT_AT_ALL};
use super::views::derived::Places;
use super::views::errors::Errors;
use super::views::inodes::{Inodes, Own, Subject, View, mix};
use super::views::listing::{Handles, Item, Listing};
use super::views::own::Opened;
use crate::derive::Derive;
use crate::pond::Pond;
use crate::tinyfs::ops::Caller;
use crate::tinyfs::{
    Errno, FsError, FsResult, Kind, Name, NameError, Node, NodeId, Version, describe,
};
use fuser::{FileAttr, FileType, Generation};
use std::sync::Arc;
use std::time::Duration;

/// The pond, and the state of what the kernel holds of it.
pub(super) struct Vfs {
    pub(super) pond: Arc<Pond>,
    pub(super) inodes: Inodes,
    pub(super) handles: Handles,
    pub(super) opened: Opened,
    pub(super) errors: Errors,
    pub(super) requests: Arc<Requests>,
    pub(super) derive: Derive,
    pub(super) places: Places,
    pub(super) notifications: Arc<Notifications>,
    pub(super) cached: CachedAttributes,
    pub(super) push: PagePush,
    pub(super) monitor: Monitor,
}

/// The result of a LOOKUP, with its TTLs. The kernel holds a reference to its inode number.
#[derive(Clone, Copy, Debug)]
pub(super) struct Found {
    pub(super) attr: FileAttr,
    pub(super) name_valid: Duration,
    pub(super) attr_valid: Duration,
    /// Distinguishes nodes that had the same inode number.
    pub(super) generation: Generation,
}

/// The generation of inode numbers that are never reused.
pub(super) const GENERATION: Generation = Generation(0);

impl Vfs {
    /// Creates the view of the present, or of version `at`.
    pub(super) fn new(pond: Arc<Pond>, at: Option<Version>) -> Vfs {
        let (requests, notifications) = (Arc::default(), Arc::default());
        Vfs {
            derive: Derive::new(pond.clone(), crate::service::KINDS),
            places: Places::default(),
            monitor: Monitor::new(&requests, &notifications),
            notifications,
            cached: CachedAttributes::default(),
            push: PagePush::default(),
            pond,
            inodes: at.map_or(Inodes::default(), Inodes::past),
            handles: Handles::default(),
            opened: Opened::default(),
            errors: Errors::default(),
            requests,
        }
    }

    /// Logs a failure and adds it to `.pond/errors`, if the pond is at fault.
    pub(super) fn failed(&self, op: &'static str, ino: u64, error: &FsError) {
        if let FsError::Store { cause, .. } = error {
            tracing::error!(op, node = ino, "{}", describe(cause.as_ref()));
            let view = self.inodes.view(ino);
            let derived = view.and_then(|view| self.inodes.shown(view));
            self.errors.note(
                op,
                view,
                derived.map(|shown| shown.path().to_vec()),
                error,
                self.pond.limits().errors,
            );
            self.pond.note_damage(error);
        }
    }

    /// Returns the view of an inode number.
    pub(super) fn view(&self, ino: u64) -> FsResult<View> {
        let view = self.inodes.view(ino).ok_or(Errno::ESTALE)?;
        match view.tree() {
            Some(tree) if !tree.is_live() && self.pond.is_forgotten(tree.at) => {
                Err(Errno::ESTALE.into())
            }
            _ => Ok(view),
        }
    }

    /// Returns the live node that is to be changed, or `EROFS`.
    pub(super) fn live(&self, ino: u64) -> FsResult<NodeId> {
        Ok(self.view(ino)?.as_live().ok_or(Errno::EROFS)?)
    }

    /// Returns the node, live or past, that is to be read. Other views have no content.
    pub(super) fn node_of(&self, ino: u64) -> FsResult<(Version, NodeId)> {
        match self.view(ino)? {
            View::Node { tree, id } => Ok((tree.at, id)),
            View::Versions { .. } | View::Ref { .. } | View::Own(_) | View::Derived { .. } => {
                Err(Errno::EINVAL.into())
            }
        }
    }

    /// Returns the inode number of a view and counts a reference of the kernel to it.
    ///
    /// The kernel locks a directory against changes while a name in it is looked up, so a node that
    /// was found there still exists when it is pinned.
    pub(super) fn hold(&self, view: View) -> u64 {
        if let Some(id) = view.as_live() {
            self.pond.pin(id);
        }
        self.inodes.hold(view)
    }

    /// Does the same for a view that is shown by a name.
    pub(super) fn hold_named(&self, view: View, of: Subject, name: &Name) -> u64 {
        if let Subject::File(_, key) = of {
            self.inodes.keep_name(key, name);
        }
        self.hold(view)
    }

    /// Drops `count` of the kernel's references to an inode number.
    pub(super) fn forget(&self, ino: u64, count: u64) {
        self.push.forget(ino);
        match self.inodes.view(ino).and_then(View::as_live) {
            Some(id) => self.pond.unpin(id, count),
            None => self.inodes.release(ino, count),
        }
    }

    /// Returns the entry of a view and counts a reference of the kernel to it.
    pub(super) fn found(&self, view: View, node: &Node) -> FsResult<Found> {
        Ok(self.found_as(self.hold(view), view, node))
    }

    /// Returns the entry of a view under a number that the kernel already holds.
    pub(super) fn found_as(&self, number: u64, view: View, node: &Node) -> Found {
        Found {
            attr: attr::file_attr(number, node),
            name_valid: name_valid(view),
            attr_valid: attr_valid(view),
            generation: generation(view, node),
        }
    }

    /// Notes that a directory was found in `parent`.
    pub(super) fn note_parent(&self, parent: u64, found: &Found) {
        if found.attr.kind == FileType::Directory {
            self.inodes.set_parent(found.attr.ino.0, parent);
        }
    }

    /// Returns the inode number of an entry of directory `ino`.
    pub(super) fn entry_number(&self, ino: u64, item: &Item) -> u64 {
        let parent = || self.inodes.parent(ino).filter(|_| &*item.name == b"..");
        parent().unwrap_or_else(|| self.inodes.number(item.view))
    }

    /// Returns the attributes of an inode and their TTL.
    pub(super) fn getattr(&self, ino: u64) -> FsResult<(FileAttr, Duration)> {
        let view = self.view(ino)?;
        if let View::Derived { .. } = view {
            return self.derived_attr(ino, view);
        }
        let node = self.node(view)?;
        Ok((attr::file_attr(ino, &node), attr_valid(view)))
    }

    /// Returns the node of a view; makes one up for views without one.
    pub(super) fn node(&self, view: View) -> FsResult<Node> {
        match view {
            View::Node { tree, id } => self.pond.node(tree.at, id),
            View::Versions { tree, of } => self.versions_node(tree, of),
            View::Ref { tree, of, target } => self.ref_node(tree, of, target),
            View::Own(own) => self.own_node(own),
            View::Derived { .. } => self.derived_itself(view),
        }
    }

    /// Returns the target of a symbolic link.
    pub(super) fn readlink(&self, ino: u64) -> FsResult<Box<[u8]>> {
        let node = self.node(self.view(ino)?)?;
        match node.kind {
            Kind::Symlink => Ok(node.target),
            _ => Err(Errno::EINVAL.into()),
        }
    }

    /// Reads a directory from the start.
    pub(super) fn list(&self, ino: u64) -> FsResult<Listing> {
        let itself = self.view(ino)?;
        match itself {
            View::Node { tree, id } => {
                let node = self.pond.node(tree.at, id)?;
                let parent = node.parent.ok_or(Errno::ENOTDIR)?;
                let parent = View::Node { tree, id: parent };
                let entries = self.pond.list(tree.at, id)?;
                let derived = self.overlay_items(tree, id, &entries)?;
                let changed = tree.is_live().then_some(node.ctime);
                Ok(Listing::of_nodes(
                    tree, itself, parent, entries, derived, changed,
                ))
            }
            View::Versions { tree, of } => {
                let contents = self.versions_of(tree, of)?;
                Ok(Listing::of_versions(itself, (tree, of), contents))
            }
            View::Own(Own::Dir) => Ok(Listing::of_own(itself)),
            View::Derived { .. } => Ok(Listing::of_derived(itself, self.derived_items(itself)?)),
            View::Ref { .. } | View::Own(_) => Err(Errno::ENOTDIR.into()),
        }
    }
}

/// Returns the caller of a request, with the current time.
pub(super) fn caller(uid: u32, gid: u32) -> Caller {
    Caller {
        uid,
        gid,
        member: true,
        now: attr::now(),
    }
}

/// Parses a name that the kernel sends.
pub(super) fn name(bytes: &[u8]) -> FsResult<Name> {
    Name::new(bytes).map_err(|error| {
        let errno = match error {
            NameError::TooLong => Errno::ENAMETOOLONG,
            NameError::Empty | NameError::Reserved => Errno::EINVAL,
        };
        errno.into()
    })
}

/// Returns the generation of a node. The id of a node that was lost with a power cut, before it
/// reached the disk, is reused; a file handle of the lost node must not resolve to the new one.
fn generation(view: View, node: &Node) -> Generation {
    match view.as_live() {
        Some(NodeId::ROOT) | None => GENERATION,
        // The kernel keeps 32 bits of it.
        Some(_) => {
            Generation(mix(mix(node.btime.sec.cast_unsigned()) ^ u64::from(node.btime.nsec)) >> 32)
        }
    }
}

/// Returns the TTL of a name: `latest` changes its target with the next version, an age with time,
/// and a tag can be reassigned.
pub(super) fn name_valid(view: View) -> Duration {
    match view {
        View::Ref { .. } => NOT_AT_ALL,
        _ => FOR_EVER,
    }
}

/// Returns the TTL of attributes: those of a live `@version` follow its directory and the versions.
pub(super) fn attr_valid(view: View) -> Duration {
    match view {
        View::Ref { .. } => NOT_AT_ALL,
        View::Own(_) | View::Derived { .. } => NOT_AT_ALL,
        _ => FOR_EVER,
    }
}
