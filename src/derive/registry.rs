//! The resources of a pond at a version, and where they show.
//!
//! A resource is the file `/KIND/NAME.yaml`; it shows as the directory `/KIND/NAME`, as a link `/KIND/UUID` to
//! that, and where its `metadata.path` says. What is stored under one of these names hides it there.

use super::DeriveError;
use super::document::Document;
use super::node::Owner;
use super::patterns::{Pattern, reaches};
use super::spec::Kind;
use crate::pond::Pond;
use crate::tinyfs::{FsResult, Name, Node, NodeId, Time, Version};
use parking_lot::Mutex;
use rustc_hash::FxHashMap;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What the names of resources' files end in.
pub const ENDING: &str = ".yaml";
/// The longest file that is taken for one, in bytes.
const MAX_FILE: u64 = 4 << 20;

/// A resource.
pub struct Resource {
    /// Its kind.
    pub kind: Kind,
    /// Its name.
    pub name: String,
    /// What its file says, or why that is no resource.
    pub document: Result<Arc<Document>, DeriveError>,
    /// The file.
    pub file: NodeId,
    pub(super) owner: Owner,
}

impl Resource {
    /// Who owns it, and what is told of its directory.
    pub fn owner(&self) -> Owner {
        self.owner
    }

    /// The directory that it shows as.
    pub fn path(&self) -> String {
        format!("/{}/{}", self.kind, self.name)
    }

    /// The places that it shows at, as names from the root.
    fn places(&self) -> Vec<Vec<String>> {
        let kind = self.kind.to_string();
        let mut places = vec![vec![kind.clone(), self.name.clone()]];
        if let Ok(document) = &self.document {
            places.extend(document.uuid.map(|uuid| vec![kind, uuid.to_string()]));
            places.extend(document.metadata.get("path").map(|path| names(path)));
        }
        places
    }
}

fn names(path: &str) -> Vec<String> {
    let names = path.split('/').filter(|name| !name.is_empty());
    names.map(str::to_owned).collect()
}

/// What a name in a stored directory leads to besides what is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Overlay {
    /// The directory of this resource.
    Resource(usize),
    /// A link to a name in the same directory, that of this resource.
    Link(usize),
}

/// All resources at a version.
pub struct Registry {
    /// The resources, by kind and name.
    pub resources: Vec<Resource>,
    /// What is wrong: a path, and why.
    pub problems: Vec<(String, String)>,
    /// Whether one is to show in a directory that is not there.
    pub wants: bool,
    overlays: BTreeMap<(NodeId, Name), Overlay>,
}

/// What files of resources say, by what does not stay the same when they change.
#[derive(Default)]
pub(super) struct Parsed(Mutex<FxHashMap<Stamp, Parse>>);

/// A file, its size, and when its content and anything of it changed.
type Stamp = (NodeId, u64, Time, Time);

type Parse = Result<Arc<Document>, DeriveError>;

/// How many parsed files are remembered.
const REMEMBERED: usize = 4_096;

impl Parsed {
    fn of(&self, pond: &Pond, at: Version, id: NodeId, node: &Node) -> FsResult<Parse> {
        let key = (id, node.size, node.mtime, node.ctime);
        if let Some(known) = self.0.lock().get(&key) {
            return Ok(known.clone());
        }
        let parse = match node.size > MAX_FILE {
            true => Err(DeriveError::new("it is too long to be a resource")),
            false => {
                let bytes = pond.read(at, id, 0, node.size)?;
                let text =
                    String::from_utf8(bytes).map_err(|_| DeriveError::new("it is not UTF-8"));
                text.and_then(|text| Document::parse(&text).map_err(DeriveError::new))
                    .map(Arc::new)
            }
        };
        let mut known = self.0.lock();
        if known.len() >= REMEMBERED {
            known.clear();
        }
        known.insert(key, parse.clone());
        Ok(parse)
    }
}

impl Registry {
    /// Reads the resources of a version.
    pub(super) fn load(pond: &Pond, at: Version, parsed: &Parsed) -> FsResult<Registry> {
        let mut registry = Registry {
            resources: Vec::new(),
            problems: Vec::new(),
            wants: false,
            overlays: BTreeMap::new(),
        };
        for kind in Kind::ALL {
            registry.load_kind(pond, at, parsed, *kind)?;
        }
        registry.break_cycles();
        for (n, resource) in registry.resources.iter().enumerate() {
            if let Err(error) = &resource.document {
                let path = format!("{}{ENDING}", resource.path());
                registry.problems.push((path, error.to_string()));
            }
            let Ok(document) = &resource.document else {
                continue;
            };
            let Some(path) = document.metadata.get("path") else {
                continue;
            };
            let mut place = names(path);
            let last = place.pop().and_then(|name| Name::new(name.as_bytes()).ok());
            let parent = pond.find(at, place.join("/").as_bytes())?;
            match (last, parent) {
                (Some(name), Some(dir)) => {
                    registry.overlays.insert((dir, name), Overlay::Resource(n));
                }
                _ => {
                    let why = format!("metadata.path: there is no directory /{}", place.join("/"));
                    registry
                        .problems
                        .push((format!("{}{ENDING}", resource.path()), why));
                    registry.wants = true;
                }
            }
        }
        Ok(registry)
    }

    fn load_kind(&mut self, pond: &Pond, at: Version, parsed: &Parsed, kind: Kind) -> FsResult<()> {
        let Ok(name) = Name::new(kind.as_str().as_bytes()) else {
            return Ok(());
        };
        let Some((dir, folder)) = pond.lookup(at, NodeId::ROOT, &name)? else {
            return Ok(());
        };
        if !folder.is_dir() {
            return Ok(());
        }
        for (file, dentry) in pond.list(at, dir)? {
            let text = std::str::from_utf8(file.as_bytes()).ok();
            let Some(stem) = text.and_then(|name| name.strip_suffix(ENDING)) else {
                continue;
            };
            let Ok(shown) = Name::new(stem.as_bytes()) else {
                continue;
            };
            let node = pond.node(at, dentry.child)?;
            if node.kind != crate::tinyfs::Kind::File {
                continue;
            }
            let document = parsed.of(pond, at, dentry.child, &node)?;
            let document = document.and_then(|document| fits(document, kind, stem));
            let n = self.resources.len();
            if kind.is_derived() {
                self.overlays.insert((dir, shown), Overlay::Resource(n));
            }
            if let Ok(document) = &document
                && let Some(uuid) = document.uuid
                && let Ok(link) = Name::new(uuid.to_string().as_bytes())
                && kind.is_derived()
            {
                self.overlays.insert((dir, link), Overlay::Link(n));
            }
            self.resources.push(Resource {
                kind,
                name: stem.to_owned(),
                document,
                file: dentry.child,
                owner: Owner {
                    uid: node.uid,
                    gid: node.gid,
                    mode: node.mode & 0o444,
                    modified: node.mtime,
                },
            });
        }
        Ok(())
    }

    /// What a name in a stored directory leads to.
    pub fn overlay(&self, dir: NodeId, name: &Name) -> Option<&Overlay> {
        self.overlays.get(&(dir, name.clone()))
    }

    /// All such names in a stored directory.
    pub fn overlays(&self, dir: NodeId) -> impl Iterator<Item = (&Name, &Overlay)> {
        let from = self.overlays.range((dir, Name::lowest())..);
        from.take_while(move |((of, _), _)| *of == dir)
            .map(|((_, name), overlay)| (name, overlay))
    }

    /// All names in stored directories that resources show under.
    pub fn names(&self) -> impl Iterator<Item = &(NodeId, Name)> {
        self.overlays.keys()
    }

    /// A resource by its number.
    pub fn resource(&self, number: usize) -> Option<&Resource> {
        self.resources.get(number)
    }

    /// The resources that each resource takes something from.
    fn needs(&self) -> Vec<Vec<usize>> {
        let places: Vec<Vec<Vec<String>>> = self.resources.iter().map(Resource::places).collect();
        let needs = |resource: &Resource| {
            let Ok(document) = &resource.document else {
                return Vec::new();
            };
            let patterns = super::build::patterns(&document.spec);
            let patterns: Vec<Pattern> = patterns
                .iter()
                .filter_map(|p| Pattern::new(p).ok())
                .collect();
            let needed = |places: &Vec<Vec<String>>| {
                let reached = |place: &Vec<String>| patterns.iter().any(|p| reaches(p, place));
                places.iter().any(reached)
            };
            let all = places.iter().enumerate();
            all.filter(|(_, places)| needed(places))
                .map(|(n, _)| n)
                .collect()
        };
        self.resources.iter().map(needs).collect()
    }

    /// Adds a document, or puts it in the place of the one of its kind and name, if nothing is made of itself then.
    pub(super) fn with(mut self, document: Document) -> Result<(), DeriveError> {
        let (kind, name) = (document.spec.kind(), document.name.clone());
        let is = |r: &Resource| r.kind == kind && r.name == name;
        let document = Ok(Arc::new(document));
        let place = match self.resources.iter().position(is) {
            Some(place) => place,
            None => {
                self.resources.push(Resource {
                    kind,
                    name,
                    document: document.clone(),
                    file: NodeId::ROOT,
                    owner: Owner {
                        uid: 0,
                        gid: 0,
                        mode: 0,
                        modified: Time::default(),
                    },
                });
                self.resources.len() - 1
            }
        };
        if let Some(resource) = self.resources.get_mut(place) {
            resource.document = document;
        }
        self.break_cycles();
        match self.resources.get(place).map(|resource| &resource.document) {
            Some(Err(error)) => Err(error.clone()),
            _ => Ok(()),
        }
    }

    /// Refuses resources that would be made of themselves.
    fn break_cycles(&mut self) {
        let needs = self.needs();
        let cycles: Vec<Option<Vec<usize>>> = (0..needs.len()).map(|n| cycle(&needs, n)).collect();
        let paths: Vec<String> = self.resources.iter().map(Resource::path).collect();
        for (resource, cycle) in self.resources.iter_mut().zip(cycles) {
            let Some(cycle) = cycle else { continue };
            let way: Vec<&str> = cycle
                .iter()
                .filter_map(|n| paths.get(*n))
                .map(String::as_str)
                .collect();
            let why = format!("it would be made of itself: {}", way.join(" takes from "));
            resource.document = Err(DeriveError::new(why));
        }
    }

    /// The resources in an order in which each comes behind those that it takes from.
    pub fn order(&self) -> Vec<usize> {
        let needs = self.needs();
        let (mut order, mut done) = (Vec::new(), vec![false; needs.len()]);
        for n in 0..needs.len() {
            place(&needs, n, &mut done, &mut order);
        }
        order
    }
}

fn place(needs: &[Vec<usize>], n: usize, done: &mut [bool], order: &mut Vec<usize>) {
    match done.get_mut(n) {
        Some(done) if !*done => *done = true,
        _ => return,
    }
    for needed in needs.get(n).into_iter().flatten() {
        place(needs, *needed, done, order);
    }
    order.push(n);
}

/// A way from a resource to itself.
fn cycle(needs: &[Vec<usize>], from: usize) -> Option<Vec<usize>> {
    let mut ways = vec![vec![from]];
    let mut seen = vec![false; needs.len()];
    while let Some(way) = ways.pop() {
        let last = way.last()?;
        for next in needs.get(*last)? {
            let mut longer = way.clone();
            longer.push(*next);
            if *next == from {
                return Some(longer);
            }
            if let Some(seen) = seen.get_mut(*next)
                && !*seen
            {
                *seen = true;
                ways.push(longer);
            }
        }
    }
    None
}

/// A document, if it is of this kind and name.
fn fits(document: Arc<Document>, kind: Kind, name: &str) -> Result<Arc<Document>, DeriveError> {
    let found = document.spec.kind();
    if found != kind {
        let why = format!("its kind is {found}, so it belongs into /{found}, not into /{kind}");
        return Err(DeriveError::new(why));
    }
    if document.name != name {
        let why = format!(
            "its name is {:?}, so its file is to be called {}{ENDING}, not {name}{ENDING}",
            document.name, document.name
        );
        return Err(DeriveError::new(why));
    }
    Ok(document)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cycles_are_found_with_their_way() {
        let needs = vec![vec![1], vec![2], vec![0], vec![0], vec![4]];
        assert_eq!(cycle(&needs, 0), Some(vec![0, 1, 2, 0]));
        assert_eq!(cycle(&needs, 3), None);
        assert_eq!(cycle(&needs, 4), Some(vec![4, 4]));
        let needs = vec![vec![2], vec![], vec![1]];
        assert_eq!((0..3).filter_map(|n| cycle(&needs, n)).count(), 0);
    }

    #[test]
    fn what_is_needed_comes_first() {
        let (needs, mut order) = (vec![vec![2], vec![], vec![1]], Vec::new());
        let mut done = vec![false; 3];
        (0..3).for_each(|n| place(&needs, n, &mut done, &mut order));
        assert_eq!(order, [1, 2, 0]);
    }
}
