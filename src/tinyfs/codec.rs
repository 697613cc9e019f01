//! Encodes keys and values of the four maps as bytes: compact, of fixed layout, checked when
//! decoded.
//!
//! The implementations of [`Map`](super::Map) use it. Integers in keys are big-endian, so that
//! encoded keys sort like the keys; integers in values are little-endian. Bytes that do not decode
//! completely and in range are [`Malformed`].

use super::{
    AttrName, ContentId, Dentry, Extent, Kind, MAX_EXTENT, Name, Node, NodeId, SegmentId, Stored,
    Time,
};
use bytes::Bytes;

/// The bytes do not encode a key or value of their map.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an entry cannot be read: {0}")]
pub struct Malformed(pub &'static str);

const INLINE: u8 = 0;
const STORED: u8 = 1;
const PACKED: u8 = 2;

pub(super) fn put_id(id: u64, out: &mut Vec<u8>) {
    out.extend_from_slice(&id.to_be_bytes());
}

fn put_time(t: Time, out: &mut Vec<u8>) {
    out.extend_from_slice(&t.sec.to_le_bytes());
    out.extend_from_slice(&t.nsec.to_le_bytes());
}

pub(super) fn put_node(node: &Node, out: &mut Vec<u8>) {
    out.push(node.kind as u8);
    out.extend_from_slice(&node.mode.to_le_bytes());
    for n in [node.uid, node.gid, node.nlink, node.rdev] {
        out.extend_from_slice(&n.to_le_bytes());
    }
    out.extend_from_slice(&node.size.to_le_bytes());
    out.extend_from_slice(&node.allocated.to_le_bytes());
    for t in [node.atime, node.mtime, node.ctime, node.btime] {
        put_time(t, out);
    }
    // Ids start at 1, so 0 encodes `None`.
    let content = node.content.map_or(0, |c| c.0);
    let parent = node.parent.map_or(0, |p| p.0);
    out.extend_from_slice(&content.to_le_bytes());
    out.extend_from_slice(&parent.to_le_bytes());
    out.extend_from_slice(&node.target);
}

pub(super) fn put_dentry(dentry: &Dentry, out: &mut Vec<u8>) {
    out.push(dentry.kind as u8);
    out.extend_from_slice(&dentry.child.0.to_le_bytes());
}

pub(super) fn put_extent(extent: &Extent, out: &mut Vec<u8>) {
    match extent {
        Extent::Inline(bytes) => {
            out.push(INLINE);
            out.extend_from_slice(bytes);
        }
        Extent::Stored(s) => {
            out.push(if s.is_packed() { PACKED } else { STORED });
            for n in [s.len, s.skip, s.stored_len] {
                out.extend_from_slice(&n.to_le_bytes());
            }
            if s.is_packed() {
                out.extend_from_slice(&s.packed_len.to_le_bytes());
            }
            out.extend_from_slice(&s.segment.0.to_le_bytes());
            out.extend_from_slice(&s.offset.to_le_bytes());
            out.extend_from_slice(&s.hash);
        }
    }
}

/// Decodes `bytes` with `read`, which must consume all of them.
pub(super) fn whole<'a, T>(
    bytes: &'a [u8],
    read: impl FnOnce(&mut Reader<'a>) -> Result<T, Malformed>,
) -> Result<T, Malformed> {
    let mut reader = Reader { bytes };
    let value = read(&mut reader)?;
    match reader.bytes {
        [] => Ok(value),
        _ => Err(Malformed("it is longer than its kind allows")),
    }
}

/// All ids that are read are less than this. The mount uses greater numbers for derived inodes, and
/// a pond is not opened once it has used half of them, so that no new id reaches the limit.
pub const ID_LIMIT: u64 = 1 << 50;
/// The longest target of a symbolic link (`PATH_MAX` without its NUL).
const MAX_TARGET: usize = 4095;
/// The longest value of an extended attribute (`XATTR_SIZE_MAX` of Linux).
const MAX_VALUE: usize = 64 << 10;

/// Returns `id` if it is less than [`ID_LIMIT`].
fn in_range(id: u64) -> Result<u64, Malformed> {
    match id {
        0..ID_LIMIT => Ok(id),
        _ => Err(Malformed("an id is greater than any is")),
    }
}

/// Decodes the value of an attribute.
pub(super) fn attr_value(bytes: &[u8]) -> Result<Bytes, Malformed> {
    match bytes.len() {
        0..=MAX_VALUE => Ok(Bytes::copy_from_slice(bytes)),
        _ => Err(Malformed("an attribute is longer than 64 KiB")),
    }
}

/// The bytes of an entry that are not decoded yet.
pub(super) struct Reader<'a> {
    bytes: &'a [u8],
}

impl<'a> Reader<'a> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let (head, tail) = self
            .bytes
            .split_first_chunk::<N>()
            .ok_or(Malformed("it is cut short"))?;
        self.bytes = tail;
        Ok(*head)
    }

    fn u32(&mut self) -> Result<u32, Malformed> {
        self.take().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Result<u64, Malformed> {
        self.take().map(u64::from_le_bytes)
    }

    fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.bytes)
    }

    fn kind(&mut self) -> Result<Kind, Malformed> {
        let [n] = self.take()?;
        Kind::from_u8(n).ok_or(Malformed("it has an unknown kind of node"))
    }

    fn time(&mut self) -> Result<Time, Malformed> {
        let sec = i64::from_le_bytes(self.take()?);
        let nsec = self.u32()?;
        match nsec {
            0..1_000_000_000 => Ok(Time { sec, nsec }),
            _ => Err(Malformed("a time has more than a second of nanoseconds")),
        }
    }

    /// Reads an id of a key, big-endian.
    pub(super) fn id(&mut self) -> Result<u64, Malformed> {
        match self.take().map(u64::from_be_bytes)? {
            0 => Err(Malformed("an id is 0")),
            id => in_range(id),
        }
    }

    /// Reads the owner of an attribute: a node, or the pond itself.
    pub(super) fn owner(&mut self) -> Result<NodeId, Malformed> {
        let id = self.take().map(u64::from_be_bytes)?;
        in_range(id).map(NodeId)
    }

    /// Reads the offset of a key, big-endian.
    pub(super) fn offset(&mut self) -> Result<u64, Malformed> {
        let offset = self.take().map(u64::from_be_bytes)?;
        match i64::try_from(offset) {
            Ok(_) => Ok(offset),
            Err(_) => Err(Malformed("an extent begins beyond the end of any file")),
        }
    }

    /// Reads all remaining bytes as the name of an entry.
    pub(super) fn name(&mut self) -> Result<Name, Malformed> {
        Name::new(self.rest()).map_err(|_| Malformed("it has a name that no entry can have"))
    }

    /// Reads all remaining bytes as the name of an attribute.
    pub(super) fn attr_name(&mut self) -> Result<AttrName, Malformed> {
        AttrName::new(self.rest())
            .map_err(|_| Malformed("it has a name that no attribute can have"))
    }

    pub(super) fn node(&mut self) -> Result<Node, Malformed> {
        let kind = self.kind()?;
        let mode = u16::from_le_bytes(self.take()?);
        if mode > 0o7777 {
            return Err(Malformed("a mode has bits outside 07777"));
        }
        let (uid, gid, nlink, rdev) = (self.u32()?, self.u32()?, self.u32()?, self.u32()?);
        let (size, allocated) = (self.u64()?, self.u64()?);
        if allocated > size {
            return Err(Malformed("more of a file is allocated than it is long"));
        }
        let (atime, mtime) = (self.time()?, self.time()?);
        let (ctime, btime) = (self.time()?, self.time()?);
        if i64::try_from(size).is_err() {
            return Err(Malformed("a file is longer than an offset can say"));
        }
        let content = Some(in_range(self.u64()?)?)
            .filter(|c| *c != 0)
            .map(ContentId);
        let parent = Some(in_range(self.u64()?)?).filter(|p| *p != 0).map(NodeId);
        let target: Box<[u8]> = self.rest().into();
        if target.len() > MAX_TARGET || target.contains(&0) {
            return Err(Malformed(
                "the target of a link is none that a link can have",
            ));
        }
        Ok(Node {
            kind,
            mode,
            uid,
            gid,
            nlink,
            size,
            allocated,
            atime,
            mtime,
            ctime,
            btime,
            rdev,
            content,
            target,
            parent,
        })
    }

    pub(super) fn dentry(&mut self) -> Result<Dentry, Malformed> {
        let kind = self.kind()?;
        let child = match self.u64()? {
            0 => return Err(Malformed("a name leads to no node")),
            id => NodeId(in_range(id)?),
        };
        Ok(Dentry { child, kind })
    }

    pub(super) fn extent(&mut self) -> Result<Extent, Malformed> {
        match self.take()? {
            [INLINE] => {
                let bytes = self.rest();
                match bytes.len() {
                    0 => Err(Malformed("an extent has no bytes")),
                    n if n > MAX_EXTENT as usize => Err(Malformed("an extent is too long")),
                    _ => Ok(Extent::Inline(Bytes::copy_from_slice(bytes))),
                }
            }
            [kind @ (STORED | PACKED)] => {
                let (len, skip, stored_len) = (self.u32()?, self.u32()?, self.u32()?);
                let packed_len = match kind {
                    PACKED => self.u32()?,
                    _ => stored_len,
                };
                let segment = SegmentId(self.u64()?);
                let offset = self.u64()?;
                let hash = self.take()?;
                Stored {
                    len,
                    skip,
                    segment,
                    offset,
                    stored_len,
                    packed_len,
                    hash,
                }
                .checked()
                .map(Extent::Stored)
            }
            _ => Err(Malformed("an extent is of an unknown kind")),
        }
    }
}

impl Stored {
    /// Returns this run if it lies within its stored extent and the lengths of that are in range.
    pub fn checked(self) -> Result<Stored, Malformed> {
        let end = u64::from(self.skip) + u64::from(self.len);
        if self.len == 0 || end > u64::from(self.stored_len) || self.stored_len > MAX_EXTENT {
            return Err(Malformed("an extent reaches beyond what is stored"));
        }
        if self.packed_len == 0 || self.packed_len > self.stored_len {
            return Err(Malformed(
                "an extent is packed into no bytes, or into more than it has",
            ));
        }
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Attrs, Extents, Map, Names, Nodes};
    use super::*;
    use proptest::prelude::*;

    fn round_trip<M: Map>(key: M::Key, value: M::Value)
    where
        M::Key: PartialEq,
    {
        let (mut k, mut v) = (Vec::new(), Vec::new());
        M::encode_key(&key, &mut k);
        M::encode_value(&value, &mut v);
        assert_eq!(M::decode_key(&k).as_ref(), Ok(&key));
        assert_eq!(M::decode_value(&v).as_ref(), Ok(&value));
    }

    #[test]
    fn entries_round_trip() {
        let t = Time { sec: -5, nsec: 7 };
        let node = Node {
            kind: Kind::Symlink,
            mode: 0o777,
            uid: 1,
            gid: 2,
            nlink: 1,
            size: 3,
            allocated: 2,
            atime: t,
            mtime: t,
            ctime: t,
            btime: t,
            rdev: 9,
            content: None,
            target: b"a/b"[..].into(),
            parent: Some(NodeId(4)),
        };
        round_trip::<Nodes>(NodeId(77), node);
        let name = Name::new(b"\xff x").unwrap();
        round_trip::<Names>(
            (NodeId(1), name),
            Dentry {
                child: NodeId(2),
                kind: Kind::Fifo,
            },
        );
        round_trip::<Extents>(
            (ContentId(3), 4096),
            Extent::Inline(Bytes::from_static(b"hi")),
        );
        let stored = Stored {
            len: 5,
            skip: 2,
            segment: SegmentId(8),
            offset: 1 << 40,
            stored_len: 7,
            packed_len: 7,
            hash: [3; 32],
        };
        round_trip::<Extents>((ContentId(3), 0), Extent::Stored(stored));
    }

    fn decode_all<M: Map>(bytes: &[u8])
    where
        M::Key: PartialEq,
    {
        // Decoding is exact: bytes that decode are the bytes that the value encodes to.
        if let Ok(key) = M::decode_key(bytes) {
            let mut again = Vec::new();
            M::encode_key(&key, &mut again);
            assert_eq!(again, bytes);
        }
        if let Ok(value) = M::decode_value(bytes) {
            let mut again = Vec::new();
            M::encode_value(&value, &mut again);
            assert_eq!(again, bytes);
        }
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_decode_exactly_or_are_malformed(
            kind in 0..9u8,
            mode in 0..0o10000u16,
            rest in proptest::collection::vec(any::<u8>(), 0..200),
            small in any::<bool>(),
        ) {
            // A kind and a mode, as a node has them, then mostly zeros, which are valid for most
            // fields.
            let rest = rest.into_iter().map(|byte| if small && byte > 9 { 0 } else { byte });
            let bytes: Vec<u8> = [kind].into_iter().chain(mode.to_le_bytes()).chain(rest).collect();
            for bytes in [&bytes[..], &bytes[1..], &bytes[3..]] {
                decode_all::<Nodes>(bytes);
                decode_all::<Names>(bytes);
                decode_all::<Extents>(bytes);
                decode_all::<Attrs>(bytes);
            }
        }
    }

    #[test]
    fn entries_out_of_range_are_malformed() {
        assert!(Nodes::decode_value(&[1, 2, 3]).is_err());
        assert!(Names::decode_key(b"12345678a/b").is_err());
        assert!(Extents::decode_value(&[INLINE]).is_err());
        let beyond = Stored {
            len: 5,
            skip: 3,
            segment: SegmentId(8),
            offset: 0,
            stored_len: 7,
            packed_len: 7,
            hash: [3; 32],
        };
        let mut bytes = Vec::new();
        put_extent(&Extent::Stored(beyond), &mut bytes);
        assert!(Extents::decode_value(&bytes).is_err());
        let key = |ids: &[u64]| -> Vec<u8> { ids.iter().flat_map(|n| n.to_be_bytes()).collect() };
        for id in [0, ID_LIMIT, 1 << 62, u64::MAX] {
            assert!(Nodes::decode_key(&key(&[id])).is_err(), "{id}");
            assert!(Extents::decode_key(&key(&[id, 0])).is_err(), "{id}");
            // An attribute may be the pond's, whose id is 0.
            let owner = Attrs::decode_key(&[&key(&[id]), &b"user.a"[..]].concat());
            assert_eq!(owner.is_err(), id > 0, "{id}");
            let child = [&[1], &id.to_le_bytes()[..]].concat();
            assert!(Names::decode_value(&child).is_err(), "{id}");
        }
        assert!(Extents::decode_key(&key(&[1, 1 << 63])).is_err());
        assert!(Attrs::decode_value(&[0; MAX_VALUE + 1]).is_err());
    }
}
