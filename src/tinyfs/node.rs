//! Nodes: the attributes of a file, directory, symbolic link or special file.

use super::{ContentId, NodeId, Time};

/// The kind of a node. The numbers are those of the on-disk formats and never change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Kind {
    /// A regular file.
    File = 1,
    /// A directory.
    Directory = 2,
    /// A symbolic link.
    Symlink = 3,
    /// A named pipe.
    Fifo = 4,
    /// A Unix domain socket.
    Socket = 5,
    /// A character device.
    CharDevice = 6,
    /// A block device.
    BlockDevice = 7,
}

impl Kind {
    /// Returns the kind with this number, if there is one.
    pub fn from_u8(n: u8) -> Option<Kind> {
        Some(match n {
            1 => Kind::File,
            2 => Kind::Directory,
            3 => Kind::Symlink,
            4 => Kind::Fifo,
            5 => Kind::Socket,
            6 => Kind::CharDevice,
            7 => Kind::BlockDevice,
            _ => return None,
        })
    }

    /// Returns the name for the oplog and for users. The names are on disk and never change.
    pub fn name(self) -> &'static str {
        match self {
            Kind::File => "file",
            Kind::Directory => "directory",
            Kind::Symlink => "symlink",
            Kind::Fifo => "fifo",
            Kind::Socket => "socket",
            Kind::CharDevice => "char device",
            Kind::BlockDevice => "block device",
        }
    }
}

/// A node at one version: what an inode is in other file systems.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Kind; never changes.
    pub kind: Kind,
    /// Permission, setuid, setgid and sticky bits (`0o7777`).
    pub mode: u16,
    /// User id of the owner.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
    /// Number of names; for a directory 2 plus the number of its subdirectories.
    pub nlink: u32,
    /// Size in bytes: of the content, or of a symbolic link's target; otherwise 0.
    pub size: u64,
    /// Bytes of a regular file that extents cover, for `st_blocks`. At most `size`.
    pub allocated: u64,
    /// Last access: set at creation and by `utimensat`. Reading does not change it.
    pub atime: Time,
    /// Last change of the content.
    pub mtime: Time,
    /// Last change of the node (`st_ctime`).
    pub ctime: Time,
    /// Creation.
    pub btime: Time,
    /// Device number of a device, otherwise 0.
    pub rdev: u32,
    /// Content of a regular file in the map *extents*. `None` if nothing was written since the file
    /// was created or truncated to zero.
    pub content: Option<ContentId>,
    /// Target of a symbolic link, otherwise empty.
    pub target: Box<[u8]>,
    /// Parent of a directory, which for the root is the root itself; otherwise `None`.
    pub parent: Option<NodeId>,
}

impl Node {
    /// Returns whether this is a directory.
    pub fn is_dir(&self) -> bool {
        self.kind == Kind::Directory
    }

    /// Returns whether this is a regular file.
    pub fn is_file(&self) -> bool {
        self.kind == Kind::File
    }
}
