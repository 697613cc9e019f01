//! The bounds on memory, threads, sizes and times that a pond's owner can set.
//!
//! In: the table `[limits]` of `pond.toml`. Out: [`Limits`], a plain value that is passed to every
//! part of an open pond. Invariant: each bound that depends on the machine is here, with its
//! default and its range; a bound that belongs to a format, or only protects the decoding of
//! damaged input, is a constant of its own module.
//!
//! - [`amount`]: values as they are written, `"256 MiB"` or `"2s"`.
//! - [`setting`]: the table, and a report of each value and its source.

mod amount;
mod setting;

pub use amount::Unit;
pub use setting::{LimitError, Setting};

use amount::Amount;
use setting::Limit;
use std::time::Duration;

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;
const MAX_MEMORY: u64 = 1 << 40;
const MAX_COUNT: u64 = 1 << 20;
const DAY: u64 = 86_400_000;

/// Maps a unit to the type of a limit. Times are written in milliseconds below.
macro_rules! amount {
    (Bytes) => {
        u64
    };
    (Count) => {
        usize
    };
    (Time) => {
        Duration
    };
}

/// Defines [`Limits`] and the list of them: name, unit, default, least and greatest value.
macro_rules! limits {
    ($($(#[doc = $doc:literal])+ $name:ident: $unit:ident = $default:expr, in $least:expr, $most:expr;)*) => {
        /// The limits of an open pond.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub struct Limits {
            $($(#[doc = $doc])+ pub $name: amount!($unit),)*
        }

        impl Default for Limits {
            fn default() -> Limits {
                Limits { $($name: Amount::from_number($default),)* }
            }
        }

        /// All limits, in the order in which they are documented.
        const ALL: &[Limit] = &[$(Limit {
            name: stringify!($name),
            about: concat!($($doc),+),
            unit: Unit::$unit,
            default: $default,
            least: $least,
            most: $most,
            get: |limits| limits.$name.number(),
            set: |limits, number| limits.$name = Amount::from_number(number),
        }),*];
    };
}

limits! {
    /// Content of writes in memory at which it begins to be moved to segments.
    spill_at: Bytes = 16 * MIB, in 256 * KIB, MAX_MEMORY;
    /// Content of writes in memory at which writers wait until some of it is moved.
    wait_at: Bytes = 32 * MIB, in MIB, MAX_MEMORY;
    /// Records of the open version in memory at which a version is made at once.
    commit_at: Bytes = 64 * MIB, in MIB, MAX_MEMORY;
    /// Replies to writes that wait for memory; a writer that comes when there are so many keeps a
    /// thread.
    held_replies: Count = 64, in 1, MAX_COUNT;
    /// Content in the journal beyond which it gets no more; all of it is read after a crash.
    journal: Bytes = 32 * MIB, in MIB, 4 * GIB;
    /// How long an open save, such as an editor's, is waited for before a version is made without
    /// it.
    save_wait: Time = 60_000, in 0, DAY;
    /// Cache of unpacked content.
    content_cache: Bytes = 16 * MIB, in MIB, MAX_MEMORY;
    /// Segment files that are open for reading.
    open_segments: Count = 32, in 1, MAX_COUNT;
    /// Cache of the index's blocks.
    index_cache: Bytes = 24 * MIB, in MIB, MAX_MEMORY;
    /// Changes of one part of the index in memory, before they are written to a table.
    index_memtable: Bytes = 4 * MIB, in 256 * KIB, GIB;
    /// Table files of the index that are open.
    index_tables: Count = 32, in 4, MAX_COUNT;
    /// The largest file that is read as a resource.
    resource_file: Bytes = 4 * MIB, in 4 * KIB, GIB;
    /// Memory that all queries share; beyond it they sort and aggregate on disk, or fail.
    query_memory: Bytes = 256 * MIB, in 16 * MIB, MAX_MEMORY;
    /// Results of derived files that are kept on disk, in the pond's folder `cache`.
    result_cache: Bytes = 2 * GIB, in 16 * MIB, 1 << 50;
    /// Results of derived files that are kept open.
    open_results: Count = 64, in 1, MAX_COUNT;
    /// Derived files whose last result is kept, so that the next one is made in part only.
    last_results: Count = 256, in 1, MAX_COUNT;
    /// Past versions whose resources are kept in memory.
    past_views: Count = 16, in 1, MAX_COUNT;
    /// How long the failure of a derived file is reported before it is tried again.
    failure: Time = 2_000, in 0, DAY;
    /// Threads for requests that load resources or wait for a derived file.
    derive_threads: Count = 64, in 1, 4_096;
    /// Data of writes that wait for a long change; a writer beyond it keeps a thread.
    queued_writes: Bytes = 32 * MIB, in 0, MAX_MEMORY;
    /// Requests of read-ahead and the like that the kernel may have under way.
    background_requests: Count = 64, in 1, 65_535;
    /// The largest file whose content is given to the kernel when it is opened.
    pushed_file: Bytes = 128 * KIB, in 0, MIB;
    /// Failures that `.pond/errors` shows.
    errors: Count = 1_000, in 1, MAX_COUNT;
    /// Commands that are connected to the daemon at a time; further ones wait.
    connections: Count = 64, in 1, 4_096;
    /// How long a connected command may send nothing.
    connection_idle: Time = 60_000, in 1_000, DAY;
}

#[cfg(test)]
mod tests;
