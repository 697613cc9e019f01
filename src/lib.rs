//! pondmount: a versioned filesystem over a Delta Lake operation log.
//!
//! A pond is four versioned maps (nodes, names, extents, attributes) and segments of bytes. Every
//! read is one question: the newest entry at or before version V. The present is the greatest V.
//!
//! # Layers, from the lowest to the highest
//!
//! - [`tinyfs`]: POSIX semantics as pure functions over the maps.
//! - [`limits`]: bounds on memory, threads, sizes and times that `pond.toml` sets.
//! - [`observe`]: logs, metrics, and how a state is shown.
//! - [`disk`]: files, and what makes them durable; in tests, a simulated disk that fails.
//! - [`index`]: the maps on a local key-value store, the open generation in memory, the journal.
//! - [`content`]: the bytes, in append-only segments, verified on every read.
//! - [`oplog`]: the Delta Lake table whose commits are the versions; the source of truth.
//! - [`pond`]: joins these three: operations, durability, versions, recovery, check.
//! - [`query`]: files as rows, series and buckets of time; SQL.
//! - [`resource`]: YAML documents, their checks, the registry of a version, dependencies, `apply`.
//! - [`derive`]: derived directories: plans, recipes, rendering, the cache of results.
//! - [`collect`]: kinds of resources that write into the pond.
//! - [`service`]: what the front ends share.
//! - [`mount`]: a pond as a FUSE file system, with its past under `@version`.
//! - [`cli`]: the command line, the daemon and its control socket.
//!
//! Invariants: a layer depends only on layers below it; `index`, `content` and `oplog` do not
//! depend on each other. `docs/architecture.md` has the rules, the path of a write and of a read,
//! the threads and the lock order.

#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::todo,
        clippy::unimplemented,
        clippy::print_stdout,
        clippy::dbg_macro
    )
)]
#![warn(missing_docs)]

pub mod cli;
pub mod collect;
pub mod content;
pub mod derive;
pub mod disk;
#[cfg(test)]
mod fuzz_tests;
pub mod index;
pub mod limits;
pub mod mount;
pub mod observe;
pub mod oplog;
pub mod pond;
pub mod query;
pub mod resource;
pub mod service;
pub mod tinyfs;
