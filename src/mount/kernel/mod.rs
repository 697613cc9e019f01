//! The kernel's table of mounts: how a mount is made, found, changed and removed.
//!
//! In: a mountpoint and options. Out: a connection to `/dev/fuse`, or entries of
//! `/proc/self/mountinfo`. Nothing here knows of a pond.
//!
//! - [`device`]: mounting as root, by system calls; [`fusermount`]: as anybody else, by
//!   `fusermount3`.
//! - [`mounts`]: what is mounted. [`unmount`]: unmounting, remounting, and dead mounts.
//! - [`connection`]: aborting the connection of a mount whose daemon is stuck.

pub(in crate::mount) mod connection;
pub(in crate::mount) mod device;
pub(in crate::mount) mod fusermount;
pub(in crate::mount) mod mounts;
pub(in crate::mount) mod unmount;
