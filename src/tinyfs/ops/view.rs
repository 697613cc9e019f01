//! Reads a node, a name, or the entries of a directory at any version.

use crate::tinyfs::{
    Dentry, Errno, FsError, FsResult, Name, Names, Node, NodeId, Nodes, Store, Version,
};
use std::ops::{Bound, ControlFlow};

/// Returns node `id` at version `at`. Errors: `ENOENT`.
pub fn node<S: Store>(store: &S, at: Version, id: NodeId) -> FsResult<Node> {
    Ok(store.get::<Nodes>(at, &id)?.ok_or(Errno::ENOENT)?)
}

/// Returns the node that `name` leads to in directory `dir` at version `at`. `EIO` if the name
/// leads to no node, or to one of another kind.
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
        // In the present a name may be removed between the two look-ups. A name that is still
        // there, but whose node is not, is damage.
        None if store.get::<Names>(at, &key)? != Some(dentry) => Ok(None),
        _ => {
            let why =
                format!("a name in directory {dir} leads to no node, or to one of another kind");
            Err(FsError::store(why))
        }
    }
}

/// Visits the entries of directory `dir` at version `at`, sorted by name, starting after `after`,
/// until `visit` breaks.
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

/// Returns up to `limit` entries of directory `dir` at version `at`, sorted by name from `from` on,
/// and whether more follow. The cost does not depend on the size of the directory.
pub fn list_from<S: Store>(
    store: &S,
    at: Version,
    dir: NodeId,
    from: Bound<&Name>,
    limit: usize,
) -> FsResult<(Vec<(Name, Dentry)>, bool)> {
    let (start, skipped) = match from {
        Bound::Unbounded => (Name::lowest(), None),
        Bound::Included(name) => (name.clone(), None),
        Bound::Excluded(name) => (name.clone(), Some(name)),
    };
    let end = (NodeId(dir.0 + 1), Name::lowest());
    let mut entries = Vec::new();
    let mut next = Some((dir, start));
    while let Some(start) = next {
        // One more shows whether entries follow, and one may be skipped.
        let page = store.page::<Names>(at, &start, &end, limit - entries.len() + 2)?;
        for ((_, name), dentry) in page.entries {
            if skipped == Some(&name) {
                continue;
            }
            if entries.len() == limit {
                return Ok((entries, true));
            }
            entries.push((name, dentry));
        }
        next = page.next;
    }
    Ok((entries, false))
}
