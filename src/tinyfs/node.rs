//! Nodes: what `stat` tells of a file, directory, link or special file.

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
    /// A Unix domain socket's name.
    Socket = 5,
    /// A character device's number.
    CharDevice = 6,
    /// A block device's number.
    BlockDevice = 7,
}

impl Kind {
    /// The kind with that number, if there is one.
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

    /// Its name, in the oplog and for users. The names are on disk and never change.
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

/// One node, as it stands at one version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// What the node is; it never changes.
    pub kind: Kind,
    /// Permission, setuid, setgid and sticky bits (`0o7777`).
    pub mode: u16,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Names that lead here; for a directory two and one for each subdirectory.
    pub nlink: u32,
    /// Size in bytes: of the content, of a symbolic link's target, 0 for the rest.
    pub size: u64,
    /// Bytes that extents cover, of a regular file: what `st_blocks` counts. At most `size`.
    pub allocated: u64,
    /// Last access: set at creation and by `utimensat`; reading leaves it alone.
    pub atime: Time,
    /// Last change of the content.
    pub mtime: Time,
    /// Last change of the node.
    pub ctime: Time,
    /// Creation.
    pub btime: Time,
    /// Device number, of devices only.
    pub rdev: u32,
    /// Where the bytes of a regular file stand in the extents; none while it was never written.
    pub content: Option<ContentId>,
    /// Target of a symbolic link, empty for all else.
    pub target: Box<[u8]>,
    /// The directory that holds this directory (the root holds itself); none for all else.
    pub parent: Option<NodeId>,
}

impl Node {
    /// Whether this is a directory.
    pub fn is_dir(&self) -> bool {
        self.kind == Kind::Directory
    }

    /// Whether this is a regular file.
    pub fn is_file(&self) -> bool {
        self.kind == Kind::File
    }
}
