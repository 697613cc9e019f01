//! Operations as data: the call and its arguments; printed as one line each.

use std::fmt;

use rustix::fs::{Access, AtFlags, FallocateFlags, OFlags, RenameFlags, Timespec, XattrFlags};

/// The most files that a sequence holds open.
pub const SLOTS: usize = 3;

/// One operation, and its user.
#[derive(Clone, Debug)]
pub struct Step {
    pub user: User,
    pub op: Op,
}

/// Operations in order.
#[derive(Clone, Debug)]
pub struct Sequence {
    pub steps: Vec<Step>,
    /// The number of operations after which everything is compared. A comparison fills the kernel's
    /// caches, and so may hide that they are wrong.
    pub look_every: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum User {
    Root,
    /// Has a supplementary group.
    Alice,
    Bob,
}

/// The start of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Base {
    Root,
    Cwd,
    /// An open file, which need not be a directory.
    Slot(usize),
}

#[derive(Clone)]
pub struct Place {
    pub base: Base,
    pub path: Text,
}

/// The target of an operation on attributes.
#[derive(Clone, Debug)]
pub enum Target {
    /// The node that the path leads to.
    Path(Place),
    /// The path itself, even if it is a link.
    Link(Place),
    Slot(usize),
}

/// Bytes of a name or a target, printed short.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Text(pub Vec<u8>);

/// Permission bits.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Octal(pub u32);

/// Bytes of a length, generated from a seed.
#[derive(Clone, Copy, Debug)]
pub struct Data {
    pub len: usize,
    pub seed: u8,
}

#[derive(Clone, Debug)]
pub enum Op {
    Open(Place, OFlags, Octal, usize),
    Close(usize),
    Mkdir(Place, Octal),
    /// With the file type in the mode.
    Mknod(Place, Octal, u64),
    Symlink(Text, Place),
    Link(Place, Place, AtFlags),
    /// Adds a name to an open file, by `/proc/self/fd`.
    LinkSlot(usize, Place),
    Unlink(Place, AtFlags),
    Rename(Place, Place, RenameFlags),
    Readlink(Place, usize),
    List(usize),
    Chdir(Place),
    Getcwd,
    Umask(Octal),
    Chmod(Target, Octal),
    Chown(Target, Option<u32>, Option<u32>),
    Times(Target, Timespec, Timespec),
    Access(Place, Access, AtFlags),
    Statfs(Target),
    SetXattr(Target, Text, Data, XattrFlags),
    GetXattr(Target, Text, usize),
    ListXattr(Target, usize),
    RemoveXattr(Target, Text),
    Truncate(Place, u64),
    TruncateSlot(usize, u64),
    Write(usize, Data),
    WriteParts(usize, [Data; 3]),
    WriteAt(usize, u64, Data),
    Read(usize, usize),
    ReadAt(usize, u64, usize),
    Seek(usize, From, i64),
    /// From a slot and an offset (or its position) to another.
    Copy(usize, Option<u64>, usize, Option<u64>, usize),
    Allocate(usize, FallocateFlags, u64, u64),
    /// Writes through a shared mapping, as far as the file is long, and waits for the write-back.
    Map(usize, u64, Data),
    Fsync(usize),
}

/// The origin of a seek.
#[derive(Clone, Copy, Debug)]
pub enum From {
    Start,
    Here,
    End,
    Data,
    Hole,
}

impl Data {
    pub fn bytes(self) -> Vec<u8> {
        crate::rng::Rng::new(self.seed.into()).bytes(self.len)
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.base {
            Base::Root => write!(f, "{:?}", self.path),
            Base::Cwd => write!(f, "cwd:{:?}", self.path),
            Base::Slot(slot) => write!(f, "slot{slot}:{:?}", self.path),
        }
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.len() {
            0..=60 => write!(f, "\"{}\"", self.0.escape_ascii()),
            len => write!(f, "\"{}\"…({len} bytes)", self.0[..12].escape_ascii()),
        }
    }
}

impl fmt::Debug for Octal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "0{:o}", self.0)
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:<5} {:?}", format!("{:?}", self.user), self.op)
    }
}
