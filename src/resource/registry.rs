//! The resources of a pond at a version, and the directories in which they are shown.
//!
//! A resource is the file `/KIND/NAME.yaml`. It is shown as the directory `/KIND/NAME`, as a link
//! `/KIND/UUID` to that, and at its `metadata.path`. A stored entry of such a name hides it there.

use super::ResourceError;
use super::dependencies::{Needs, break_cycles};
use super::document::Document;
use super::kind::{KindEntry, Kinds};
use crate::pond::Pond;
use crate::tinyfs::{FsResult, Name, Node, NodeId, Time, Version};
use parking_lot::Mutex;
use rustc_hash::FxHashMap;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The ending of resources' file names.
pub const ENDING: &str = ".yaml";

/// The owner and the permissions of a resource, and of what is derived from it.
#[derive(Clone, Copy, Debug)]
pub struct Owner {
    /// The owner of the resource.
    pub uid: u32,
    /// Its group.
    pub gid: u32,
    /// The permission bits of the resource for reading.
    pub mode: u16,
    /// When the resource or the newest input changed last.
    pub modified: Time,
}

/// A resource.
pub struct Resource {
    /// Its kind.
    pub kind: &'static KindEntry,
    /// Its name.
    pub name: String,
    /// Its parsed document, or the error.
    pub document: Result<Arc<Document>, ResourceError>,
    /// The file.
    pub file: NodeId,
    pub(crate) owner: Owner,
}

impl Resource {
    /// Returns its owner, and the attributes of its directory.
    pub fn owner(&self) -> Owner {
        self.owner
    }

    /// Returns the path of its directory.
    pub fn path(&self) -> String {
        format!("/{}/{}", self.kind, self.name)
    }

    /// Returns the places where it is shown, as names from the root.
    pub(super) fn places(&self) -> Vec<Vec<String>> {
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

/// An entry that is overlaid on a stored directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Overlay {
    /// The directory of this resource.
    Resource(usize),
    /// A link to the name of this resource in the same directory.
    Link(usize),
}

/// All resources at a version.
pub struct Registry {
    /// The resources, by kind and name.
    pub resources: Vec<Resource>,
    /// Problems: a path and a reason each.
    pub problems: Vec<(String, String)>,
    /// Whether a resource's target directory is missing.
    pub wants: bool,
    overlays: BTreeMap<(NodeId, Name), Overlay>,
}

/// Parsed documents, keyed by the attributes that change with their files.
pub struct DocumentCache {
    kinds: Kinds,
    known: Mutex<FxHashMap<Stamp, Parse>>,
}

/// A file, its size, mtime and ctime.
type Stamp = (NodeId, u64, Time, Time);

type Parse = Result<Arc<Document>, ResourceError>;

/// The most parsed files in the cache.
const REMEMBERED: usize = 4_096;

impl DocumentCache {
    /// Returns an empty cache of documents of these kinds.
    pub fn new(kinds: Kinds) -> DocumentCache {
        DocumentCache {
            kinds,
            known: Mutex::default(),
        }
    }

    /// Returns all kinds of resources.
    pub fn kinds(&self) -> Kinds {
        self.kinds
    }

    fn of(&self, pond: &Pond, at: Version, id: NodeId, node: &Node) -> FsResult<Parse> {
        let key = (id, node.size, node.mtime, node.ctime);
        if let Some(known) = self.known.lock().get(&key) {
            return Ok(known.clone());
        }
        let parse = match node.size > pond.limits().resource_file {
            true => Err(ResourceError::new("it is too long to be a resource")),
            false => {
                let bytes = pond.read(at, id, 0, node.size)?;
                let text =
                    String::from_utf8(bytes).map_err(|_| ResourceError::new("it is not UTF-8"));
                text.and_then(|text| Document::parse(&text, self.kinds).map_err(ResourceError::new))
                    .map(Arc::new)
            }
        };
        let mut known = self.known.lock();
        if known.len() >= REMEMBERED {
            known.clear();
        }
        known.insert(key, parse.clone());
        Ok(parse)
    }
}

impl Registry {
    /// Reads the resources of a version.
    pub(crate) fn load(pond: &Pond, at: Version, parsed: &DocumentCache) -> FsResult<Registry> {
        let mut registry = Registry {
            resources: Vec::new(),
            problems: Vec::new(),
            wants: false,
            overlays: BTreeMap::new(),
        };
        for kind in parsed.kinds.iter() {
            registry.load_kind(pond, at, parsed, kind)?;
        }
        break_cycles(&mut registry.resources);
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

    fn load_kind(
        &mut self,
        pond: &Pond,
        at: Version,
        parsed: &DocumentCache,
        kind: &'static KindEntry,
    ) -> FsResult<()> {
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

    /// Returns the overlay of a name in a stored directory.
    pub fn overlay(&self, dir: NodeId, name: &Name) -> Option<&Overlay> {
        self.overlays.get(&(dir, name.clone()))
    }

    /// Returns all overlays of a stored directory.
    pub fn overlays(&self, dir: NodeId) -> impl Iterator<Item = (&Name, &Overlay)> {
        let from = self.overlays.range((dir, Name::lowest())..);
        from.take_while(move |((of, _), _)| *of == dir)
            .map(|((_, name), overlay)| (name, overlay))
    }

    /// Returns all names in stored directories under which resources are shown.
    pub fn names(&self) -> impl Iterator<Item = &(NodeId, Name)> {
        self.overlays.keys()
    }

    /// Returns a resource by its number.
    pub fn resource(&self, number: usize) -> Option<&Resource> {
        self.resources.get(number)
    }

    /// Adds a document, or replaces that of its kind and name. Fails if a resource would depend on
    /// itself.
    pub(super) fn with(mut self, document: Document) -> Result<(), ResourceError> {
        let (kind, name) = (document.kind, document.name.clone());
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
        break_cycles(&mut self.resources);
        match self.resources.get(place).map(|resource| &resource.document) {
            Some(Err(error)) => Err(error.clone()),
            _ => Ok(()),
        }
    }

    /// Returns the resources, each behind those that it reads.
    pub fn order(&self) -> Vec<usize> {
        Needs::of(&self.resources).order()
    }
}

/// Returns a document, if it has this kind and name.
fn fits(
    document: Arc<Document>,
    kind: &KindEntry,
    name: &str,
) -> Result<Arc<Document>, ResourceError> {
    let found = document.kind;
    if found != kind {
        let why = format!("its kind is {found}, so it belongs into /{found}, not into /{kind}");
        return Err(ResourceError::new(why));
    }
    if document.name != name {
        let why = format!(
            "its name is {:?}, so its file is to be called {}{ENDING}, not {name}{ENDING}",
            document.name, document.name
        );
        return Err(ResourceError::new(why));
    }
    Ok(document)
}
