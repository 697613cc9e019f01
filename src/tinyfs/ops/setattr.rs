//! `chmod`, `chown` and `utimensat`: `setattr` except for the size.

use super::{Caller, present};
use crate::tinyfs::{Errno, FsResult, Kind, Node, NodeId, Nodes, Store, Time, Tx};

const SET_UID: u16 = 0o4000;
const SET_GID: u16 = 0o2000;
const GROUP_EXEC: u16 = 0o0010;

/// New values of attributes. `None` leaves a value unchanged.
#[derive(Clone, Copy, Debug, Default)]
pub struct SetAttr {
    /// Permission, set-id and sticky bits.
    pub mode: Option<u16>,
    /// Owner.
    pub uid: Option<u32>,
    /// Group.
    pub gid: Option<u32>,
    /// Time of the last access.
    pub atime: Option<Time>,
    /// Time of the last change of the content.
    pub mtime: Option<Time>,
}

/// Changes the attributes of a node. A new owner or group clears the set-id bits of a node that is
/// not a directory, even if both keep their values, unless a mode is set as well.
///
/// Errors: `EOPNOTSUPP` for the mode of a symbolic link.
pub fn setattr<S: Store>(
    tx: &mut Tx<'_, S>,
    caller: &Caller,
    id: NodeId,
    set: &SetAttr,
) -> FsResult<Node> {
    let mut node = present(tx, id)?;
    if let Some(mode) = set.mode {
        if node.kind == Kind::Symlink {
            return Err(Errno::EOPNOTSUPP.into());
        }
        node.mode = mode & 0o7777;
    }
    if set.uid.is_some() || set.gid.is_some() {
        node.uid = set.uid.unwrap_or(node.uid);
        node.gid = set.gid.unwrap_or(node.gid);
        if set.mode.is_none() && !node.is_dir() {
            clear_set_id(caller, &mut node);
        }
    }
    node.atime = set.atime.unwrap_or(node.atime);
    node.mtime = set.mtime.unwrap_or(node.mtime);
    node.ctime = caller.now;
    tx.put::<Nodes>(id, node.clone());
    Ok(node)
}

/// Clears the set-user-id bit. Clears the set-group-id bit if group execution is on or the caller
/// is not in the group (`setattr_should_drop_sgid` in Linux).
pub(super) fn clear_set_id(caller: &Caller, node: &mut Node) {
    node.mode &= !SET_UID;
    if node.mode & GROUP_EXEC != 0 || !caller.member {
        node.mode &= !SET_GID;
    }
}
