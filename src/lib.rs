//! pondmount: a versioned filesystem over a Delta Lake operation log.
//!
//! This is the map of the house. A pond is four versioned maps (nodes, names, extents, attributes) and
//! a heap of bytes; every read is the same question, "the newest entry at or before version V", and the
//! present is only the greatest V.
//!
//! # Rooms, from the ground up
//!
//! - [`tinyfs`]: what POSIX operations change, as pure functions over the maps.
//! - [`limits`]: bounds on memory, threads, sizes and times that `pond.toml` sets.
//! - [`disk`]: files, and what it takes until they stay where they are.
//! - [`index`]: the maps on a local key-value store, with the open version above them in memory.
//! - [`content`]: the bytes, in append-only segments, verified when read.
//! - [`oplog`]: the truth: a Delta Lake table whose commits are the versions.
//! - [`pond`]: the three tied together: durability, versions, recovery, check.
//! - [`query`]: files as rows, series and buckets of time; SQL.
//! - [`resource`]: documents, their checks, the registry of a version, dependencies, `apply`.
//! - [`derive`]: derived directories: plans, recipes, rendering, the cache. [`collect`]: kinds that write into the pond.
//! - [`service`]: what the front ends share.
//! - [`mount`]: a pond as a file system of the kernel, and its past under `@version`.
//!
//! Dependencies point down only; `index`, `content` and `oplog` do not know of each other. Only
//! `oplog` names Delta.
//!
//! # The life of a write
//!
//! An operation is decided in `tinyfs`, which answers the entries that it changes; `index` takes them
//! as one into the fresh layer of the open version, bytes included, and the caller has its reply.
//! `fsync` freezes that layer and writes it to the index's journal in one synced write, for all who wait; if it
//! holds many bytes, they go to a segment first, which is synced before. Some seconds later a commit
//! seals the open version: its records go to the oplog as one Delta commit, version N exists, and the
//! index files the entries under N.
//!
//! # The life of a read
//!
//! `index` finds the entries at V: in the open version's layers, among the present entries on disk, or
//! among the past ones. `content` reads the runs of bytes that the extents name and verifies them.

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
