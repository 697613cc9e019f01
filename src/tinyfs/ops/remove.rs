//! Removes names: `unlink` and `rmdir`.

use super::{Caller, directory, present};
use crate::tinyfs::{
    AttrName, Attrs, Errno, FsResult, Name, Names, Node, NodeId, Nodes, Store, Tx, Version,
};
use bytes::Bytes;
use std::ops::ControlFlow;

/// A node that lost a name.
#[derive(Clone, Debug)]
pub struct Unlinked {
    /// Its id.
    pub id: NodeId,
    /// The node after the removal. With `nlink` 0 it is in no map any more, and exists only as long
    /// as it is open.
    pub node: Node,
    /// Its extended attributes if `nlink` is 0, otherwise empty.
    pub attrs: Vec<(AttrName, Bytes)>,
}

/// Removes a name of a node that is not a directory.
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

/// Returns whether directory `id` has no entries.
pub(super) fn is_empty<S: Store>(tx: &Tx<'_, S>, id: NodeId) -> FsResult<bool> {
    let mut empty = true;
    super::list(tx, Version::NOW, id, None, &mut |_, _| {
        empty = false;
        ControlFlow::Break(())
    })?;
    Ok(empty)
}

/// Removes a link of a node that is not a directory. The last link removes the node.
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

/// Removes a node and its attributes. No record removes its extents: no node leads to them, which
/// is how garbage collection finds them.
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
