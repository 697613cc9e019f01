//! Names taken away: `unlink` and `rmdir`, and what becomes of the node behind.

use super::{Caller, directory, present};
use crate::tinyfs::{
    AttrName, Attrs, Errno, FsResult, Name, Names, Node, NodeId, Nodes, Store, Tx, Version,
};
use bytes::Bytes;
use std::ops::ControlFlow;

/// What lost a name.
#[derive(Clone, Debug)]
pub struct Unlinked {
    /// The node.
    pub id: NodeId,
    /// As it stands now: with `nlink` 0 it is in no map any more, and lives on only for those who
    /// have it open.
    pub node: Node,
    /// Its extended attributes, if it is in no map any more.
    pub attrs: Vec<(AttrName, Bytes)>,
}

/// Removes the name of anything but a directory.
///
/// Errors: `ENOENT`, `ENOTDIR`; `EISDIR` for a directory.
pub fn unlink<S: Store>(
    tx: &mut Tx<'_, S>,
    caller: &Caller,
    dir: NodeId,
    name: &Name,
) -> FsResult<Unlinked> {
    let mut parent = directory(tx, dir)?;
    let key = (dir, name.clone());
    let dentry = tx.get::<Names>(&key)?.ok_or(Errno::ENOENT)?;
    let node = present(tx, dentry.child)?;
    if node.is_dir() {
        return Err(Errno::EISDIR.into());
    }
    let unlinked = drop_link(tx, caller, dentry.child, node)?;
    parent.mtime = caller.now;
    parent.ctime = caller.now;
    tx.remove::<Names>(key);
    tx.put::<Nodes>(dir, parent);
    Ok(unlinked)
}

/// Removes an empty directory.
///
/// Errors: `ENOENT`, `ENOTDIR`, `ENOTEMPTY`.
pub fn rmdir<S: Store>(
    tx: &mut Tx<'_, S>,
    caller: &Caller,
    dir: NodeId,
    name: &Name,
) -> FsResult<Unlinked> {
    let mut parent = directory(tx, dir)?;
    let key = (dir, name.clone());
    let dentry = tx.get::<Names>(&key)?.ok_or(Errno::ENOENT)?;
    let node = directory(tx, dentry.child)?;
    if !is_empty(tx, dentry.child)? {
        return Err(Errno::ENOTEMPTY.into());
    }
    let unlinked = drop_node(tx, caller, dentry.child, node)?;
    parent.nlink = parent.nlink.saturating_sub(1);
    parent.mtime = caller.now;
    parent.ctime = caller.now;
    tx.remove::<Names>(key);
    tx.put::<Nodes>(dir, parent);
    Ok(unlinked)
}

/// Whether directory `id` has no entries.
pub(super) fn is_empty<S: Store>(tx: &Tx<'_, S>, id: NodeId) -> FsResult<bool> {
    let mut empty = true;
    super::list(tx, Version::NOW, id, None, &mut |_, _| {
        empty = false;
        ControlFlow::Break(())
    })?;
    Ok(empty)
}

/// Takes one link from a node that is no directory; the last one takes the node with it.
pub(super) fn drop_link<S: Store>(
    tx: &mut Tx<'_, S>,
    caller: &Caller,
    id: NodeId,
    mut node: Node,
) -> FsResult<Unlinked> {
    if node.nlink <= 1 {
        return drop_node(tx, caller, id, node);
    }
    node.nlink -= 1;
    node.ctime = caller.now;
    tx.put::<Nodes>(id, node.clone());
    let attrs = Vec::new();
    Ok(Unlinked { id, node, attrs })
}

/// Removes a node and its attributes. Its extents stay behind without a record: nothing leads to
/// them, and collection finds them by that.
pub(super) fn drop_node<S: Store>(
    tx: &mut Tx<'_, S>,
    caller: &Caller,
    id: NodeId,
    mut node: Node,
) -> FsResult<Unlinked> {
    let attrs = super::xattrs(tx, Version::NOW, id)?;
    for (name, _) in &attrs {
        tx.remove::<Attrs>((id, name.clone()));
    }
    tx.remove::<Nodes>(id);
    node.nlink = 0;
    node.ctime = caller.now;
    Ok(Unlinked { id, node, attrs })
}
