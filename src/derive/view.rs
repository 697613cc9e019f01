//! The derived tree at one version: the resources, and the directory of each.

use super::node::{DerivedFile, Dir, Input, Node};
use super::{DeriveError, plan};
use crate::pond::Pond;
use crate::resource::pattern::{self, Pattern};
use crate::resource::{DocumentCache, ENDING, Overlay, Owner, Registry, Resource};
use crate::tinyfs::ops::Caller;
use crate::tinyfs::{self, FsResult, Kind, Name, NodeId, Place, Time, Version};
use parking_lot::Mutex;
use rustc_hash::FxHashMap;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The most resources in a chain of inputs. There are no cycles; this bounds the stack.
const MAX_DEPTH: usize = 64;

/// The derived tree at a version; for the present, at a count of the pond's changes.
pub struct View {
    pub(super) pond: Arc<Pond>,
    /// The version.
    pub at: Version,
    pub(super) changes: u64,
    /// The resources.
    pub registry: Registry,
    trees: Mutex<FxHashMap<usize, Arc<Dir>>>,
}

/// A match of a pattern.
pub(super) struct Found {
    pub(super) name: String,
    pub(super) captures: Vec<String>,
    /// The captures of directories: files with the same scope are one series.
    pub(super) scope: String,
    pub(super) input: Input,
    pub(super) modified: Time,
}

impl View {
    pub(super) fn load(pond: &Arc<Pond>, at: Version, documents: &DocumentCache) -> FsResult<View> {
        let changes = pond.changes();
        Ok(View {
            pond: pond.clone(),
            at,
            changes,
            registry: Registry::load(pond, at, documents)?,
            trees: Mutex::default(),
        })
    }

    /// Returns whether it shows the present state.
    pub fn is_current(&self) -> bool {
        self.at != Version::NOW || self.changes == self.pond.changes()
    }

    /// Returns the directory of a resource.
    pub fn tree(&self, number: usize) -> FsResult<Arc<Dir>> {
        Ok(self.tree_at(number, 0)?)
    }

    fn tree_at(&self, number: usize, depth: usize) -> Result<Arc<Dir>, DeriveError> {
        if let Some(tree) = self.trees.lock().get(&number) {
            return Ok(tree.clone());
        }
        let resource = self.registry.resource(number);
        let resource = resource.ok_or_else(|| DeriveError::new("there is no such resource"))?;
        if depth > MAX_DEPTH {
            return Err(DeriveError::new(
                "resources take from each other too deeply",
            ));
        }
        let finder = Finder {
            view: self,
            reader: resource.owner,
            depth,
        };
        let tree = Arc::new(plan::directory(&finder, resource));
        self.trees.lock().insert(number, tree.clone());
        Ok(tree)
    }

    /// Returns the directory at a path, if it is already known.
    pub fn dir_at_hand(&self, path: &[u8]) -> Option<Arc<Dir>> {
        let (number, names) = place(self, path)?;
        let mut dir = self.trees.lock().get(&number)?.clone();
        for name in names {
            dir = match dir.entries.get(&Name::new(name).ok()?)? {
                Node::Dir(below) => below.clone(),
                Node::File(_) => return None,
            };
        }
        Some(dir)
    }

    /// Returns why a resource shows nothing, if it does not.
    pub fn problem(&self, number: usize) -> Option<String> {
        let resource = self.registry.resource(number)?;
        match &resource.document {
            Err(error) => Some(error.to_string()),
            Ok(_) => plan::told(&*self.tree(number).ok()?),
        }
    }
}

/// Finds the inputs of a resource, with the permissions of its owner.
pub(super) struct Finder<'v> {
    pub(super) view: &'v View,
    reader: Owner,
    depth: usize,
}

impl Finder<'_> {
    /// Returns the matches of a pattern, in the order of names.
    pub(super) fn find(&self, text: &str) -> Result<Vec<Found>, DeriveError> {
        let pattern = Pattern::new(text)?;
        let (view, mut dir) = (self.view, NodeId::ROOT);
        for (n, name) in pattern.components.iter().take(pattern.names).enumerate() {
            let name = Name::new(name.as_bytes())
                .map_err(|_| DeriveError::new(format!("{text:?} has a name that is none")))?;
            let stored = view.pond.lookup(view.at, dir, &name)?.is_some();
            if let (false, Some(overlay)) = (stored, view.registry.overlay(dir, &name)) {
                let mut found = Vec::new();
                self.in_resource(&pattern, n, number_of(overlay), &[], &mut found)?;
                return Ok(found);
            }
            let wd = view.pond.directory(view.at, dir)?;
            match wd.open_path(name.as_bytes(), tinyfs::Last::Follow) {
                Ok(Place::Node(id, node)) if node.is_dir() && self.may(&node, 0o1) => dir = id,
                Ok(_) => return Ok(Vec::new()),
                Err(tinyfs::FsError::Posix(_)) => return Ok(Vec::new()),
                Err(error) => return Err(error.into()),
            }
        }
        let mut found = self.stored(&pattern, dir)?;
        let (first, rest) = match pattern.components.get(pattern.names..) {
            Some([first, rest @ ..]) => (first, rest),
            _ => return Ok(found),
        };
        for (name, overlay) in view.registry.overlays(dir) {
            let Overlay::Resource(number) = overlay else {
                continue;
            };
            if rest.is_empty() || view.pond.lookup(view.at, dir, name)?.is_some() {
                continue;
            }
            if let Some(captures) = pattern::matches(first, name.as_bytes()) {
                self.in_resource(&pattern, pattern.names, *number, &captures, &mut found)?;
            }
        }
        found.sort_by_cached_key(|found| found.input.path());
        Ok(found)
    }

    /// Returns the files of the pond that match below a directory.
    fn stored(&self, pattern: &Pattern, dir: NodeId) -> Result<Vec<Found>, DeriveError> {
        let view = self.view;
        let prefix = pattern
            .components
            .get(..pattern.names)
            .unwrap_or_default()
            .join("/");
        let mut all = Vec::new();
        for found in view
            .pond
            .directory(view.at, dir)?
            .matches(&pattern.rest(pattern.names)?)?
        {
            let Place::Node(id, node) = &found.place else {
                continue;
            };
            if node.kind != Kind::File || !self.reaches(dir, pattern, &found.path)? {
                continue;
            }
            let names: Vec<&[u8]> = found.path.iter().map(Name::as_bytes).collect();
            let path = text(&names.join(&b'/'))?;
            if !self.may(node, 0o4) {
                let why = format!("/{prefix}/{path} may not be read by the owner of the resource");
                return Err(DeriveError::new(why));
            }
            let path = match prefix.is_empty() {
                true => format!("/{path}"),
                false => format!("/{prefix}/{path}"),
            };
            let input = Input::Stored { path, id: *id };
            all.push(of(pattern, &found.captures, input, node.mtime)?);
        }
        Ok(all)
    }

    /// Returns whether the owner can reach the match of a pattern below a directory: may search
    /// each directory, and list it where the name in it is matched by a wildcard.
    fn reaches(
        &self,
        mut dir: NodeId,
        pattern: &Pattern,
        path: &[Name],
    ) -> Result<bool, DeriveError> {
        let view = self.view;
        if self.reader.uid == 0 {
            return Ok(true);
        }
        if !self.passes(&view.pond.node(view.at, dir)?, pattern.is_wild(0)) {
            return Ok(false);
        }
        let folders = path.split_last().map_or(&[][..], |(_, folders)| folders);
        for (n, name) in folders.iter().enumerate() {
            let wild = pattern.is_wild(n + 1);
            match view.pond.lookup(view.at, dir, name)? {
                Some((id, node)) if node.is_dir() && self.passes(&node, wild) => dir = id,
                // A link was followed; its target was checked by its own modes.
                Some((_, node)) if !node.is_dir() => return Ok(true),
                _ => return Ok(false),
            }
        }
        Ok(true)
    }

    /// Returns whether the owner may search a directory or, with `lists`, list it.
    fn passes(&self, dir: &tinyfs::Node, lists: bool) -> bool {
        self.may(dir, 0o1) && (!lists || self.may(dir, 0o4))
    }

    /// Returns whether the owner of the resource has a permission on a node.
    fn may(&self, node: &tinyfs::Node, bit: u16) -> bool {
        may((self.reader.uid, self.reader.gid), node, bit)
    }

    /// Returns the files of a resource that match behind component `at` of the pattern.
    fn in_resource(
        &self,
        pattern: &Pattern,
        at: usize,
        number: usize,
        captures: &[Vec<u8>],
        found: &mut Vec<Found>,
    ) -> Result<(), DeriveError> {
        let resource = self.view.registry.resource(number);
        if let Some(Err(error)) = resource.map(|resource| &resource.document) {
            let path = resource.map(Resource::path).unwrap_or_default();
            return Err(DeriveError::from(error.clone()).about(&path));
        }
        let tree = self.view.tree_at(number, self.depth + 1)?;
        if let Some(why) = plan::told(&tree) {
            let path = resource.map(Resource::path).unwrap_or_default();
            return Err(DeriveError::new(format!("{path}: {why}")));
        }
        let rest = pattern.rest(at + 1)?;
        if rest.captures() == 0 {
            // A name may have another format than the listed one.
            let names = pattern.components.get(at + 1..).unwrap_or_default();
            if let Some(Node::File(file)) = descend(&tree, names) {
                let modified = file.owner.modified;
                found.push(of(pattern, captures, Input::Derived(file), modified)?);
            }
            return Ok(());
        }
        let mut way = Vec::new();
        each_file(&tree, &mut way, &mut |way, file| {
            if let Some(more) = rest.matches(way) {
                let captures = [captures, &more].concat();
                let (input, modified) = (Input::Derived(file.clone()), file.owner.modified);
                found.push(of(pattern, &captures, input, modified)?);
            }
            Ok(())
        })
    }
}

/// Returns whether a user has a permission on a node. The user's supplementary groups are unknown.
fn may((uid, gid): (u32, u32), node: &tinyfs::Node, bit: u16) -> bool {
    let bits = match () {
        () if uid == 0 => return true,
        () if uid == node.uid => node.mode >> 6,
        () if gid == node.gid => node.mode >> 3,
        () => node.mode,
    };
    bits & bit != 0
}

/// Returns whether a user may list the directory of an input, and so may learn its name.
pub(super) fn may_list(pond: &Arc<Pond>, at: Version, input: &Input, asker: &Caller) -> bool {
    asker.uid == 0 || lists(pond, at, input, asker).unwrap_or(false)
}

fn lists(pond: &Arc<Pond>, at: Version, input: &Input, asker: &Caller) -> FsResult<bool> {
    let user = (asker.uid, asker.gid);
    let path = input.path();
    let mut names = path.split('/').filter(|name| !name.is_empty()).peekable();
    let mut dir = (NodeId::ROOT, pond.node(at, NodeId::ROOT)?);
    while let Some(name) = names.next() {
        if !may(user, &dir.1, 0o1) {
            return Ok(false);
        }
        if names.peek().is_none() {
            return Ok(may(user, &dir.1, 0o4));
        }
        dir = match pond
            .directory(at, dir.0)?
            .open_path(name.as_bytes(), tinyfs::Last::Follow)
        {
            Ok(Place::Node(id, node)) if node.is_dir() => (id, node),
            // Below here it is derived, with the permissions of its resource.
            Ok(_) | Err(tinyfs::FsError::Posix(_)) => {
                let Input::Derived(file) = input else {
                    return Ok(false);
                };
                let Owner { uid, gid, mode, .. } = file.owner;
                let node = tinyfs::Node {
                    uid,
                    gid,
                    mode,
                    ..dir.1
                };
                return Ok(may(user, &node, 0o4));
            }
            Err(error) => return Err(error),
        };
    }
    Ok(false)
}

/// Returns the resource of an overlay.
pub(super) fn number_of(overlay: &Overlay) -> usize {
    match overlay {
        Overlay::Resource(number) | Overlay::Link(number) => *number,
    }
}

fn descend(dir: &Arc<Dir>, names: &[String]) -> Option<Node> {
    let (first, rest) = names.split_first()?;
    let node = child(dir, &Name::new(first.as_bytes()).ok()?)?;
    match (node, rest) {
        (node, []) => Some(node),
        (Node::Dir(dir), rest) => descend(&dir, rest),
        (Node::File(_), _) => None,
    }
}

/// Looks up a name in a derived directory: a listed entry, or the rows of a listed file in another
/// format.
pub fn child(dir: &Dir, name: &Name) -> Option<Node> {
    if let Some(node) = dir.entries.get(name) {
        return Some(node.clone());
    }
    let text = std::str::from_utf8(name.as_bytes()).ok()?;
    let (format, stem) = crate::query::Format::of_name(text)?;
    let listed = |name: &str| match dir.entries.get(&Name::new(name.as_bytes()).ok()?)? {
        Node::File(file) if file.recipe.is_table() => Some(file.clone()),
        _ => None,
    };
    let parquet = format!("{stem}.parquet");
    let file = listed(stem).or_else(|| listed(&parquet))?;
    let path = [&dir.path[..], b"/", name.as_bytes()].concat();
    Some(Node::File(Arc::new(file.in_format(format, path))))
}

/// Takes a file and the names on the path to it.
type Take<'t> = &'t mut dyn FnMut(&[&[u8]], &Arc<DerivedFile>) -> Result<(), DeriveError>;

fn each_file<'d>(dir: &'d Dir, way: &mut Vec<&'d [u8]>, take: Take<'_>) -> Result<(), DeriveError> {
    for (name, node) in &dir.entries {
        way.push(name.as_bytes());
        match node {
            Node::Dir(dir) => each_file(dir, way, take)?,
            Node::File(file) => take(way, file)?,
        }
        way.pop();
    }
    Ok(())
}

fn of(
    pattern: &Pattern,
    captures: &[Vec<u8>],
    input: Input,
    modified: Time,
) -> Result<Found, DeriveError> {
    let captures = captures
        .iter()
        .map(|capture| text(capture))
        .collect::<Result<Vec<_>, _>>()?;
    let folders = captures
        .get(..pattern.directory_captures())
        .unwrap_or_default();
    let path = input.path();
    Ok(Found {
        name: path.rsplit('/').next().unwrap_or_default().to_owned(),
        scope: folders.join("."),
        captures,
        input,
        modified,
    })
}

fn text(bytes: &[u8]) -> Result<String, DeriveError> {
    let text = std::str::from_utf8(bytes).map(str::to_owned);
    text.map_err(|_| DeriveError::new(format!("{}: the name is not UTF-8", bytes.escape_ascii())))
}

/// The entries of a directory by their names.
pub(super) type Entries = BTreeMap<Name, Node>;

/// Returns the resource that a path is in, and the names behind it.
fn place<'p>(
    view: &View,
    path: &'p [u8],
) -> Option<(usize, impl Iterator<Item = &'p [u8]> + use<'p>)> {
    let mut names = path
        .split(|byte| *byte == b'/')
        .filter(|name| !name.is_empty());
    let (kind, name) = (names.next()?, names.next()?);
    let is = |r: &Resource| r.kind.as_str().as_bytes() == kind && r.name.as_bytes() == name;
    let number = view.registry.resources.iter().position(is)?;
    Some((number, names))
}

/// Returns the node at a path: the directory of a resource, or a node below it.
fn find(view: &View, path: &[u8]) -> FsResult<Option<Node>> {
    let Some((number, names)) = place(view, path) else {
        return Ok(None);
    };
    let mut node = Node::Dir(view.tree(number)?);
    for name in names {
        let below = match (&node, Name::new(name)) {
            (Node::Dir(dir), Ok(name)) => child(dir, &name),
            _ => None,
        };
        match below {
            Some(below) => node = below,
            None => return Ok(None),
        }
    }
    Ok(Some(node))
}

/// Returns the owner of the derived directory at a path, if it exists. Does not list the inputs of
/// a resource for its own directory.
pub fn owner_of(view: &View, path: &[u8]) -> FsResult<Option<Owner>> {
    let Some((number, mut names)) = place(view, path) else {
        return Ok(None);
    };
    Ok(match names.next() {
        None => view
            .registry
            .resource(number)
            .map(|resource| resource.owner),
        Some(_) => find_dir(view, path)?.map(|dir| dir.owner),
    })
}

/// Returns the derived directory at a path.
pub fn find_dir(view: &View, path: &[u8]) -> FsResult<Option<Arc<Dir>>> {
    Ok(match find(view, path)? {
        Some(Node::Dir(dir)) => Some(dir),
        _ => None,
    })
}

/// Returns the derived file at a path.
pub(super) fn find_file(view: &View, path: &[u8]) -> Option<Arc<DerivedFile>> {
    match find(view, path) {
        Ok(Some(Node::File(file))) => Some(file),
        _ => None,
    }
}

/// Returns the file of the resource of a derived path.
pub fn recipe_file(path: &[u8]) -> String {
    let path = String::from_utf8_lossy(path);
    let names: Vec<&str> = path
        .split('/')
        .filter(|name| !name.is_empty())
        .take(2)
        .collect();
    format!("/{}{}", names.join("/"), ENDING)
}
