//! The model test: random sequences of operations on a store and on a plain reference at once.
//!
//! After every operation the answer and the tree have to be the same, at the end every version that
//! was committed on the way. Stores differ in what committing, crashing and opening again does; that
//! is their [`Harness`]. `PROPTEST_CASES` sets how many sequences there are.

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

/// A store, and how the open version in it becomes durable and committed.
pub trait Harness {
    /// The store.
    type S: Store;
    /// The store.
    fn store(&self) -> &Self::S;
    /// An unused id of a node or content.
    fn new_id(&mut self) -> u64;
    /// Applies an operation.
    fn apply(&mut self, changes: Changes);
    /// Puts a write's bytes in place, if the store can.
    fn place(&self, content: ContentId, offset: u64, data: &[u8], size: u64) -> bool;
    /// The bytes of an extent.
    fn bytes(&self, extent: &Extent) -> Bytes;
    /// Takes any step but an operation.
    fn step(&mut self, step: &Step) -> Outcome;
}

/// What became of the tree in a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing that could be seen.
    Same,
    /// All is durable.
    Durable,
    /// All is durable; what is here now becomes a version later.
    Sealed,
    /// What was sealed, or all, is that version; or `None`, as it changed nothing.
    Committed(Option<Version>),
    /// What was not durable is gone. If a commit was under way, it did become that version.
    Reopened(Option<Version>),
}

/// How many sequences, unless the environment says it.
pub fn config(cases: u32) -> ProptestConfig {
    let asked = std::env::var("PROPTEST_CASES").ok();
    ProptestConfig {
        cases: asked.and_then(|n| n.parse().ok()).unwrap_or(cases),
        failure_persistence: None,
        max_shrink_iters: 20_000,
        ..ProptestConfig::default()
    }
}

/// The names there are.
fn names() -> Vec<Name> {
    let names = [&b"a"[..], b"ab", b"b", b"\xff"];
    names.into_iter().map(|n| Name::new(n).unwrap()).collect()
}

/// The store in memory: commits at once, never crashes.
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
    fn memory_store_does_as_the_reference(steps in steps()) {
        run(Memory::default(), &steps);
    }
}
