//! How long requests take: a histogram of each kind, and the figures of `.pond/metrics`.
//!
//! In: that a request came; the timer goes where the answer is given. Out: text. Holds always: a request counts
//! once, when it was answered, its answer's way to the kernel included and the kernel's way to us not.

use super::mirror::Mirror;
use crate::observe::{Durations, Metrics, Number, Timer};
use std::fmt;

/// Defines [`Op`], with the names of its variants.
macro_rules! ops {
    ($($op:ident $name:literal),* $(,)?) => {
        /// A kind of request.
        #[derive(Clone, Copy, Debug)]
        pub(super) enum Op {
            $($op),*
        }

        /// The names of all, in their order.
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

/// What is counted of a mount.
#[derive(Debug)]
pub(super) struct Requests {
    metrics: Metrics,
    ops: Vec<Durations>,
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
            ops: metrics.durations("request", help, "op", NAMES),
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
    /// A request came.
    pub(super) fn start(&self, op: Op) -> Option<Timer> {
        Some(self.ops.get(op as usize)?.start())
    }
}

impl Mirror {
    /// All figures as they are now.
    pub(super) fn metrics(&self) -> Result<String, fmt::Error> {
        let (status, told) = (self.pond.status(), &self.requests);
        told.version.set(status.latest.version.0);
        told.dirty_entries.set(status.dirty.entries);
        told.dirty_bytes.set(status.dirty.bytes);
        told.errors.set(self.errors.count());
        told.read_only.set(u64::from(status.read_only.is_some()));
        told.metrics.text()
    }
}
