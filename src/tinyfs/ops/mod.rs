//! One function for each POSIX operation, over a [`Tx`](super::Tx).
//!
//! A function gets the operation's view of the maps, the [`Caller`] and the arguments. It records
//! its changes in the `Tx` and returns the result for the caller. It checks everything before it
//! changes anything.
//!
//! Permissions are not checked here; on a mount the kernel checks them (`default_permissions`).

mod create;
mod data;
mod remove;
mod rename;
mod restore;
mod revert;
mod setattr;
#[cfg(test)]
mod tests;
mod view;
mod xattr;

pub use create::{NewNode, create, link};

pub use data::{CHUNK, Seek, copy_range, extents_in, seek, truncate, write, zero};
pub use remove::{Unlinked, rmdir, unlink};
pub use rename::{RenameMode, Renamed, rename};
pub use restore::{Place, Restored, restore};
pub use revert::{Reverted, revert};
pub use setattr::{SetAttr, setattr};
pub use view::{list, list_from, lookup, node};
pub use xattr::{SetXattr, list_xattrs, remove_xattr, set_xattr, xattr, xattrs};

use super::{Errno, FsResult, Node, NodeId, Nodes, Store, Time, Tx};

/// Credentials of the caller, and the time of the operation.
#[derive(Clone, Copy, Debug)]
pub struct Caller {
    /// Effective user.
    pub uid: u32,
    /// Effective group.
    pub gid: u32,
    /// Whether the caller is in the group of the file to change. If not, the set-group-id bit is
    /// cleared even where group execution is off.
    pub member: bool,
    /// Current time.
    pub now: Time,
}

impl Caller {
    /// Returns whether set-id bits survive writes of this caller: `CAP_FSETID`, taken to be user id
    /// 0.
    fn keeps_set_id(&self) -> bool {
        self.uid == 0
    }
}

/// Returns node `id`. Errors: `ENOENT`.
fn present<S: Store>(tx: &Tx<'_, S>, id: NodeId) -> FsResult<Node> {
    Ok(tx.get::<Nodes>(&id)?.ok_or(Errno::ENOENT)?)
}

/// Returns directory `id`. Errors: `ENOENT`, `ENOTDIR`.
fn directory<S: Store>(tx: &Tx<'_, S>, id: NodeId) -> FsResult<Node> {
    let node = present(tx, id)?;
    match node.is_dir() {
        true => Ok(node),
        false => Err(Errno::ENOTDIR.into()),
    }
}

/// Returns directory `id` for a new entry. Errors: `ENOENT`, also if it is removed and only still
/// open; `ENOTDIR`.
fn holder<S: Store>(tx: &Tx<'_, S>, id: NodeId) -> FsResult<Node> {
    let node = directory(tx, id)?;
    match node.nlink {
        0 => Err(Errno::ENOENT.into()),
        _ => Ok(node),
    }
}

/// Returns regular file `id`. Errors: `ENOENT`; `EISDIR`; `EINVAL` for other kinds.
fn file<S: Store>(tx: &Tx<'_, S>, id: NodeId) -> FsResult<Node> {
    let node = present(tx, id)?;
    if node.is_dir() {
        return Err(Errno::EISDIR.into());
    }
    match node.is_file() {
        true => Ok(node),
        false => Err(Errno::EINVAL.into()),
    }
}
