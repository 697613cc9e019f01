//! The model test: random sequences of operations on a store and on a plain reference.
//!
//! After each operation its result and the tree must be the same; at the end, every version that
//! was committed. A [`Harness`] adapts a store: it defines what commit, crash and reopening do.
//! `index` runs the test on its own store. `PROPTEST_CASES` sets the number of sequences.

mod act;
mod compare;
mod drive;
mod pick;
mod reference;
mod reference_data;
mod steps;

pub use drive::run;
pub use steps::{Crash, Step, steps};

use super::{Changes, ContentId, Extent, MemoryStore, Name, NodeId, Store, Version};
use bytes::Bytes;
use proptest::prelude::*;

/// A store under test, and how its open version becomes durable and committed.
pub trait Harness {
    /// Type of the store.
    type S: Store;
    /// Returns the store.
    fn store(&self) -> &Self::S;
    /// Returns an unused id of a node or content.
    fn new_id(&mut self) -> u64;
    /// Applies the changes of an operation.
    fn apply(&mut self, changes: Changes);
    /// Stores a write's bytes without a change of the maps, if possible. Returns whether it did.
    fn place(&self, content: ContentId, offset: u64, data: &[u8], size: u64) -> bool;
    /// Returns the bytes of an extent.
    fn bytes(&self, extent: &Extent) -> Bytes;
    /// Performs a step other than an operation.
    fn step(&mut self, step: &Step) -> Outcome;
}

/// The effect of a step on the tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// No visible effect.
    Same,
    /// Everything is durable.
    Durable,
    /// Everything is durable, and the current tree is to be committed later.
    Sealed,
    /// The sealed tree, or the current one, is this version; `None` if it changed nothing.
    Committed(Option<Version>),
    /// What was not durable is lost. A commit in progress became this version, if any.
    Reopened(Option<Version>),
}

/// Returns the configuration for this many sequences, unless the environment sets the number.
pub fn config(cases: u32) -> ProptestConfig {
    let asked = std::env::var("PROPTEST_CASES").ok();
    ProptestConfig {
        cases: asked.and_then(|n| n.parse().ok()).unwrap_or(cases),
        failure_persistence: None,
        max_shrink_iters: 20_000,
        ..ProptestConfig::default()
    }
}

/// Returns the names that sequences use.
fn names() -> Vec<Name> {
    let names = [&b"a"[..], b"ab", b"b", b"\xff"];
    names.into_iter().map(|n| Name::new(n).unwrap()).collect()
}

/// A store in memory that commits at once and never crashes.
#[derive(Default)]
struct Memory {
    store: MemoryStore,
    last_id: u64,
    version: u64,
}

impl Harness for Memory {
    type S = MemoryStore;

    fn store(&self) -> &MemoryStore {
        &self.store
    }

    fn new_id(&mut self) -> u64 {
        self.last_id += 1;
        NodeId::ROOT.0 + self.last_id
    }

    fn apply(&mut self, changes: Changes) {
        self.store.apply(changes);
    }

    fn place(&self, _: ContentId, _: u64, _: &[u8], _: u64) -> bool {
        false
    }

    fn bytes(&self, extent: &Extent) -> Bytes {
        match extent {
            Extent::Inline(bytes) => bytes.clone(),
            Extent::Stored(_) => panic!("nothing stores extents here"),
        }
    }

    fn step(&mut self, step: &Step) -> Outcome {
        match step {
            Step::Commit(_) => {
                self.version += 3;
                self.store.commit(Version(self.version));
                Outcome::Committed(Some(Version(self.version)))
            }
            _ => Outcome::Same,
        }
    }
}

proptest! {
    #![proptest_config(config(2_000))]

    #[test]
    fn memory_store_equals_the_reference(steps in steps()) {
        run(Memory::default(), &steps);
    }
}
