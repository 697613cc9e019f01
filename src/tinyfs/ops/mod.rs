//! What POSIX operations change: one function each, over a [`Tx`](super::Tx).
//!
//! In: the operation's view of the maps, who calls and when, and the arguments. Out: changes in the
//! `Tx`, and what the caller is told. Whether the caller *may* is asked elsewhere (on a mount, by
//! the kernel); here stands what happens. A function checks everything before it changes anything.

mod create;
mod data;
mod remove;
mod rename;
mod restore;
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
pub use setattr::{SetAttr, setattr};
pub use view::{list, lookup, node};
pub use xattr::{SetXattr, list_xattrs, remove_xattr, set_xattr, xattr, xattrs};

use super::{Errno, FsResult, Node, NodeId, Nodes, Store, Time, Tx};

/// Who asks for an operation, and when.
#[derive(Clone, Copy, Debug)]
pub struct Caller {
    /// Effective user.
    pub uid: u32,
    /// Effective group.
    pub gid: u32,
    /// Whether they are in the group of the file that is to be changed: who is not does not keep its
    /// set-group-id bit, even where that does not mean execution.
    pub member: bool,
    /// The present moment.
    pub now: Time,
}

impl Caller {
    /// Whether set-id bits survive this caller's writes (`CAP_FSETID`, as far as a user id tells).
    fn keeps_set_id(&self) -> bool {
        self.uid == 0
    }
}

/// The node `id`, or `ENOENT`.
fn present<S: Store>(tx: &Tx<'_, S>, id: NodeId) -> FsResult<Node> {
    Ok(tx.get::<Nodes>(&id)?.ok_or(Errno::ENOENT)?)
}

/// The directory `id`, or `ENOENT`, or `ENOTDIR`.
fn directory<S: Store>(tx: &Tx<'_, S>, id: NodeId) -> FsResult<Node> {
    let node = present(tx, id)?;
    match node.is_dir() {
        true => Ok(node),
        false => Err(Errno::ENOTDIR.into()),
    }
}

/// The directory `id`, to put an entry in: `ENOENT` too once it was removed and is only still open.
fn holder<S: Store>(tx: &Tx<'_, S>, id: NodeId) -> FsResult<Node> {
    let node = directory(tx, id)?;
    match node.nlink {
        0 => Err(Errno::ENOENT.into()),
        _ => Ok(node),
    }
}

/// The regular file `id`, or `ENOENT`, `EISDIR`, `EINVAL`.
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
