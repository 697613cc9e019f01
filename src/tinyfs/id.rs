//! Identifiers: one newtype each, so that no number is ever taken for another.

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
    /// The pond itself: no node, but the owner of attributes that are the pond's.
    pub const POND: NodeId = NodeId(0);
}

id_type! {
    /// The bytes of one file between two truncations to zero. Drawn from the same sequence as
    /// [`NodeId`], so that one partition rule serves both.
    ContentId
}

id_type! {
    /// One append-only file of content.
    SegmentId
}

id_type! {
    /// A version of the tree: the number of the Delta commit that made it.
    Version
}

impl Version {
    /// The present, open version included: later than every commit.
    pub const NOW: Version = Version(u64::MAX);
}
