//! Requests of the kernel, from the moment they are read until their reply is sent.
//!
//! - [`adapter`]: maps each request of `fuser` to one call and one reply. [`dispatch`]: which
//!   thread makes the call. [`answers`]: the reply.
//! - [`intent`], [`groups`]: what the calling process is about to do, and its groups.
//! - [`table`]: requests under way, and since when. [`pending`]: a reply with its table entry.
//! - [`pool`]: threads for requests that must not block a serving thread.
//! - [`monitor`]: reports requests and notifications that do not finish.
//!
//! This module has the kinds of requests and their metrics, which `.pond/metrics` shows. A request
//! counts as received when it is read, and as answered when its reply was written to the kernel;
//! requests without a reply (`FORGET`) are not counted.

pub(in crate::mount) mod adapter;
mod answers;
pub(in crate::mount) mod dispatch;
pub(in crate::mount) mod groups;
pub(in crate::mount) mod intent;
mod monitor;
mod pending;
mod pool;
mod table;

pub(super) use monitor::{Activity, Monitor, UnfinishedNotification};
pub(super) use pending::{Pending, Refuse};
pub(super) use pool::Pool;

use super::vfs::Vfs;
use crate::observe::{Durations, Metrics, Number};
use fuser::INodeNo;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use table::{Entry, Table};

/// Defines [`Op`], with the names of its variants.
macro_rules! ops {
    ($($op:ident $name:literal),* $(,)?) => {
        /// A kind of request.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(super) enum Op {
            $($op),*
        }

        /// The names of all variants, in order.
        const NAMES: &[&str] = &[$($name),*];
    };
}

ops! {
    CopyFileRange "copy_file_range",
    Create "create",
    Fallocate "fallocate",
    Flush "flush",
    Fsync "fsync",
    Fsyncdir "fsyncdir",
    Getattr "getattr",
    Getxattr "getxattr",
    Link "link",
    Listxattr "listxattr",
    Lookup "lookup",
    Lseek "lseek",
    Mkdir "mkdir",
    Mknod "mknod",
    Open "open",
    Opendir "opendir",
    Read "read",
    Readdir "readdir",
    Readdirplus "readdirplus",
    Readlink "readlink",
    Release "release",
    Releasedir "releasedir",
    Removexattr "removexattr",
    Rename "rename",
    Rmdir "rmdir",
    Setattr "setattr",
    Setxattr "setxattr",
    Statfs "statfs",
    Symlink "symlink",
    Unlink "unlink",
    Write "write",
}

impl Op {
    pub(super) fn name(self) -> &'static str {
        NAMES.get(self as usize).copied().unwrap_or_default()
    }
}

/// The table and the metrics of a mount's requests.
#[derive(Debug)]
pub(super) struct Requests {
    table: Table,
    metrics: Metrics,
    durations: Vec<Durations>,
    received: Number,
    replied: Number,
    oldest: Number,
    version: Number,
    dirty_entries: Number,
    dirty_bytes: Number,
    errors: Number,
    read_only: Number,
}

impl Default for Requests {
    fn default() -> Self {
        let metrics = Metrics::default();
        let help = "How long requests of the kernel took to be answered";
        let number = |name, help| metrics.number(name, help);
        Requests {
            table: Table::default(),
            durations: metrics.durations("request", help, "op", NAMES),
            received: number("requests_received", "Requests of the kernel that were read"),
            replied: number("requests_replied", "Requests whose reply was sent"),
            oldest: number(
                "oldest_request_milliseconds",
                "How long the oldest request without a reply has waited",
            ),
            version: number("version", "The newest version"),
            dirty_entries: number("uncommitted_entries", "Changes that no version holds yet"),
            dirty_bytes: number("uncommitted_bytes", "Memory that they take"),
            errors: number("errors", "Failures of the pond since the mount began"),
            read_only: number("read_only", "Whether the pond takes no changes any more"),
            metrics,
        }
    }
}

impl Requests {
    /// Adds a request that was read; its entry is removed when its reply was sent.
    pub(super) fn receive<R>(
        self: &Arc<Requests>,
        op: Op,
        request: &fuser::Request,
        ino: INodeNo,
        reply: R,
    ) -> Pending<R> {
        let entry = Entry::new(op, ino.0, request.pid());
        self.table.insert(request.unique().0, entry);
        Pending::new(self.clone(), request.unique().0, entry, reply)
    }

    /// Removes a request whose reply was sent, and records its duration.
    fn replied(&self, unique: u64, op: Op, took: Duration) {
        self.table.remove(unique);
        if let Some(durations) = self.durations.get(op as usize) {
            durations.observe(took);
        }
    }
}

impl Vfs {
    /// Returns all metrics in the OpenMetrics format.
    pub(super) fn metrics(&self) -> Result<String, fmt::Error> {
        let (status, figures) = (self.pond.status(), &self.requests);
        let counts = figures.table.counts();
        figures.received.set(counts.received);
        figures.replied.set(counts.replied);
        let oldest = figures
            .table
            .oldest()
            .map(|(_, entry)| entry.since.elapsed());
        let oldest = oldest.unwrap_or_default().as_millis();
        figures
            .oldest
            .set(u64::try_from(oldest).unwrap_or(u64::MAX));
        figures.version.set(status.latest.version.0);
        figures.dirty_entries.set(status.dirty.entries);
        figures.dirty_bytes.set(status.dirty.bytes);
        figures.errors.set(self.errors.count());
        figures.read_only.set(u64::from(status.read_only.is_some()));
        figures.metrics.text()
    }
}
