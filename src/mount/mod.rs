//! The mount: a pond as a file system of the kernel.
//!
//! Role: turn what the kernel asks into operations of a pond, and tell the kernel what it may keep.
//! In: an open [`Pond`](crate::pond::Pond) and a mountpoint. Out: a [`Mounted`] tree, with the past
//! of each directory under its hidden name `@version`. Holds always: the only room that names
//! `fuser`; no request is answered before what it asks for is done; what the kernel keeps for ever
//! (names, attributes, pages) changes only through the mount itself, or cannot change at all.
//!
//! - [`session`]: mounting, serving, ending. [`device`], [`fusermount`], [`unmount`], [`table`],
//!   [`connection`]: how the kernel is told, as root and as anybody else, what it says is mounted,
//!   and how a mount is freed whose daemon is stuck.
//! - [`adapter`], [`dispatch`], [`answers`]: requests in, which thread serves them, replies out.
//!   [`requests`]: those that have no reply yet, metrics, pools, and the monitor behind `status`.
//! - [`mirror`] with [`names`], [`files`], [`xattr`], [`past`], [`listing`] and [`directories`]: what each request
//!   means, without any type of `fuser`'s requests. [`inodes`]: views and their numbers.
//!   [`derived`]: resources and what they render. [`intent`]: what a process is about to do. [`attr`]: conversions.
//!   [`own`], [`errors`]: `.pond`, where the pond tells of itself.
//! - [`notify`], [`invalidation`], [`page_push`]: what the kernel is to drop from its caches and what is put there,
//!   and why no request waits for that.

mod adapter;
mod answers;
mod attr;
mod connection;
mod derived;
mod device;
mod directories;
mod dispatch;
mod error;
mod errors;
mod files;
mod fusermount;
mod groups;
mod inodes;
mod intent;
mod invalidation;
mod listing;
mod mirror;
mod names;
mod notify;
mod own;
mod page_push;
mod past;
mod requests;
mod session;
mod table;
mod unmount;
mod xattr;

pub use connection::abort;
pub use device::available;
pub use error::MountError;
pub use session::{MountOptions, Mounted, Rules, Unmounter, mount};
pub use table::{Mount, mounts, mounts_seen_by};
pub use unmount::{is_dead, recover_stale, remount, unmount};

/// The type of our mounts, as `/proc/mounts` shows it.
pub const FILE_SYSTEM: &str = "fuse.pondmount";

#[cfg(test)]
mod fuzz_tests;
#[cfg(test)]
mod tests;
