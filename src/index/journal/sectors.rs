//! Places the journal's bytes in sectors of a file that is longer than its records.
//!
//! Role: make a write that a power cut interrupted distinguishable from later damage, in a file of
//! zeros. In: bytes, and their offset among all bytes of the journal. Out: bytes for a file, and
//! their position in it. Invariant: of a complete write, no sector is all zeros, and no single
//! flipped bit makes one so.
//!
//! The last byte of each sector of 512 bytes is [`STAMP`] and holds no data. The others are
//! consecutive, and an offset here counts only them.

/// The unit that a disk writes atomically.
pub(super) const SECTOR: u64 = 512;
/// Data bytes of a sector.
const PAYLOAD: u64 = SECTOR - 1;
/// Many bits away from zero.
pub(super) const STAMP: u8 = 0xFF;

/// Returns the position in the file of the byte at `offset`.
pub(super) fn place(offset: u64) -> u64 {
    match offset.checked_sub(1) {
        None => 0,
        // Directly after the byte before: the stamp of a full sector is written with the next byte.
        Some(last) => last + last / PAYLOAD + 1,
    }
}

/// Returns the number of data bytes in a file of this length.
pub(super) fn bytes_in(len: u64) -> u64 {
    len - len / SECTOR
}

/// Returns data bytes in the form in which they are written at [`place`]`(offset)`.
pub(super) fn stamped(bytes: &[u8], offset: u64) -> Vec<u8> {
    let (mut rest, mut at) = (bytes, place(offset));
    let mut out = Vec::with_capacity(bytes.len() + bytes.len() / PAYLOAD as usize + 2);
    while !rest.is_empty() {
        let left = (PAYLOAD - at % SECTOR) as usize;
        let (now, later) = rest.split_at(left.min(rest.len()));
        out.extend_from_slice(now);
        at += now.len() as u64;
        rest = later;
        if at % SECTOR == PAYLOAD && !rest.is_empty() {
            out.push(STAMP);
            at += 1;
        }
    }
    out
}

/// Returns the data bytes of `raw`, which was read at [`place`]`(offset)`.
pub(super) fn plain(raw: &[u8], offset: u64) -> Vec<u8> {
    let begin = place(offset);
    let mut out = Vec::with_capacity(raw.len());
    for (sector, part) in parts(raw, begin) {
        let to_stamp = (sector + PAYLOAD).saturating_sub(begin.max(sector)) as usize;
        out.extend_from_slice(&part[..to_stamp.min(part.len())]);
    }
    out
}

/// Returns whether the part of any sector in `raw`, which was read at [`place`]`(offset)`, is all
/// zeros.
pub(super) fn any_is_empty(raw: &[u8], offset: u64) -> bool {
    any_is_empty_at(raw, place(offset))
}

/// Does the same for bytes that were read at position `begin` of the file.
pub(super) fn any_is_empty_at(raw: &[u8], begin: u64) -> bool {
    parts(raw, begin).any(|(_, part)| part.iter().all(|byte| *byte == 0))
}

/// Splits bytes of a file by sector. Returns each part with the position of its sector.
fn parts(raw: &[u8], begin: u64) -> impl Iterator<Item = (u64, &[u8])> {
    let first = ((SECTOR - begin % SECTOR) as usize).min(raw.len());
    let (first, rest) = raw.split_at(first);
    let sector = begin - begin % SECTOR;
    let all = std::iter::once(first).chain(rest.chunks(SECTOR as usize));
    all.filter(|part| !part.is_empty())
        .zip(0..)
        .map(move |(part, n)| (sector + n * SECTOR, part))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_written_in_parts_comes_back_and_leaves_no_sector_empty(
            lens in proptest::collection::vec(prop_oneof![1u64..3, 500u64..530, 1u64..3000], 1..8),
        ) {
            let (mut file, mut offset) = (Vec::new(), 0);
            let mut written = Vec::new();
            for (n, len) in lens.into_iter().enumerate() {
                // A record ends in a stamp; all other bytes may be zeros.
                let mut record = vec![0; len as usize];
                record[0] = n as u8 + 1;
                record[len as usize - 1] = STAMP;
                prop_assert_eq!(place(offset), file.len() as u64);
                file.extend(stamped(&record, offset));
                written.push((offset, record));
                offset += len;
                prop_assert_eq!(place(offset), file.len() as u64);
                prop_assert_eq!(bytes_in(file.len() as u64), offset);
            }
            for (offset, record) in written {
                let end = offset + record.len() as u64;
                let raw = &file[place(offset) as usize..place(end) as usize];
                prop_assert_eq!(plain(raw, offset), record);
                prop_assert!(!any_is_empty(raw, offset));
                // A sector that did not reach the disk is detected.
                let mut torn = raw.to_vec();
                let (begin, some) = (place(offset), raw.len() / 2);
                let sector = (begin + some as u64) / SECTOR * SECTOR;
                let from = sector.saturating_sub(begin) as usize;
                let to = ((sector + SECTOR - begin) as usize).min(torn.len());
                torn[from..to].fill(0);
                prop_assert!(any_is_empty(&torn, offset));
            }
        }
    }
}
