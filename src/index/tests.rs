//! Tests of the index: the model test, bulk loads, and regressions that neither covers.

mod bulk;
mod cases;
mod model;

use super::{Index, Journal};
use crate::disk::LocalDisk;
use std::path::Path;
use std::sync::Arc;
use uuid::Uuid;

/// Opens the index and the journal of a pond, both in `dir`.
fn open(dir: &Path, pond: Uuid) -> Index {
    open_at(&dir.join("i"), &dir.join("journal"), pond)
}

fn open_at(dir: &Path, journal: &Path, pond: Uuid) -> Index {
    let journal = Journal::open(Arc::new(LocalDisk), journal, pond).unwrap();
    Index::open(dir, pond, journal, &crate::limits::Limits::default()).unwrap()
}
