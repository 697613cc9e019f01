//! Looking: a node, a name, the entries of a directory, at any version.

use crate::tinyfs::{
    Dentry, Errno, FsError, FsResult, Name, Names, Node, NodeId, Nodes, Store, Version,
};
use std::ops::ControlFlow;

/// The node `id` at version `at`, or `ENOENT`.
pub fn node<S: Store>(store: &S, at: Version, id: NodeId) -> FsResult<Node> {
    Ok(store.get::<Nodes>(at, &id)?.ok_or(Errno::ENOENT)?)
}

/// The node that `name` leads to in directory `dir` at version `at`; `EIO` for a name that leads to no node,
/// or to one of another kind.
pub fn lookup<S: Store>(
    store: &S,
    at: Version,
    dir: NodeId,
    name: &Name,
) -> FsResult<Option<(NodeId, Node)>> {
    let key = (dir, name.clone());
    let Some(dentry) = store.get::<Names>(at, &key)? else {
        return Ok(None);
    };
    match store.get::<Nodes>(at, &dentry.child)? {
        Some(node) if node.kind == dentry.kind => Ok(Some((dentry.child, node))),
        // A name can vanish between the two look-ups when the present is asked; then it is gone. One that
        // stays leads nowhere.
        None if store.get::<Names>(at, &key)? != Some(dentry) => Ok(None),
        _ => {
            let why = format!("a name in directory {dir} leads to no node that it could");
            Err(FsError::store(why))
        }
    }
}

/// Visits the entries of directory `dir` at version `at` in the order of their names, from the one
/// after `after` on, until `visit` breaks.
pub fn list<S: Store>(
    store: &S,
    at: Version,
    dir: NodeId,
    after: Option<&Name>,
    visit: &mut dyn FnMut(Name, Dentry) -> ControlFlow<()>,
) -> FsResult<()> {
    let from = (dir, after.cloned().unwrap_or_else(Name::lowest));
    let to = (NodeId(dir.0 + 1), Name::lowest());
    store.scan::<Names>(at, &from, &to, &mut |(_, name), dentry| {
        if after == Some(&name) {
            return ControlFlow::Continue(());
        }
        visit(name, dentry)
    })
}
