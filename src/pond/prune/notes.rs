//! What a pond notes of its own forgetting, in attributes of the pond that are no tags.
//!
//! Each note is part of the newest version at the time, so that the log alone tells all of it.

use crate::pond::history::OWN;
use crate::pond::{Pond, PondError};
use crate::tinyfs::{AttrName, Attrs, Changes, FsError, FsResult, NameError, NodeId, Version, ops};
use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// Versions up to a number that are not listed are forgotten.
const PRUNED: &str = "pruned";
/// What earlier versions changed and the newest one shows as its own change.
const FOLDED: &str = "folded";
/// The most nodes that a note names. With more, it says that everything is folded.
const MOST: usize = 1_000;

#[derive(Serialize, Deserialize)]
struct Pruned {
    to: u64,
}

#[derive(Serialize, Deserialize)]
struct FoldedInto {
    version: u64,
    /// `None`: everything.
    nodes: Option<Vec<u64>>,
}

/// What of a version's changes was changed by earlier versions, which are forgotten.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::pond) enum Folded {
    /// These nodes, with all that is below them; possibly none.
    Nodes(Vec<NodeId>),
    /// Nobody knows what.
    Everything,
}

impl Pond {
    /// Versions up to this one that are not listed are forgotten.
    pub(in crate::pond) fn pruned_to(&self) -> FsResult<Version> {
        let noted: Option<Pruned> = self.noted(Version::NOW, PRUNED)?;
        Ok(Version(noted.map_or(0, |noted| noted.to)))
    }

    /// What of the changes of a version was changed by versions that are forgotten.
    pub(in crate::pond) fn folded_into(&self, version: Version) -> FsResult<Folded> {
        let noted: Option<FoldedInto> = self.noted(version, FOLDED)?;
        let noted = noted.filter(|noted| noted.version == version.0);
        Ok(match noted.map(|noted| noted.nodes) {
            None => Folded::Nodes(Vec::new()),
            Some(Some(nodes)) => Folded::Nodes(nodes.into_iter().map(NodeId).collect()),
            Some(None) => Folded::Everything,
        })
    }

    fn noted<T: DeserializeOwned>(&self, at: Version, name: &str) -> FsResult<Option<T>> {
        let key = own(name).map_err(FsError::store)?;
        let noted = ops::xattr(&self.index, at, NodeId::POND, &key)?;
        let read = |noted: Bytes| serde_json::from_slice(&noted).map_err(FsError::store);
        noted.map(read).transpose()
    }
}

/// Notes that versions up to `to` that are not listed are forgotten.
pub(super) fn note_pruned(changes: &mut Changes, to: Version) -> Result<(), PondError> {
    note(changes, PRUNED, &Pruned { to: to.0 })
}

/// Notes what is folded into `version`, besides what was folded into it `already`.
pub(super) fn note_folded(
    changes: &mut Changes,
    version: Version,
    already: &Folded,
    more: &Folded,
) -> Result<(), PondError> {
    let nodes = match (already, more) {
        (Folded::Nodes(already), Folded::Nodes(more)) => {
            let mut nodes: Vec<u64> = already.iter().chain(more).map(|id| id.0).collect();
            nodes.sort_unstable();
            nodes.dedup();
            (nodes.len() <= MOST).then_some(nodes)
        }
        _ => None,
    };
    let version = version.0;
    note(changes, FOLDED, &FoldedInto { version, nodes })
}

fn note<T: Serialize>(changes: &mut Changes, name: &str, noted: &T) -> Result<(), PondError> {
    let failed = |error| PondError::Tree(error);
    let key = own(name).map_err(FsError::store).map_err(failed)?;
    let noted = serde_json::to_vec(noted);
    let noted = noted.map_err(FsError::store).map_err(failed)?;
    changes.set::<Attrs>((NodeId::POND, key), Some(Bytes::from(noted)));
    Ok(())
}

/// The name of an attribute of the pond that is no tag.
fn own(name: &str) -> Result<AttrName, NameError> {
    AttrName::new(&[OWN, name.as_bytes()].concat())
}
