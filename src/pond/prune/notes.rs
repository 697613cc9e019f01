//! Notes about forgotten versions, in attributes of the pond that are not tags.
//!
//! Each note is part of the newest version at the time, so the log alone contains all of them.

use crate::pond::history::OWN;
use crate::pond::{Pond, PondError};
use crate::tinyfs::{AttrName, Attrs, Changes, FsError, FsResult, NameError, NodeId, Version, ops};
use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// Unlisted versions up to this number are forgotten.
const PRUNED: &str = "pruned";
/// Changes of earlier versions that the newest one shows as its own.
const FOLDED: &str = "folded";
/// The most nodes in a note. With more, the note says that everything is folded.
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

/// The part of a version's changes that stems from earlier, forgotten versions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::pond) enum Folded {
    /// These nodes, with everything below them; possibly none.
    Nodes(Vec<NodeId>),
    /// Unknown: any of them.
    Everything,
}

impl Pond {
    /// Returns the number up to which unlisted versions are forgotten.
    pub(in crate::pond) fn pruned_to(&self) -> FsResult<Version> {
        let noted: Option<Pruned> = self.noted(Version::NOW, PRUNED)?;
        Ok(Version(noted.map_or(0, |noted| noted.to)))
    }

    /// Returns the part of a version's changes that stems from forgotten versions.
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

/// Notes that unlisted versions up to `to` are forgotten.
pub(super) fn note_pruned(changes: &mut Changes, to: Version) -> Result<(), PondError> {
    note(changes, PRUNED, &Pruned { to: to.0 })
}

/// Notes the changes that are folded into `version`, besides those folded into it `already`.
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

/// Returns the name of an attribute of the pond that is not a tag.
fn own(name: &str) -> Result<AttrName, NameError> {
    AttrName::new(&[OWN, name.as_bytes()].concat())
}
