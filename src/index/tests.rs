//! Tests of the index: the model test, and cases that it cannot reach or that once went wrong.

mod bulk;
mod cases;
mod model;

use super::{Index, Journal};
use crate::disk::LocalDisk;
use std::path::Path;
use std::sync::Arc;
use uuid::Uuid;

/// The index and the journal of a pond in one folder.
fn open(dir: &Path, pond: Uuid) -> Index {
    open_at(&dir.join("i"), &dir.join("journal"), pond)
}

fn open_at(dir: &Path, journal: &Path, pond: Uuid) -> Index {
    let journal = Journal::open(Arc::new(LocalDisk), journal, pond).unwrap();
    Index::open(dir, pond, journal).unwrap()
}
