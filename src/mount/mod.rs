//! The mount: a pond as a file system of the kernel.
//!
//! Role: turn what the kernel asks into operations of a pond, and tell the kernel what it may keep.
//! In: an open [`Pond`](crate::pond::Pond) and a mountpoint. Out: a [`Mounted`] tree, with the past
//! of each directory under its hidden name `@version`. Holds always: the only room that names
//! `fuser`; no request is answered before what it asks for is done; what the kernel keeps for ever
//! (names, attributes, pages) changes only through the mount itself, or cannot change at all.
//!
//! - [`session`]: mounting, serving, ending.
//! - [`kernel`]: the kernel's table of mounts, as root and as anybody else.
//! - [`requests`]: requests in, which thread serves them, replies out; those that have no reply yet.
//! - [`mirror`]: the pond as it is shown. [`views`]: what each request means for what is shown.
//! - [`cache`]: what the kernel keeps, and how it is told to drop it.

mod cache;
mod error;
mod kernel;
mod mirror;
mod requests;
mod session;
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
