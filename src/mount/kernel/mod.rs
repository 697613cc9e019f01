//! The kernel's mount table: makes, finds, changes and removes mounts.
//!
//! In: a mountpoint and options. Out: a connection to `/dev/fuse`, or entries of
//! `/proc/self/mountinfo`. Invariant: nothing here depends on a pond.
//!
//! - [`device`]: mounting as root, by system calls; [`fusermount`]: as another user, by
//!   `fusermount3`.
//! - [`mounts`]: the mount table. [`unmount`]: unmounting, remounting, and dead mounts.
//! - [`connection`]: aborting the connection of a mount whose daemon is stuck.

pub(in crate::mount) mod connection;
pub(in crate::mount) mod device;
pub(in crate::mount) mod fusermount;
pub(in crate::mount) mod mounts;
pub(in crate::mount) mod unmount;
