//! What the mount shows: stored nodes, the past, derived files, and the pond's own files.
//!
//! In: inode numbers, names and bytes, as the kernel sends them. Out: attributes, entries and
//! bytes. Invariant: no type of `fuser`'s requests and replies is used here. Most of it are methods
//! of the [`Vfs`](super::vfs::Vfs).
//!
//! - [`inodes`]: views and their numbers. [`attr`]: attributes as the kernel has them.
//! - [`names`], [`files`], [`xattr`]: operations on stored nodes.
//! - [`listing`], [`directories`]: open directories.
//! - [`past`]: `@version`. [`derived`]: resources and what they render.
//! - [`own`], [`errors`]: `.pond`, the status files of the mount.

pub(in crate::mount) mod attr;
pub(in crate::mount) mod derived;
pub(in crate::mount) mod directories;
pub(in crate::mount) mod errors;
pub(in crate::mount) mod files;
pub(in crate::mount) mod inodes;
pub(in crate::mount) mod listing;
pub(in crate::mount) mod names;
pub(in crate::mount) mod own;
pub(in crate::mount) mod past;
pub(in crate::mount) mod xattr;
