//! The four maps as types: their keys and values, and the encoding of both.
//!
//! Generic code over [`Map`] handles all four in memory, in the index and in the oplog.

use super::codec::{self, Malformed};
use super::{AttrName, Changes, ContentId, Dentry, Entries, Extent, Name, Node, NodeId};
use bytes::Bytes;
use std::fmt::Debug;

/// Identifies a map in formats and messages. The numbers are on disk and never change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum MapId {
    /// [`Nodes`].
    Nodes = 1,
    /// [`Names`].
    Names = 2,
    /// [`Extents`].
    Extents = 3,
    /// [`Attrs`].
    Attrs = 4,
}

impl MapId {
    /// All maps, ordered by number.
    pub const ALL: [MapId; 4] = [MapId::Nodes, MapId::Names, MapId::Extents, MapId::Attrs];
}

/// One of the four maps.
pub trait Map: Sized + 'static {
    /// Its identifier.
    const ID: MapId;
    /// Its key. Encoded keys sort like the keys.
    type Key: Ord + Clone + Debug + Send + Sync;
    /// Its value.
    type Value: Clone + Debug + PartialEq + Send + Sync;

    /// Returns this map's part of a set of changes.
    fn of(changes: &Changes) -> &Entries<Self>;
    /// Returns this map's part of a set of changes, mutably.
    fn of_mut(changes: &mut Changes) -> &mut Entries<Self>;
    /// Returns the node or content that a key belongs to. Partitions, statistics and reports go by
    /// it.
    fn owner(key: &Self::Key) -> u64;

    /// Appends the encoded key. Encoded keys sort like the keys.
    fn encode_key(key: &Self::Key, out: &mut Vec<u8>);
    /// Decodes what [`Map::encode_key`] wrote.
    fn decode_key(bytes: &[u8]) -> Result<Self::Key, Malformed>;
    /// Appends the encoded value.
    fn encode_value(value: &Self::Value, out: &mut Vec<u8>);
    /// Decodes what [`Map::encode_value`] wrote.
    fn decode_value(bytes: &[u8]) -> Result<Self::Value, Malformed>;
}

/// An entry of a map: its key and its value.
pub type Entry<M> = (<M as Map>::Key, <M as Map>::Value);

/// Node id → node.
#[derive(Debug)]
pub enum Nodes {}

impl Map for Nodes {
    const ID: MapId = MapId::Nodes;
    type Key = NodeId;
    type Value = Node;

    fn of(changes: &Changes) -> &Entries<Self> {
        &changes.nodes
    }
    fn of_mut(changes: &mut Changes) -> &mut Entries<Self> {
        &mut changes.nodes
    }
    fn owner(key: &NodeId) -> u64 {
        key.0
    }
    fn encode_key(key: &NodeId, out: &mut Vec<u8>) {
        codec::put_id(key.0, out);
    }
    fn decode_key(bytes: &[u8]) -> Result<NodeId, Malformed> {
        codec::whole(bytes, |r| r.id().map(NodeId))
    }
    fn encode_value(value: &Node, out: &mut Vec<u8>) {
        codec::put_node(value, out);
    }
    fn decode_value(bytes: &[u8]) -> Result<Node, Malformed> {
        codec::whole(bytes, codec::Reader::node)
    }
}

/// Directory and name → node.
#[derive(Debug)]
pub enum Names {}

impl Map for Names {
    const ID: MapId = MapId::Names;
    type Key = (NodeId, Name);
    type Value = Dentry;

    fn of(changes: &Changes) -> &Entries<Self> {
        &changes.names
    }
    fn of_mut(changes: &mut Changes) -> &mut Entries<Self> {
        &mut changes.names
    }
    fn owner(key: &(NodeId, Name)) -> u64 {
        key.0.0
    }
    fn encode_key(key: &(NodeId, Name), out: &mut Vec<u8>) {
        codec::put_id(key.0.0, out);
        out.extend_from_slice(key.1.as_bytes());
    }
    fn decode_key(bytes: &[u8]) -> Result<(NodeId, Name), Malformed> {
        codec::whole(bytes, |r| Ok((NodeId(r.id()?), r.name()?)))
    }
    fn encode_value(value: &Dentry, out: &mut Vec<u8>) {
        codec::put_dentry(value, out);
    }
    fn decode_value(bytes: &[u8]) -> Result<Dentry, Malformed> {
        codec::whole(bytes, codec::Reader::dentry)
    }
}

/// Content and file offset → a run of bytes. At each version the runs of a content are disjoint.
#[derive(Debug)]
pub enum Extents {}

impl Map for Extents {
    const ID: MapId = MapId::Extents;
    type Key = (ContentId, u64);
    type Value = Extent;

    fn of(changes: &Changes) -> &Entries<Self> {
        &changes.extents
    }
    fn of_mut(changes: &mut Changes) -> &mut Entries<Self> {
        &mut changes.extents
    }
    fn owner(key: &(ContentId, u64)) -> u64 {
        key.0.0
    }
    fn encode_key(key: &(ContentId, u64), out: &mut Vec<u8>) {
        codec::put_id(key.0.0, out);
        codec::put_id(key.1, out);
    }
    fn decode_key(bytes: &[u8]) -> Result<(ContentId, u64), Malformed> {
        codec::whole(bytes, |r| Ok((ContentId(r.id()?), r.offset()?)))
    }
    fn encode_value(value: &Extent, out: &mut Vec<u8>) {
        codec::put_extent(value, out);
    }
    fn decode_value(bytes: &[u8]) -> Result<Extent, Malformed> {
        codec::whole(bytes, codec::Reader::extent)
    }
}

/// Node and name of an extended attribute → its bytes.
#[derive(Debug)]
pub enum Attrs {}

impl Map for Attrs {
    const ID: MapId = MapId::Attrs;
    type Key = (NodeId, AttrName);
    type Value = Bytes;

    fn of(changes: &Changes) -> &Entries<Self> {
        &changes.attrs
    }
    fn of_mut(changes: &mut Changes) -> &mut Entries<Self> {
        &mut changes.attrs
    }
    fn owner(key: &(NodeId, AttrName)) -> u64 {
        key.0.0
    }
    fn encode_key(key: &(NodeId, AttrName), out: &mut Vec<u8>) {
        codec::put_id(key.0.0, out);
        out.extend_from_slice(key.1.as_bytes());
    }
    fn decode_key(bytes: &[u8]) -> Result<(NodeId, AttrName), Malformed> {
        codec::whole(bytes, |r| Ok((r.owner()?, r.attr_name()?)))
    }
    fn encode_value(value: &Bytes, out: &mut Vec<u8>) {
        out.extend_from_slice(value);
    }
    fn decode_value(bytes: &[u8]) -> Result<Bytes, Malformed> {
        codec::attr_value(bytes)
    }
}
