//! The kernel's caches of a pond: invalidation, and pages pushed into the page cache.
//!
//! Invariant: no reply to a request waits for a notification ([`notify`] has the table of what each
//! notification waits for).
//!
//! - [`notify`]: the notifications. [`invalidation`]: cached attributes of derived directories.
//! - [`page_push`]: pushes the content of small files into the page cache on open.

pub(in crate::mount) mod invalidation;
pub(in crate::mount) mod notify;
pub(in crate::mount) mod page_push;
