//! Identifiers: one newtype each, so that the compiler does not accept one for another.

use std::fmt;

macro_rules! id_type {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub u64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

id_type! {
    /// A node: a file, directory, symbolic link or special file. Never reused within a pond.
    NodeId
}

impl NodeId {
    /// The root directory of every pond, in every version.
    pub const ROOT: NodeId = NodeId(1);
    /// The pond itself: not a node, but the owner of the attributes of the pond.
    pub const POND: NodeId = NodeId(0);
}

id_type! {
    /// The bytes of a file between two truncations to zero. Drawn from the same sequence as
    /// [`NodeId`], so that one partition rule serves both.
    ContentId
}

id_type! {
    /// A segment: an append-only file of content.
    SegmentId
}

id_type! {
    /// A version of the tree: the number of its Delta commit.
    Version
}

impl Version {
    /// The present, including the open version: later than every commit.
    pub const NOW: Version = Version(u64::MAX);
}
