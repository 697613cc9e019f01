//! Adds names: of new nodes (`creat`, `mkdir`, `mknod`, `symlink`) and of existing ones (`link`).

use super::{Caller, holder, present};
use crate::tinyfs::{Dentry, Errno, FsResult, Kind, Name, Names, Node, NodeId, Nodes, Store, Tx};

/// Maximum number of names of a node, as on ext4.
const MAX_LINKS: u32 = 65_000;
/// Maximum length of a symbolic link's target in bytes (`PATH_MAX` without the closing NUL).
const MAX_TARGET: usize = 4_095;
const SET_GID: u16 = 0o2000;

/// The properties of a new node.
#[derive(Clone, Debug)]
pub struct NewNode<'a> {
    /// Kind of the node.
    pub kind: Kind,
    /// Permission bits, after the caller's umask.
    pub mode: u16,
    /// Device number; ignored unless the node is a device.
    pub rdev: u32,
    /// Target; ignored unless the node is a symbolic link.
    pub target: &'a [u8],
}

/// Creates a node with the unused id `id` under the name `name` in directory `dir`.
///
/// Errors: `EEXIST`; `ENOENT` or `ENOTDIR` of the directory; `EMLINK` if the directory has too many
/// subdirectories; `ENAMETOOLONG` or `ENOENT` if the target is too long or empty.
pub fn create<S: Store>(
    tx: &mut Tx<'_, S>,
    caller: &Caller,
    dir: NodeId,
    name: &Name,
    id: NodeId,
    new: &NewNode<'_>,
) -> FsResult<Node> {
    let mut parent = holder(tx, dir)?;
    let key = (dir, name.clone());
    if tx.get::<Names>(&key)?.is_some() {
        return Err(Errno::EEXIST.into());
    }
    if new.kind == Kind::Symlink {
        match new.target.len() {
            0 => return Err(Errno::ENOENT.into()),
            n if n > MAX_TARGET => return Err(Errno::ENAMETOOLONG.into()),
            _ => {}
        }
    }
    let is_dir = new.kind == Kind::Directory;
    // A symbolic link has all permissions and a target; only a device has a device number.
    let (mode, target) = match new.kind {
        Kind::Symlink => (0o777, new.target),
        _ => (new.mode & 0o7777, &[][..]),
    };
    let rdev = match new.kind {
        Kind::CharDevice | Kind::BlockDevice => new.rdev,
        _ => 0,
    };
    // A set-group-id directory passes on its group, and to directories the bit as well.
    let inherits = parent.mode & SET_GID != 0;
    let node = Node {
        kind: new.kind,
        mode: mode | if is_dir && inherits { SET_GID } else { 0 },
        uid: caller.uid,
        gid: if inherits { parent.gid } else { caller.gid },
        nlink: if is_dir { 2 } else { 1 },
        size: target.len() as u64,
        allocated: 0,
        atime: caller.now,
        mtime: caller.now,
        ctime: caller.now,
        btime: caller.now,
        rdev,
        content: None,
        target: target.into(),
        parent: is_dir.then_some(dir),
    };
    if is_dir {
        parent.nlink = parent.nlink.checked_add(1).ok_or(Errno::EMLINK)?;
    }
    parent.mtime = caller.now;
    parent.ctime = caller.now;
    let kind = node.kind;
    tx.put::<Names>(key, Dentry { child: id, kind });
    tx.put::<Nodes>(dir, parent);
    tx.put::<Nodes>(id, node.clone());
    Ok(node)
}

/// Adds a name to node `id`.
///
/// Errors: `EPERM` for a directory; `EEXIST`; `EMLINK`; `ENOENT`.
pub fn link<S: Store>(
    tx: &mut Tx<'_, S>,
    caller: &Caller,
    id: NodeId,
    dir: NodeId,
    name: &Name,
) -> FsResult<Node> {
    let mut node = present(tx, id)?;
    if node.is_dir() {
        return Err(Errno::EPERM.into());
    }
    let mut parent = holder(tx, dir)?;
    let key = (dir, name.clone());
    if tx.get::<Names>(&key)?.is_some() {
        return Err(Errno::EEXIST.into());
    }
    match node.nlink {
        // The last name is gone; the node exists only as long as it is open.
        0 => return Err(Errno::ENOENT.into()),
        n if n >= MAX_LINKS => return Err(Errno::EMLINK.into()),
        _ => {}
    }
    node.nlink += 1;
    node.ctime = caller.now;
    parent.mtime = caller.now;
    parent.ctime = caller.now;
    let kind = node.kind;
    tx.put::<Names>(key, Dentry { child: id, kind });
    tx.put::<Nodes>(dir, parent);
    tx.put::<Nodes>(id, node.clone());
    Ok(node)
}
