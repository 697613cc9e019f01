//! Adds resources to a pond, and removes them.

use super::document::Document;
use super::kind::{KindEntry, Kinds};
use super::registry::{DocumentCache, ENDING, Registry};
use super::{Resource, ResourceError};
use crate::pond::Pond;
use crate::tinyfs::ops::{Caller, NewNode, RenameMode, Restored};
use crate::tinyfs::{self, Name, NodeId, Time, Version};
use std::sync::Arc;
use std::time::SystemTime;
use uuid::Uuid;

/// The result of applying a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applied {
    /// The resource's file.
    pub path: String,
    /// Its UUID, the same for all later documents of its kind and name.
    pub uuid: Uuid,
    /// Whether it is new.
    pub created: bool,
    /// Whether the file was changed.
    pub changed: bool,
}

/// Writes a document to its file, if it is consistent with the other resources. With `dry_run`,
/// only returns the result.
pub fn apply(
    pond: &Arc<Pond>,
    kinds: Kinds,
    text: &str,
    dry_run: bool,
) -> Result<Applied, ResourceError> {
    let document = Document::parse(text, kinds).map_err(ResourceError::new)?;
    let registry = Registry::load(pond, Version::NOW, &DocumentCache::new(kinds))?;
    let (kind, name) = (document.kind, document.name.clone());
    let before = registry.find(kind, &name);
    let known = before.and_then(|resource| resource.document.as_ref().ok()?.uuid);
    let uuid = known.or(document.uuid).unwrap_or_else(Uuid::new_v4);
    let path = format!("/{kind}/{name}{ENDING}");
    let text = Document::stamp(text, uuid, kinds).map_err(ResourceError::new)?;
    let document = Document::parse(&text, kinds).map_err(ResourceError::new)?;
    let stored = match before {
        Some(resource) => {
            let size = pond.node(Version::NOW, resource.file)?.size;
            Some(pond.read(Version::NOW, resource.file, 0, size)?)
        }
        None => None,
    };
    let applied = Applied {
        path,
        uuid,
        created: before.is_none(),
        changed: stored.as_deref() != Some(text.as_bytes()),
    };
    registry.with(document.clone())?;
    if applied.changed && !dry_run {
        write(pond, kind, &name, &text, document.path())?;
    }
    Ok(applied)
}

fn caller() -> Caller {
    Caller {
        uid: rustix::process::geteuid().as_raw(),
        gid: rustix::process::getegid().as_raw(),
        member: true,
        now: Time::from(SystemTime::now()),
    }
}

fn write(
    pond: &Pond,
    kind: &KindEntry,
    name: &str,
    text: &str,
    place: Option<&str>,
) -> Result<(), ResourceError> {
    let mut told = Restored::default();
    // After a crash there is all of it or nothing: no draft, and no empty folder.
    let one = pond.one_change();
    let dir = directory(pond, NodeId::ROOT, kind.as_str(), &mut told)?;
    if let Some((folders, _)) = place.and_then(|place| place.rsplit_once('/')) {
        let mut dir = NodeId::ROOT;
        for folder in folders.split('/').filter(|name| !name.is_empty()) {
            dir = directory(pond, dir, folder, &mut told)?;
        }
    }
    let caller = caller();
    let draft = named(&format!(".{}{ENDING}", Uuid::new_v4()))?;
    let file = named(&format!("{name}{ENDING}"))?;
    let (id, _) = pond.create(&caller, dir, &draft, &new(tinyfs::Kind::File, 0o644))?;
    let written = one.write(&caller, id, 0, text.as_bytes()).and_then(|_| {
        pond.rename(
            &caller,
            (dir, &draft),
            (dir, &file),
            RenameMode::Replace,
            false,
        )
    });
    if let Err(error) = written {
        pond.unlink(&caller, dir, &draft)?;
        return Err(error.into());
    }
    drop(one);
    told.names.push((dir, file));
    told.nodes.push(dir);
    pond.announce(&told);
    pond.sync().map_err(ResourceError::new)?;
    Ok(())
}

/// Returns a directory in another; creates it if it is missing.
fn directory(
    pond: &Pond,
    parent: NodeId,
    name: &str,
    told: &mut Restored,
) -> Result<NodeId, ResourceError> {
    let shown = named(name)?;
    match pond.lookup(Version::NOW, parent, &shown)? {
        Some((id, node)) if node.is_dir() => Ok(id),
        Some(_) => Err(ResourceError::new(format!(
            "{name} is there and is no directory"
        ))),
        None => {
            let made = new(tinyfs::Kind::Directory, 0o755);
            let (id, _) = pond.create(&caller(), parent, &shown, &made)?;
            told.names.push((parent, shown));
            told.nodes.push(parent);
            Ok(id)
        }
    }
}

fn new(kind: tinyfs::Kind, mode: u16) -> NewNode<'static> {
    NewNode {
        kind,
        mode,
        rdev: 0,
        target: &[],
    }
}

fn named(name: &str) -> Result<Name, ResourceError> {
    Name::new(name.as_bytes())
        .map_err(|_| ResourceError::new(format!("{name:?} is no name of a file")))
}

/// Removes a resource's file, and so its derived directory; its history stays.
pub fn delete(
    pond: &Pond,
    kinds: Kinds,
    kind: &KindEntry,
    name: &str,
) -> Result<(), ResourceError> {
    let registry = Registry::load(pond, Version::NOW, &DocumentCache::new(kinds))?;
    if registry.find(kind, name).is_none() {
        return Err(missing(kind, name));
    }
    let folder = pond.lookup(Version::NOW, NodeId::ROOT, &named(kind.as_str())?)?;
    let (dir, _) = folder.ok_or_else(|| missing(kind, name))?;
    let file = named(&format!("{name}{ENDING}"))?;
    pond.unlink(&caller(), dir, &file)?;
    pond.announce(&Restored {
        names: vec![(dir, file)],
        nodes: vec![dir],
        ..Restored::default()
    });
    pond.sync().map_err(ResourceError::new)?;
    Ok(())
}

/// Returns the error for a resource that does not exist.
pub fn missing(kind: &KindEntry, name: &str) -> ResourceError {
    ResourceError::new(format!("there is no {kind} called {name:?}"))
}

impl Registry {
    /// Returns the resource of a kind and name.
    pub fn find(&self, kind: &KindEntry, name: &str) -> Option<&Resource> {
        let is = |resource: &&Resource| resource.kind == kind && resource.name == name;
        self.resources.iter().find(is)
    }
}
