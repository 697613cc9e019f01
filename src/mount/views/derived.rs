//! Derived directories in the mount.
//!
//! Derived entries are overlaid on stored ones: a name that a stored directory does not have may be
//! a resource's. The inode number of a derived file is a hash of its inputs, so its cached pages
//! stay valid; its name is looked up each time
//! ([`invalidation`](crate::mount::cache::invalidation)). Requests that need a rendered file wait
//! in the `derive` pool.

use crate::derive::{self, DerivedFile, Dir};
use crate::mount::vfs::{Found, GENERATION, Vfs};
use crate::mount::views::attr::{self, FOR_EVER, NOT_AT_ALL};
use crate::mount::views::inodes::{DerivedKey, Tree, View};
use crate::mount::views::listing::Item;
use crate::mount::views::names::Lookup;
use crate::mount::views::own::Content;
use crate::resource::{Overlay, Owner};
use crate::tinyfs::ops::{Caller, Restored};
use crate::tinyfs::{Errno, FsResult, Kind, Name, Node, NodeId, Version};
use bytes::Bytes;
use fuser::FileAttr;
use parking_lot::{Mutex, RwLock};
use rustc_hash::FxHashSet;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::time::Duration;

/// The object behind a view of something derived.
#[derive(Clone)]
pub(in crate::mount) enum Shown {
    /// A directory, by its path.
    Dir(Arc<[u8]>, Owner),
    /// A file.
    File(Arc<DerivedFile>),
    /// A link to a name in the same directory.
    Link(Arc<[u8]>, Owner),
}

impl std::fmt::Debug for Shown {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.path().escape_ascii().fmt(f)
    }
}

impl Shown {
    pub(in crate::mount) fn path(&self) -> &[u8] {
        match self {
            Shown::Dir(path, _) | Shown::Link(path, _) => path,
            Shown::File(file) => &file.path,
        }
    }

    fn owner(&self) -> Owner {
        match self {
            Shown::Dir(_, owner) | Shown::Link(_, owner) => *owner,
            Shown::File(file) => file.owner(),
        }
    }
}

/// Where resources are shown in the live tree.
#[derive(Default)]
pub(in crate::mount) struct Places {
    /// Stored directories with overlaid entries.
    dirs: RwLock<FxHashSet<NodeId>>,
    /// The files of resources.
    files: RwLock<FxHashSet<NodeId>>,
    names: Mutex<BTreeSet<(NodeId, Name)>>,
    /// Whether a resource's target directory is missing.
    wanted: AtomicBool,
    /// The state of the `resources` thread: [`IDLE`], running, or running with another pass due.
    looking: AtomicU8,
}

/// States of that thread.
const IDLE: u8 = 0;
const LOOKING: u8 = 1;
const AGAIN: u8 = 2;

/// Extended attributes of derived files.
const KIND: &[u8] = b"user.pond.kind";
const INPUTS: &[u8] = b"user.pond.inputs";
const RECIPE: &[u8] = b"user.pond.spec";
const ROWS: &[u8] = b"user.pond.rows";
const TOOK: &[u8] = b"user.pond.rendered";
const ERROR: &[u8] = b"user.pond.error";

impl Vfs {
    /// Returns the resources of a tree, if one shows entries in this stored directory.
    fn overlaid(&self, tree: Tree, dir: NodeId) -> FsResult<Option<Arc<derive::View>>> {
        if tree.is_live() && !self.places.dirs.read().contains(&dir) {
            return Ok(None);
        }
        let view = self.derive.view(tree.at)?;
        let any = view.registry.overlays(dir).next().is_some();
        Ok(any.then_some(view))
    }

    /// Returns whether a stored directory may have overlaid entries.
    pub(in crate::mount) fn is_overlaid(&self, dir: NodeId) -> bool {
        self.places.dirs.read().contains(&dir)
    }

    /// Looks up a name that a stored directory does not have.
    pub(in crate::mount) fn lookup_overlay(
        &self,
        tree: Tree,
        dir: NodeId,
        name: &Name,
    ) -> FsResult<Option<Found>> {
        let Some(view) = self.overlaid(tree, dir)? else {
            return Ok(None);
        };
        let Some(overlay) = view.registry.overlay(dir, name) else {
            return Ok(None);
        };
        let shown = shown(&view, overlay)?;
        if tree.is_live() {
            // The kernel caches the name until a pass finds it gone and invalidates it.
            self.places.names.lock().insert((dir, name.clone()));
        }
        self.found_derived(&view, tree, shown).map(Some)
    }

    /// Returns whether a name in a live directory is that of a resource's directory.
    pub(in crate::mount) fn is_overlay(&self, dir: NodeId, name: &Name) -> FsResult<bool> {
        let view = self.overlaid(Tree::LIVE, dir)?;
        Ok(view.is_some_and(|view| view.registry.overlay(dir, name).is_some()))
    }

    /// Returns the overlaid entries of a stored directory.
    pub(in crate::mount) fn overlay_items(
        &self,
        tree: Tree,
        dir: NodeId,
        stored: &[(Name, crate::tinyfs::Dentry)],
    ) -> FsResult<Vec<Item>> {
        let Some(view) = self.overlaid(tree, dir)? else {
            return Ok(Vec::new());
        };
        let mut items = Vec::new();
        for (name, overlay) in view.registry.overlays(dir) {
            if stored
                .binary_search_by(|(stored, _)| stored.cmp(name))
                .is_ok()
            {
                continue;
            }
            let shown = shown(&view, overlay)?;
            items.push(Item::derived(
                name,
                view_of(tree, &shown, b""),
                kind_of(&shown),
            ));
        }
        Ok(items)
    }

    /// Returns the derived directory at a path of a view.
    fn derived_dir(&self, view: &derive::View, path: &[u8]) -> FsResult<Arc<Dir>> {
        derive::find_dir(view, path)?.ok_or_else(|| Errno::ESTALE.into())
    }

    /// Checks that a derived directory that the kernel knows still exists.
    pub(in crate::mount) fn open_derived_dir(&self, view: View) -> FsResult<()> {
        match (view, self.inodes.shown(view)) {
            (View::Derived { tree, .. }, Some(Shown::Dir(path, _))) => {
                self.derived_dir(&*self.derive.view(tree.at)?, &path)?;
                Ok(())
            }
            _ => Err(Errno::ENOTDIR.into()),
        }
    }

    /// Looks up a name in a derived directory.
    pub(in crate::mount) fn lookup_derived(&self, view: View, name: &Name) -> FsResult<Lookup> {
        let View::Derived { tree, .. } = view else {
            return Err(Errno::ENOTDIR.into());
        };
        let Some(Shown::Dir(path, _)) = self.inodes.shown(view) else {
            return Err(Errno::ENOTDIR.into());
        };
        let view = self.derive.view(tree.at)?;
        let dir = self.derived_dir(&view, &path)?;
        let shown = match derive::child(&dir, name) {
            Some(derive::Node::Dir(dir)) => Shown::Dir(dir.path.clone().into(), dir.owner),
            Some(derive::Node::File(file)) => Shown::File(file),
            None => return Ok(Lookup::AbsentNow),
        };
        Ok(Lookup::Found(self.found_derived(&view, tree, shown)?))
    }

    /// Does the same without blocking: `None` unless the resources are loaded and the file is
    /// rendered.
    pub(in crate::mount) fn lookup_at_hand(&self, parent: u64, name: &[u8]) -> Option<Lookup> {
        let view = self.inodes.view(parent)?;
        let View::Derived { tree, .. } = view else {
            return None;
        };
        let Shown::Dir(path, _) = self.inodes.shown(view)? else {
            return None;
        };
        let view = self.derive.view_at_hand(tree.at)?;
        let dir = view.dir_at_hand(&path)?;
        let name = Name::new(name).ok()?;
        let shown = match dir.entries.get(&name)? {
            derive::Node::Dir(dir) => Shown::Dir(dir.path.clone().into(), dir.owner),
            derive::Node::File(file) => {
                self.derive.at_hand(file)?;
                Shown::File(file.clone())
            }
        };
        let found = self.found_derived(&view, tree, shown).ok()?;
        self.note_parent(parent, &found);
        Some(Lookup::Found(found))
    }

    /// Returns whether the overlaid entries of a stored directory are known without loading
    /// resources.
    pub(in crate::mount) fn overlay_is_at_hand(&self, tree: Tree, dir: NodeId) -> bool {
        tree.is_live() && !self.is_overlaid(dir) || self.derive.view_at_hand(tree.at).is_some()
    }

    /// Returns whether a directory can be listed without loading resources.
    pub(in crate::mount) fn lists_at_hand(&self, ino: u64) -> bool {
        match self.inodes.view(ino) {
            Some(View::Node { tree, id }) => self.overlay_is_at_hand(tree, id),
            _ => self.is_at_hand(ino),
        }
    }

    /// Returns whether a request for this inode needs neither loading nor rendering.
    pub(in crate::mount) fn is_at_hand(&self, ino: u64) -> bool {
        let Some(view @ View::Derived { tree, .. }) = self.inodes.view(ino) else {
            return true;
        };
        match self.inodes.shown(view) {
            Some(Shown::File(file)) => self.derive.at_hand(&file).is_some(),
            Some(Shown::Dir(path, _)) => {
                let view = self.derive.view_at_hand(tree.at);
                view.is_some_and(|view| view.dir_at_hand(&path).is_some())
            }
            Some(Shown::Link(..)) => true,
            None => false,
        }
    }

    /// Returns the LOOKUP result of something derived.
    fn found_derived(&self, of: &derive::View, tree: Tree, shown: Shown) -> FsResult<Found> {
        let made_of = match &shown {
            Shown::File(file) => {
                let mut made_of = match self.derive.key(file) {
                    Ok(key) => key.to_vec(),
                    // A file that cannot be rendered can still be looked up: its attributes hold
                    // the error.
                    Err(error) => error.to_string().into_bytes(),
                };
                // A late reply so cannot affect the attributes of another file.
                made_of.extend(format!("{:?}", shown.owner()).into_bytes());
                made_of
            }
            _ => Vec::new(),
        };
        let size = match &shown {
            Shown::File(file) => self.derive.made(file).ok().flatten().map(|made| made.len()),
            _ => Some(0),
        };
        let view = view_of(tree, &shown, &made_of);
        let node = self.derived_node(&shown, size.unwrap_or(0))?;
        let number = self.inodes.hold_derived(view, shown.clone());
        let (name_valid, attr_valid) = match &shown {
            // Attributes sent with an entry have the inode number of this content. GETATTR returns
            // the file's own number.
            Shown::File(_) => (validity(tree), NOT_AT_ALL),
            // TTL 0: attributes that come with a name could race an invalidation of an inode that
            // the kernel does not know yet.
            Shown::Dir(..) if tree.is_live() && of.is_current() => (FOR_EVER, NOT_AT_ALL),
            _ => (validity(tree), validity(tree)),
        };
        Ok(Found {
            attr: attr::file_attr(number, &node),
            name_valid,
            attr_valid,
            generation: GENERATION,
        })
    }

    /// Returns something derived of which the kernel has the number, and counts a reference to it.
    pub(in crate::mount) fn derived_again(&self, view: View) -> FsResult<Found> {
        let shown = self.inodes.shown(view).ok_or(Errno::ESTALE)?;
        let node = self.derived_node(&shown, 0)?;
        let number = self.inodes.hold_derived(view, shown);
        Ok(Found {
            attr: attr::file_attr(number, &node),
            name_valid: NOT_AT_ALL,
            attr_valid: NOT_AT_ALL,
            generation: GENERATION,
        })
    }

    /// Returns the attributes of something derived; renders a file for its size.
    pub(in crate::mount) fn derived_attr(
        &self,
        ino: u64,
        view: View,
    ) -> FsResult<(FileAttr, Duration)> {
        let mut shown = self.inodes.shown(view).ok_or(Errno::ESTALE)?;
        if let (View::Derived { tree, .. }, Shown::Dir(path, owner)) = (view, &mut shown)
            && tree.is_live()
        {
            let view = self.derive.view(tree.at)?;
            *owner = derive::owner_of(&view, path)?.ok_or(Errno::ESTALE)?;
            let valid = self.cached.cache(ino, &view);
            return Ok((attr::file_attr(ino, &self.derived_node(&shown, 0)?), valid));
        }
        let (size, valid) = match &shown {
            Shown::File(file) => match self.derive.render(file) {
                Ok(made) => (made.len(), FOR_EVER),
                // Its size is unknown; programs stat it to read `user.pond.error`. Opening it
                // fails.
                Err(error) if error.errno == Errno::EIO => (0, NOT_AT_ALL),
                Err(error) => return Err(error.into()),
            },
            _ => (0, NOT_AT_ALL),
        };
        // A file has one number whatever its inputs, so that listings need not look at them.
        let number = match (view, &shown) {
            (View::Derived { tree, .. }, Shown::File(_)) => {
                self.inodes.number(view_of(tree, &shown, b""))
            }
            _ => ino,
        };
        Ok((
            attr::file_attr(number, &self.derived_node(&shown, size)?),
            valid,
        ))
    }

    /// Returns the made-up node of something derived.
    fn derived_node(&self, shown: &Shown, size: u64) -> FsResult<Node> {
        let root = self.pond.node(Version::NOW, NodeId::ROOT)?;
        let owner = shown.owner();
        let (kind, mode, nlink) = match shown {
            Shown::Dir(..) => (Kind::Directory, owner.mode | owner.mode >> 2, 2),
            Shown::File(_) => (Kind::File, owner.mode, 1),
            Shown::Link(..) => (Kind::Symlink, 0o777, 1),
        };
        let target: Box<[u8]> = match shown {
            Shown::Link(target, _) => (**target).into(),
            _ => Box::default(),
        };
        Ok(Node {
            kind,
            mode,
            uid: owner.uid,
            gid: owner.gid,
            nlink,
            size: size.max(target.len() as u64),
            allocated: size,
            atime: owner.modified,
            mtime: owner.modified,
            ctime: owner.modified,
            btime: owner.modified,
            target,
            ..root
        })
    }

    /// Returns the node of something derived, without rendering it.
    pub(in crate::mount) fn derived_itself(&self, view: View) -> FsResult<Node> {
        let shown = self.inodes.shown(view).ok_or(Errno::ESTALE)?;
        self.derived_node(&shown, 0)
    }

    /// Returns the entries of a derived directory.
    pub(in crate::mount) fn derived_items(&self, view: View) -> FsResult<Vec<Item>> {
        let (View::Derived { tree, .. }, Some(Shown::Dir(path, _))) =
            (view, self.inodes.shown(view))
        else {
            return Err(Errno::ENOTDIR.into());
        };
        let dir = self.derived_dir(&*self.derive.view(tree.at)?, &path)?;
        let item = |(name, node): (&Name, &derive::Node)| {
            let (shown, kind) = match node {
                derive::Node::Dir(dir) => (
                    Shown::Dir(dir.path.clone().into(), dir.owner),
                    Kind::Directory,
                ),
                derive::Node::File(file) => (Shown::File(file.clone()), Kind::File),
            };
            Item::derived(name, view_of(tree, &shown, b""), kind)
        };
        Ok(dir.entries.iter().map(item).collect())
    }

    /// Opens a derived file, after rendering it.
    pub(in crate::mount) fn open_derived(&self, view: View) -> FsResult<u64> {
        match self.inodes.shown(view) {
            Some(Shown::File(file)) => {
                let made = self.derive.render(&file)?;
                Ok(self.opened.open(Content::Derived(made)))
            }
            Some(_) => Err(Errno::EISDIR.into()),
            None => Err(Errno::ESTALE.into()),
        }
    }

    /// Returns whether the view of a number is derived, so that a reply may take long.
    pub(in crate::mount) fn is_derived(&self, ino: u64) -> bool {
        matches!(self.inodes.view(ino), Some(View::Derived { .. }))
    }

    /// Returns an extended attribute of a derived file.
    pub(in crate::mount) fn derived_xattr(
        &self,
        caller: &Caller,
        view: View,
        name: &[u8],
    ) -> FsResult<Bytes> {
        let Some(Shown::File(file)) = self.inodes.shown(view) else {
            return Err(Errno::ENODATA.into());
        };
        let told = |text: String| Ok(text.into_bytes().into());
        match name {
            KIND => return told("derived".into()),
            RECIPE => return told(derive::recipe_file(&file.path)),
            ERROR => {
                let failure = self.derive.failure(&file, caller).ok_or(Errno::ENODATA)?;
                return told(failure.to_string());
            }
            _ => {}
        }
        self.derive.render(&file)?;
        let lineage = self.derive.lineage(&file, caller)?;
        let lineage = lineage.ok_or(Errno::ENODATA)?;
        let at = lineage
            .version
            .map_or(String::new(), |version| format!("@{version}"));
        match name {
            INPUTS => {
                let inputs = lineage.inputs.iter().map(|path| format!("{path}{at}"));
                told(inputs.collect::<Vec<_>>().join(","))
            }
            ROWS => told(lineage.rows.ok_or(Errno::ENODATA)?.to_string()),
            TOOK => told(lineage.took.to_string()),
            _ => Err(Errno::ENODATA.into()),
        }
    }

    /// Returns the names of these attributes.
    pub(in crate::mount) fn list_derived_xattrs(&self, view: View) -> Vec<u8> {
        match self.inodes.shown(view) {
            Some(Shown::File(_)) => [KIND, RECIPE, INPUTS, ROWS, TOOK]
                .map(|name| [name, b"\0"].concat())
                .concat(),
            _ => Vec::new(),
        }
    }

    /// Notes that a name in a live directory was made, moved or removed.
    pub(in crate::mount) fn name_changed(self: &Arc<Vfs>, dir: NodeId, name: &Name) {
        let kind = || {
            let text = std::str::from_utf8(name.as_bytes()).ok();
            text.is_some_and(|text| self.derive.kinds().find(text).is_ok())
        };
        if dir == NodeId::ROOT && kind() {
            // Entered at once, so that the next request in that directory sees it.
            if let Ok(Some((id, _))) = self.pond.lookup(Version::NOW, dir, name) {
                self.places.dirs.write().insert(id);
            }
            self.look_again();
        } else if self.is_overlaid(dir) || self.places.wanted.load(Ordering::Relaxed) {
            self.look_again();
        }
    }

    /// Notes that the content of a live file was changed.
    pub(in crate::mount) fn content_changed(self: &Arc<Vfs>, id: NodeId) {
        if self.places.files.read().contains(&id) {
            self.look_again();
        }
    }

    /// Starts a pass of the `resources` thread, which may invalidate names. At most one such thread
    /// runs; a change during its pass triggers another pass.
    pub(in crate::mount) fn look_again(self: &Arc<Vfs>) {
        let before = self.places.looking.swap(AGAIN, Ordering::AcqRel);
        if before != IDLE {
            return;
        }
        let vfs = self.clone();
        let looking = std::thread::Builder::new()
            .name("resources".into())
            .spawn(move || {
                let looking = &vfs.places.looking;
                loop {
                    looking.store(LOOKING, Ordering::Release);
                    vfs.look();
                    let end = looking.compare_exchange(
                        LOOKING,
                        IDLE,
                        Ordering::AcqRel,
                        Ordering::Acquire,
                    );
                    if end.is_ok() {
                        break;
                    }
                }
            });
        if let Err(error) = looking {
            tracing::warn!("no thread to look for resources in: {error}");
            self.places.looking.store(IDLE, Ordering::Release);
        }
    }

    /// Finds where resources are shown now.
    pub(in crate::mount) fn look(&self) {
        let view = match self.derive.view(Version::NOW) {
            Ok(view) => view,
            Err(error) => return tracing::warn!("the resources cannot be read: {error}"),
        };
        let names: BTreeSet<(NodeId, Name)> = view.registry.names().cloned().collect();
        let mut dirs: FxHashSet<NodeId> = names.iter().map(|(dir, _)| *dir).collect();
        for kind in self.derive.kinds().iter() {
            if let Ok(name) = Name::new(kind.as_str().as_bytes())
                && let Ok(Some((id, node))) = self.pond.lookup(Version::NOW, NodeId::ROOT, &name)
                && node.is_dir()
            {
                dirs.insert(id);
            }
        }
        *self.places.dirs.write() = dirs;
        self.places
            .wanted
            .store(view.registry.wants, Ordering::Relaxed);
        *self.places.files.write() = view.registry.resources.iter().map(|r| r.file).collect();
        let before = std::mem::replace(&mut *self.places.names.lock(), names.clone());
        let changed: Vec<_> = before.symmetric_difference(&names).cloned().collect();
        if !changed.is_empty() {
            let nodes = changed.iter().map(|(dir, _)| *dir).collect();
            self.pond.announce(&Restored {
                names: changed,
                nodes,
                ..Restored::default()
            });
        }
    }
}

fn validity(tree: Tree) -> Duration {
    match tree.is_live() {
        true => NOT_AT_ALL,
        false => FOR_EVER,
    }
}

fn view_of(tree: Tree, shown: &Shown, made_of: &[u8]) -> View {
    View::Derived {
        tree,
        id: DerivedKey::of(shown.path(), made_of),
    }
}

fn kind_of(shown: &Shown) -> Kind {
    match shown {
        Shown::Dir(..) => Kind::Directory,
        Shown::File(_) => Kind::File,
        Shown::Link(..) => Kind::Symlink,
    }
}

/// Resolves an overlaid name. Does not list the files of the resource, which may take long.
fn shown(view: &derive::View, overlay: &Overlay) -> FsResult<Shown> {
    let (Overlay::Resource(number) | Overlay::Link(number)) = overlay;
    let resource = view.registry.resource(*number).ok_or(Errno::ENOENT)?;
    let owner = resource.owner();
    Ok(match overlay {
        Overlay::Resource(_) => Shown::Dir(resource.path().into_bytes().into(), owner),
        Overlay::Link(_) => Shown::Link(resource.name.clone().into_bytes().into(), owner),
    })
}
