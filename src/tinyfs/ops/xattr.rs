//! Extended attributes.

use super::{Caller, present};
use crate::tinyfs::{AttrName, Attrs, Errno, FsResult, NodeId, Nodes, Store, Tx, Version};
use bytes::Bytes;
use std::ops::ControlFlow;

/// The longest value of an attribute, in bytes (`XATTR_SIZE_MAX`).
const MAX_VALUE: usize = 65_536;

/// What setting an attribute demands of the one that is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SetXattr {
    /// Nothing.
    Any,
    /// That there is none (`XATTR_CREATE`), else `EEXIST`.
    Create,
    /// That there is one (`XATTR_REPLACE`), else `ENODATA`.
    Replace,
    /// Both, which never is.
    Neither,
}

/// The value of an attribute at version `at`.
pub fn xattr<S: Store>(
    store: &S,
    at: Version,
    id: NodeId,
    name: &AttrName,
) -> FsResult<Option<Bytes>> {
    store.get::<Attrs>(at, &(id, name.clone()))
}

/// The names of a node's attributes at version `at`, in order.
pub fn list_xattrs<S: Store>(store: &S, at: Version, id: NodeId) -> FsResult<Vec<AttrName>> {
    let attrs = xattrs(store, at, id)?;
    Ok(attrs.into_iter().map(|(name, _)| name).collect())
}

/// A node's attributes at version `at`, in the order of their names.
pub fn xattrs<S: Store>(store: &S, at: Version, id: NodeId) -> FsResult<Vec<(AttrName, Bytes)>> {
    let from = (id, AttrName::lowest());
    let to = (NodeId(id.0 + 1), AttrName::lowest());
    let mut attrs = Vec::new();
    store.scan::<Attrs>(at, &from, &to, &mut |(_, name), value| {
        attrs.push((name, value));
        ControlFlow::Continue(())
    })?;
    Ok(attrs)
}

/// Sets an attribute. Errors: `EEXIST` and `ENODATA` by `mode`; `E2BIG`.
pub fn set_xattr<S: Store>(
    tx: &mut Tx<'_, S>,
    caller: &Caller,
    id: NodeId,
    name: &AttrName,
    value: &[u8],
    mode: SetXattr,
) -> FsResult<()> {
    let mut node = present(tx, id)?;
    if value.len() > MAX_VALUE {
        return Err(Errno::E2BIG.into());
    }
    let key = (id, name.clone());
    match (mode, tx.get::<Attrs>(&key)?) {
        (SetXattr::Create | SetXattr::Neither, Some(_)) => return Err(Errno::EEXIST.into()),
        (SetXattr::Replace | SetXattr::Neither, None) => return Err(Errno::ENODATA.into()),
        // What is there already is no change.
        (_, Some(there)) if there == value => return Ok(()),
        _ => {}
    }
    node.ctime = caller.now;
    tx.put::<Attrs>(key, Bytes::copy_from_slice(value));
    tx.put::<Nodes>(id, node);
    Ok(())
}

/// Removes an attribute, or answers `ENODATA`.
pub fn remove_xattr<S: Store>(
    tx: &mut Tx<'_, S>,
    caller: &Caller,
    id: NodeId,
    name: &AttrName,
) -> FsResult<()> {
    let mut node = present(tx, id)?;
    let key = (id, name.clone());
    if tx.get::<Attrs>(&key)?.is_none() {
        return Err(Errno::ENODATA.into());
    }
    node.ctime = caller.now;
    tx.remove::<Attrs>(key);
    tx.put::<Nodes>(id, node);
    Ok(())
}
