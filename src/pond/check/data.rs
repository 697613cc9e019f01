//! Checks the content that any version needs: its segments exist, and its checksums match.

use super::Findings;
use crate::content::{Content, ContentError};
use crate::pond::PondError;
use crate::tinyfs::{Changes, ContentId, Extent, SegmentId, Stored, describe};
use std::collections::BTreeMap;

/// Every stored extent of every version, once, sorted by segment and offset, each with a content
/// that refers to it.
#[derive(Debug, Default)]
pub(super) struct Contents(BTreeMap<(SegmentId, u64), (Stored, ContentId)>);

impl Contents {
    /// Adds the extents that a version changed.
    pub(super) fn note(&mut self, changes: &Changes) {
        for ((content, _), extent) in &changes.extents {
            if let Some(Extent::Stored(run)) = extent {
                let place = (run.segment, run.offset);
                self.0.entry(place).or_insert((*run, *content));
            }
        }
    }
}

pub(super) fn check(
    content: &Content,
    contents: &Contents,
    read: bool,
    found: &mut Findings,
) -> Result<(), PondError> {
    let mut lens: BTreeMap<SegmentId, Option<u64>> = BTreeMap::new();
    for ((segment, offset), (run, id)) in &contents.0 {
        let len = match lens.get(segment) {
            Some(len) => *len,
            None => *lens
                .entry(*segment)
                .or_insert(content.segment_len(*segment)?),
        };
        let why = match len {
            None => Some(format!("segment {segment} is missing")),
            Some(len) if offset.saturating_add(run.packed_len.into()) > len => {
                Some(format!("segment {segment} is cut short"))
            }
            Some(_) if read => damage(content.read_verified(run))?,
            Some(_) => None,
        };
        if let Some(why) = why {
            let path = found.paths.of(id.0);
            found.add(format!("{path}: {why}"));
        }
    }
    Ok(())
}

/// Returns what is wrong with an extent that was read, if anything. A read error of the disk is
/// a finding too.
fn damage(read: Result<Vec<u8>, ContentError>) -> Result<Option<String>, PondError> {
    match read {
        Ok(_) => Ok(None),
        Err(error) => Ok(Some(describe(&error))),
    }
}
