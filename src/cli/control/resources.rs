//! Requests about a pond's resources, and their results.

use super::answer::json;
use crate::cli::failure::Failure;
use crate::derive::{Derive, Dir, Node, View};
use crate::pond::Pond;
use crate::resource::{self, KindEntry, Resource, ResourceError};
use crate::service::KINDS;
use crate::tinyfs::Version;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A request about resources.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "resources", rename_all = "snake_case")]
pub enum Resources {
    /// Writes a document: an [`AppliedReport`].
    Apply {
        /// The document, its variables expanded.
        text: String,
        /// Only reports what would be done.
        dry_run: bool,
    },
    /// Lists the resources in dependency order: a list of [`ResourceReport`].
    List,
    /// Returns the text of a resource: a [`DocumentReport`].
    Get {
        /// Its kind.
        kind: String,
        /// Its name.
        name: String,
    },
    /// Describes a resource: a [`ResourceReport`] with its files.
    Describe {
        /// Its kind.
        kind: String,
        /// Its name.
        name: String,
    },
    /// Removes a resource.
    Delete {
        /// Its kind.
        kind: String,
        /// Its name.
        name: String,
        /// Only reports whether it exists.
        dry_run: bool,
    },
}

/// The result of applying a document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppliedReport {
    /// The resource's file.
    pub path: String,
    /// Its identity.
    pub uuid: String,
    /// `created`, `changed` or `unchanged`.
    pub done: String,
}

/// A resource.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResourceReport {
    /// Its kind.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// Its identity.
    pub uuid: Option<String>,
    /// Its description.
    pub desc: String,
    /// The rest of its metadata.
    pub metadata: BTreeMap<String, String>,
    /// Its file.
    pub file: String,
    /// Why it shows no files.
    pub problem: Option<String>,
    /// The files that it shows, if they were requested.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shows: Vec<String>,
}

/// The text of a resource.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DocumentReport {
    /// Its file.
    pub path: String,
    /// The text.
    pub text: String,
}

/// Serves a request.
pub(super) fn answer(pond: &Arc<Pond>, about: &Resources) -> Result<Value, Failure> {
    match about {
        Resources::Apply { text, dry_run } => {
            let applied = resource::apply(pond, KINDS, text, *dry_run).map_err(failure)?;
            let done = match (applied.created, applied.changed) {
                (true, _) => "created",
                (false, true) => "changed",
                (false, false) => "unchanged",
            };
            json(&AppliedReport {
                path: applied.path,
                uuid: applied.uuid.to_string(),
                done: done.into(),
            })
        }
        Resources::List => {
            let view = view(pond)?;
            let order = view.registry.order();
            let reports: Vec<_> = order.into_iter().filter_map(|n| report(&view, n)).collect();
            json(&reports)
        }
        Resources::Get { kind, name } => {
            let view = view(pond)?;
            let (kind, resource, _) = find(&view, kind, name)?;
            let node = pond.node(Version::NOW, resource.file).map_err(tree)?;
            let bytes = pond
                .read(Version::NOW, resource.file, 0, node.size)
                .map_err(tree)?;
            json(&DocumentReport {
                path: format!("/{kind}/{name}{}", resource::ENDING),
                text: String::from_utf8_lossy(&bytes).into_owned(),
            })
        }
        Resources::Describe { kind, name } => {
            let view = view(pond)?;
            let (_, _, number) = find(&view, kind, name)?;
            let mut report = report(&view, number)
                .ok_or_else(|| Failure::new("not_found", "the resource is gone"))?;
            let tree = view.tree(number).map_err(tree)?;
            files(&tree, &mut report.shows);
            json(&report)
        }
        Resources::Delete {
            kind,
            name,
            dry_run,
        } => {
            let view = view(pond)?;
            let (kind, ..) = find(&view, kind, name)?;
            if !dry_run {
                resource::delete(pond, KINDS, kind, name).map_err(failure)?;
            }
            Ok(Value::Null)
        }
    }
}

/// Returns the problems of a pond's resources, each with a path and a reason.
pub(super) fn problems(pond: &Arc<Pond>) -> Result<Vec<String>, Failure> {
    let view = view(pond)?;
    let mut all: Vec<String> = Vec::new();
    for (path, why) in &view.registry.problems {
        all.push(format!("{path}: {why}"));
    }
    for (n, resource) in view.registry.resources.iter().enumerate() {
        if resource.document.is_ok()
            && resource.kind.is_derived()
            && let Some(why) = view.problem(n)
        {
            all.push(format!("{}: {why}", resource.path()));
        }
    }
    Ok(all)
}

fn view(pond: &Arc<Pond>) -> Result<Arc<View>, Failure> {
    let derive = Derive::new(pond.clone(), KINDS);
    derive.view(Version::NOW).map_err(tree)
}

fn find<'v>(
    view: &'v View,
    kind: &str,
    name: &str,
) -> Result<(&'static KindEntry, &'v Resource, usize), Failure> {
    let kind = KINDS.find(kind).map_err(Failure::usage)?;
    let is = |r: &Resource| {
        let uuid = r.document.as_ref().ok().and_then(|document| document.uuid);
        r.kind == kind && (r.name == name || uuid.is_some_and(|uuid| uuid.to_string() == name))
    };
    let number = view.registry.resources.iter().position(is);
    let found = number.and_then(|n| Some((kind, view.registry.resource(n)?, n)));
    found.ok_or_else(|| failure(resource::missing(kind, name)))
}

fn report(view: &View, number: usize) -> Option<ResourceReport> {
    let resource = view.registry.resource(number)?;
    let document = resource.document.as_ref().ok();
    let problem = match resource.kind.is_derived() {
        true => view.problem(number),
        false => resource.document.as_ref().err().map(ToString::to_string),
    };
    Some(ResourceReport {
        kind: resource.kind.to_string(),
        name: resource.name.clone(),
        uuid: document.and_then(|document| Some(document.uuid?.to_string())),
        desc: document.map_or(String::new(), |document| document.desc.clone()),
        metadata: document.map_or(BTreeMap::new(), |document| document.metadata.clone()),
        file: format!("{}{}", resource.path(), resource::ENDING),
        problem,
        shows: Vec::new(),
    })
}

fn files(dir: &Dir, into: &mut Vec<String>) {
    for node in dir.entries.values() {
        match node {
            Node::Dir(dir) => files(dir, into),
            Node::File(file) => into.push(String::from_utf8_lossy(&file.path).into_owned()),
        }
    }
}

fn failure(error: ResourceError) -> Failure {
    Failure::new("resource", error.to_string())
}

fn tree(error: crate::tinyfs::FsError) -> Failure {
    Failure::system("cannot read the resources", &error)
}
