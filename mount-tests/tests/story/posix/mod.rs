//! POSIX, act by act. Every test runs on a plain directory first and must find the same on a mount; afterwards
//! both trees are compared, and the mount's again after its index was deleted.

mod async_direct;
mod attributes;
mod data;
mod directories;
mod links;
mod locks;
mod names;
mod opening;
mod renaming;
mod space;
mod times;
mod xattrs;
