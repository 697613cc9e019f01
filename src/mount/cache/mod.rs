//! What the kernel keeps of a pond: what it is to drop from its caches, and what is put there.
//!
//! Invariant: no reply to a request waits for a notification ([`notify`] says which one waits for
//! what).
//!
//! - [`notify`]: the notifications. [`invalidation`]: which attributes the kernel has.
//! - [`page_push`]: the content of small files, put into the page cache when they are opened.

pub(in crate::mount) mod invalidation;
pub(in crate::mount) mod notify;
pub(in crate::mount) mod page_push;
