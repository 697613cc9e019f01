//! The mount: a pond as a FUSE file system.
//!
//! Role: maps the kernel's requests to operations of a pond, and controls what the kernel caches.
//! In: an open [`Pond`](crate::pond::Pond) and a mountpoint. Out: a [`Mounted`] tree, with the past
//! of each directory under its hidden name `@version`. Invariants: this is the only module that
//! names `fuser`; no request is answered before its operation is done; what the kernel caches for
//! ever (names, attributes, pages) changes only through the mount itself, or cannot change at all.
//!
//! - [`session`]: mounting, serving, ending.
//! - [`kernel`]: the kernel's mount table, as root and as another user.
//! - [`requests`]: reads requests, dispatches them to threads, sends replies.
//! - [`vfs`]: the state of a mount. [`views`]: what each request means for each kind of inode.
//! - [`cache`]: the kernel's caches, and their invalidation.

mod cache;
mod error;
mod kernel;
mod requests;
mod session;
mod vfs;
mod views;

pub use error::MountError;
pub use kernel::connection::abort;
pub use kernel::device::available;
pub use kernel::mounts::{Mount, mounts, mounts_seen_by};
pub use kernel::unmount::{is_dead, recover_stale, remount, unmount};
pub use session::{MountOptions, Mounted, Rules, Unmounter, mount};

/// The type of our mounts, as `/proc/mounts` shows it.
pub const FILE_SYSTEM: &str = "fuse.pondmount";

#[cfg(test)]
mod fuzz_tests;
#[cfg(test)]
mod tests;
