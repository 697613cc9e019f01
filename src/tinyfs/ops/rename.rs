//! `rename` with its flags.

use super::remove::{Unlinked, drop_link, drop_node, is_empty};
use super::{Caller, NewNode, create, directory, holder, present};
use crate::tinyfs::{Cycle, Dentry, Errno, FsResult, Kind, Name, Names, NodeId, Nodes, Store, Tx};

/// What a rename does if the new name exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RenameMode {
    /// Replaces the entry.
    Replace,
    /// Fails with `EEXIST` (`RENAME_NOREPLACE`).
    NoReplace,
    /// Swaps both entries (`RENAME_EXCHANGE`).
    Exchange,
}

/// Result of a rename.
#[derive(Clone, Debug, Default)]
pub struct Renamed {
    /// The node that the new name led to before, which lost that name.
    pub replaced: Option<Unlinked>,
}

/// Moves the entry `name` of `dir` to `new_name` in `new_dir`. With an unused id as `whiteout` the
/// old name then leads to a character device of number 0 (`RENAME_WHITEOUT`), with which overlayfs
/// hides a name of a lower layer. An exchange leaves no whiteout.
///
/// Errors: `ENOENT`, `ENOTDIR`, `EISDIR`, `ENOTEMPTY`, `EEXIST`; `EINVAL` if a directory would be
/// moved into itself; `ELOOP` if `new_dir` lies in a cycle.
pub fn rename<S: Store>(
    tx: &mut Tx<'_, S>,
    caller: &Caller,
    (dir, name): (NodeId, &Name),
    (new_dir, new_name): (NodeId, &Name),
    mode: RenameMode,
    whiteout: Option<NodeId>,
) -> FsResult<Renamed> {
    directory(tx, dir)?;
    holder(tx, new_dir)?;
    let (from, to) = ((dir, name.clone()), (new_dir, new_name.clone()));
    let moved = tx.get::<Names>(&from)?.ok_or(Errno::ENOENT)?;
    let there = tx.get::<Names>(&to)?;
    match (mode, there) {
        (RenameMode::NoReplace, Some(_)) => return Err(Errno::EEXIST.into()),
        (RenameMode::Exchange, None) => return Err(Errno::ENOENT.into()),
        // Both names lead to one node: POSIX demands that nothing happens.
        (_, Some(there)) if there.child == moved.child => return Ok(Renamed::default()),
        _ => {}
    }
    refuse_cycle(tx, moved, new_dir)?;
    if let (RenameMode::Exchange, Some(there)) = (mode, there) {
        refuse_cycle(tx, there, dir)?;
        tx.put::<Names>(from, there);
        tx.put::<Names>(to, moved);
        settle(tx, caller, there, new_dir, dir)?;
        settle(tx, caller, moved, dir, new_dir)?;
        touch(tx, caller, dir)?;
        touch(tx, caller, new_dir)?;
        return Ok(Renamed::default());
    }
    let replaced = match there {
        Some(there) => Some(replace(tx, caller, moved, there, new_dir)?),
        None => None,
    };
    tx.remove::<Names>(from);
    tx.put::<Names>(to, moved);
    settle(tx, caller, moved, dir, new_dir)?;
    touch(tx, caller, dir)?;
    touch(tx, caller, new_dir)?;
    if let Some(id) = whiteout {
        let hides = NewNode {
            kind: Kind::CharDevice,
            mode: 0,
            rdev: 0,
            target: &[],
        };
        create(tx, caller, dir, name, id, &hides)?;
    }
    Ok(Renamed { replaced })
}

/// Fails with `EINVAL` if the directory `moved` is `into` or contains it. Fails with `ELOOP` if the
/// parents of `into` form a cycle, as in damaged data.
fn refuse_cycle<S: Store>(tx: &Tx<'_, S>, moved: Dentry, into: NodeId) -> FsResult<()> {
    if moved.kind != Kind::Directory {
        return Ok(());
    }
    let (mut at, mut cycle) = (into, Cycle::default());
    while at != NodeId::ROOT {
        if cycle.is_closed_by(at) {
            return Err(Errno::ELOOP.into());
        }
        if at == moved.child {
            return Err(Errno::EINVAL.into());
        }
        at = present(tx, at)?.parent.ok_or(Errno::ENOTDIR)?;
    }
    Ok(())
}

/// Removes the entry that the moved one replaces.
fn replace<S: Store>(
    tx: &mut Tx<'_, S>,
    caller: &Caller,
    moved: Dentry,
    there: Dentry,
    new_dir: NodeId,
) -> FsResult<Unlinked> {
    let moved_is_dir = present(tx, moved.child)?.is_dir();
    let node = present(tx, there.child)?;
    match (moved_is_dir, node.is_dir()) {
        (true, false) => Err(Errno::ENOTDIR.into()),
        (false, true) => Err(Errno::EISDIR.into()),
        (false, false) => drop_link(tx, caller, there.child, node),
        (true, true) => {
            if !is_empty(tx, there.child)? {
                return Err(Errno::ENOTEMPTY.into());
            }
            let unlinked = drop_node(tx, caller, there.child, node)?;
            let mut parent = directory(tx, new_dir)?;
            parent.nlink = parent.nlink.saturating_sub(1);
            tx.put::<Nodes>(new_dir, parent);
            Ok(unlinked)
        }
    }
}

/// Updates the moved node, and for a directory its parent and the link counts of both parents.
fn settle<S: Store>(
    tx: &mut Tx<'_, S>,
    caller: &Caller,
    moved: Dentry,
    dir: NodeId,
    new_dir: NodeId,
) -> FsResult<()> {
    let mut node = present(tx, moved.child)?;
    node.ctime = caller.now;
    if node.is_dir() && dir != new_dir {
        node.parent = Some(new_dir);
        let mut old = directory(tx, dir)?;
        old.nlink = old.nlink.saturating_sub(1);
        tx.put::<Nodes>(dir, old);
        let mut new = directory(tx, new_dir)?;
        new.nlink = new.nlink.checked_add(1).ok_or(Errno::EMLINK)?;
        tx.put::<Nodes>(new_dir, new);
    }
    tx.put::<Nodes>(moved.child, node);
    Ok(())
}

/// Updates the times of a directory whose entries changed.
fn touch<S: Store>(tx: &mut Tx<'_, S>, caller: &Caller, dir: NodeId) -> FsResult<()> {
    let mut node = directory(tx, dir)?;
    node.mtime = caller.now;
    node.ctime = caller.now;
    tx.put::<Nodes>(dir, node);
    Ok(())
}
