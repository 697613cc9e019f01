//! One record of the journal: a header with a checksum of its own, and the entries of one flush.
//!
//! | bytes | |
//! |---|---|
//! | 4 | `JREC` |
//! | 4 | format, 2 |
//! | 16 | the pond's id |
//! | 8 | bytes of the payload |
//! | 8 | generation |
//! | 8 | sequence: one more than that of the record before |
//! | 32 | BLAKE3 of the payload |
//! | 16 | the first bytes of the BLAKE3 of all of the above |
//!
//! The payload: an id above those of all entries, the newest committed version (both u64), and the
//! entries: map (u8), 0 or 1 for removed or put (u8), length (u32) and bytes of the key, and of the
//! value if it was put. Numbers are little-endian. After the payload comes 0xFF: a record that ends
//! in a zero was not written completely.

use super::sectors::STAMP;
use crate::tinyfs::{
    Attrs, Changes, Extents, ID_LIMIT, Malformed, Map, MapId, Names, Nodes, Version,
};
use uuid::Uuid;

const MAGIC: &[u8; 4] = b"JREC";
const FORMAT: u32 = 2;
/// Bytes of a header.
pub(super) const HEADER: usize = 96;
/// The maximum length of a payload in bytes. Memtables that do not fit would not fit into the
/// memory of most machines either.
pub(super) const MAX_PAYLOAD: u64 = 1 << 30;
/// Bytes of a header that its checksum covers.
const COVERED: usize = 80;
/// Bytes after the payload.
pub(super) const TAIL: usize = 1;

/// The fields of a header that are not derived from the payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) pond: Uuid,
    pub(super) generation: u64,
    pub(super) sequence: u64,
}

impl Header {
    /// Returns whether a reader accepts the numbers. Delta's transaction identifiers, which are
    /// generations, are signed.
    pub(super) fn is_within_limits(&self) -> bool {
        let mut numbers = [self.generation, self.sequence].into_iter();
        numbers.all(|number| i64::try_from(number).is_ok())
    }
}

/// A header that was read: itself, and the length and hash of its payload.
pub(super) type Read = (Header, u64, [u8; 32]);

/// Encodes a whole record.
pub(super) fn encode<'c>(
    header: &Header,
    next_id: u64,
    known: Version,
    entries: impl Iterator<Item = &'c Changes>,
) -> Vec<u8> {
    let mut record = vec![0; HEADER];
    record.extend_from_slice(&next_id.to_le_bytes());
    record.extend_from_slice(&known.0.to_le_bytes());
    for changes in entries {
        put::<Nodes>(changes, &mut record);
        put::<Names>(changes, &mut record);
        put::<Extents>(changes, &mut record);
        put::<Attrs>(changes, &mut record);
    }
    let (head, payload) = record.split_at_mut(HEADER);
    head.copy_from_slice(&head_of(header, payload));
    record.push(STAMP);
    record
}

/// Returns the header of a record with this payload: [`HEADER`] bytes.
pub(super) fn head_of(header: &Header, payload: &[u8]) -> Vec<u8> {
    let mut fields = Vec::with_capacity(HEADER);
    fields.extend_from_slice(MAGIC);
    fields.extend_from_slice(&FORMAT.to_le_bytes());
    fields.extend_from_slice(header.pond.as_bytes());
    fields.extend_from_slice(&(payload.len() as u64).to_le_bytes());
    fields.extend_from_slice(&header.generation.to_le_bytes());
    fields.extend_from_slice(&header.sequence.to_le_bytes());
    fields.extend_from_slice(blake3::hash(payload).as_bytes());
    let checksum = blake3::hash(&fields);
    fields.extend_from_slice(&checksum.as_bytes()[..HEADER - COVERED]);
    fields
}

fn put<M: Map>(changes: &Changes, out: &mut Vec<u8>) {
    let sized = |out: &mut Vec<u8>, write: &dyn Fn(&mut Vec<u8>)| {
        let at = out.len();
        out.extend_from_slice(&[0; 4]);
        write(out);
        // A key or a value is at most an extent of a megabyte.
        let len = (out.len() - at - 4) as u32;
        out[at..at + 4].copy_from_slice(&len.to_le_bytes());
    };
    for (key, value) in M::of(changes) {
        out.extend_from_slice(&[M::ID as u8, u8::from(value.is_some())]);
        sized(out, &|out| M::encode_key(key, out));
        if let Some(value) = value {
            sized(out, &|out| M::encode_value(value, out));
        }
    }
}

/// Decodes a header, if it is one of pond `pond`.
pub(super) fn header(bytes: &[u8], pond: Uuid) -> Result<Read, &'static str> {
    let Some((fields, checksum)) = bytes.split_at_checked(COVERED) else {
        return Err("its header is short");
    };
    if &blake3::hash(fields).as_bytes()[..HEADER - COVERED] != checksum {
        return Err("the checksum of its header does not match");
    }
    let mut fields = Fields(fields);
    let short = |_| "its header is short";
    if fields.take(4).map_err(short)? != MAGIC {
        return Err("it does not begin as a record does");
    }
    if fields.u32().map_err(short)? != FORMAT {
        return Err("it is of a newer format");
    }
    if fields.take(16).map_err(short)? != pond.as_bytes() {
        return Err("it is of another pond");
    }
    let len = fields.u64().map_err(short)?;
    let header = Header {
        pond,
        generation: fields.u64().map_err(short)?,
        sequence: fields.u64().map_err(short)?,
    };
    if !header.is_within_limits() {
        return Err("it has a number that no record reaches");
    }
    if len > MAX_PAYLOAD {
        return Err("it is longer than a record can be");
    }
    let hash = fields.take(32).map_err(short)?.try_into();
    Ok((header, len, hash.map_err(|_| "its header is short")?))
}

/// Decodes a payload: an id above all entries', the newest version, and the entries.
pub(super) fn payload(bytes: &[u8]) -> Result<(u64, Version, Changes), Malformed> {
    let mut rest = Fields(bytes);
    let (next_id, known) = (rest.u64()?, Version(rest.u64()?));
    if next_id > ID_LIMIT || i64::try_from(known.0).is_err() {
        return Err(Malformed(
            "a journal record has an id or a version that no pond has",
        ));
    }
    let mut changes = Changes::default();
    while !rest.0.is_empty() {
        let (map, put) = (rest.u8()?, rest.u8()?);
        let key = rest.sized()?;
        let value = match put {
            0 => None,
            1 => Some(rest.sized()?),
            _ => return Err(Malformed("a journal entry is neither put nor removed")),
        };
        match MapId::ALL.into_iter().find(|id| *id as u8 == map) {
            Some(MapId::Nodes) => set::<Nodes>(&mut changes, key, value)?,
            Some(MapId::Names) => set::<Names>(&mut changes, key, value)?,
            Some(MapId::Extents) => set::<Extents>(&mut changes, key, value)?,
            Some(MapId::Attrs) => set::<Attrs>(&mut changes, key, value)?,
            None => return Err(Malformed("a journal entry is of an unknown map")),
        }
    }
    Ok((next_id, known, changes))
}

fn set<M: Map>(changes: &mut Changes, key: &[u8], value: Option<&[u8]>) -> Result<(), Malformed> {
    let value = value.map(M::decode_value).transpose()?;
    changes.set::<M>(M::decode_key(key)?, value);
    Ok(())
}

/// Takes fields off the front of a byte slice.
struct Fields<'b>(&'b [u8]);

impl<'b> Fields<'b> {
    fn take(&mut self, len: usize) -> Result<&'b [u8], Malformed> {
        let cut = Malformed("a journal record is cut short");
        let (field, rest) = self.0.split_at_checked(len).ok_or(cut)?;
        self.0 = rest;
        Ok(field)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let cut = Malformed("a journal record is cut short");
        self.take(N)?.try_into().map_err(|_| cut)
    }

    fn u8(&mut self) -> Result<u8, Malformed> {
        self.array().map(u8::from_le_bytes)
    }

    fn u32(&mut self) -> Result<u32, Malformed> {
        self.array().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Result<u64, Malformed> {
        self.array().map(u64::from_le_bytes)
    }

    fn sized(&mut self) -> Result<&'b [u8], Malformed> {
        let len = self.u32()?;
        self.take(len as usize)
    }
}
