//! Extended attributes: read, list, set, remove.

use super::{Caller, present};
use crate::tinyfs::{AttrName, Attrs, Errno, FsResult, NodeId, Nodes, Store, Tx, Version};
use bytes::Bytes;
use std::ops::ControlFlow;

/// Maximum length of a value in bytes (`XATTR_SIZE_MAX`).
const MAX_VALUE: usize = 65_536;

/// The condition under which an attribute is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SetXattr {
    /// No condition.
    Any,
    /// The attribute does not exist (`XATTR_CREATE`), otherwise `EEXIST`.
    Create,
    /// The attribute exists (`XATTR_REPLACE`), otherwise `ENODATA`.
    Replace,
    /// Both flags: always an error.
    Neither,
}

/// Returns the value of an attribute at version `at`.
pub fn xattr<S: Store>(
    store: &S,
    at: Version,
    id: NodeId,
    name: &AttrName,
) -> FsResult<Option<Bytes>> {
    store.get::<Attrs>(at, &(id, name.clone()))
}

/// Returns the names of a node's attributes at version `at`, sorted.
pub fn list_xattrs<S: Store>(store: &S, at: Version, id: NodeId) -> FsResult<Vec<AttrName>> {
    let attrs = xattrs(store, at, id)?;
    Ok(attrs.into_iter().map(|(name, _)| name).collect())
}

/// Returns a node's attributes at version `at`, sorted by name.
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
        // The same value is no change, so it makes no version.
        (_, Some(there)) if there == value => return Ok(()),
        _ => {}
    }
    node.ctime = caller.now;
    tx.put::<Attrs>(key, Bytes::copy_from_slice(value));
    tx.put::<Nodes>(id, node);
    Ok(())
}

/// Removes an attribute. Errors: `ENODATA`.
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
