//! Verifies a part of a stored extent without reading the rest of it.
//!
//! BLAKE3 is a tree hash. When a whole extent is verified for the first time, the hashes of its
//! groups of 16 KiB are computed, merged to the root, compared with the hash in the record, and
//! kept in memory. A later small read fetches and hashes only the groups around it, not 128 KiB.
//!
//! Invariant: group hashes are kept only if they merge to the hash of the extent. They are keyed by
//! that hash, not by a location, so they cannot be stale.
//!
//! See [decision 15](../../docs/decisions/0015-partial-verification-of-reads.md), and subtrees in
//! `blake3::hazmat`. "Chunk group" is a term of bao.

use blake3::Hasher;
use blake3::hazmat::{
    ChainingValue, HasherExt, Mode, left_subtree_len, merge_subtrees_non_root, merge_subtrees_root,
};
use parking_lot::Mutex;
use std::collections::{HashMap, VecDeque};
use std::ops::Range;
use std::sync::Arc;

/// Bytes of a group: a power of two times BLAKE3's chunk of 1 KiB.
const GROUP: usize = 16 << 10;
/// Greatest number of group hashes kept: 8 MiB, for 4 GiB of content.
const REMEMBERED: usize = 1 << 18;

/// The hashes of the groups of one stored extent, in order.
pub(super) type Groups = Arc<[ChainingValue]>;

/// Group hashes by the hash of the whole extent, evicted first in, first out.
#[derive(Default)]
pub(super) struct Remembered(Mutex<Held>);

#[derive(Default)]
struct Held {
    groups: HashMap<[u8; 32], Groups>,
    order: VecDeque<[u8; 32]>,
    count: usize,
}

impl Remembered {
    /// Returns the group hashes of the stored extent with `hash`, if they are kept.
    pub(super) fn get(&self, hash: &[u8; 32]) -> Option<Groups> {
        self.0.lock().groups.get(hash).cloned()
    }

    /// Returns whether `whole` has `hash`, and keeps its group hashes if it has.
    pub(super) fn verify(&self, whole: &[u8], hash: &[u8; 32]) -> bool {
        if whole.len() <= GROUP || self.get(hash).is_some() {
            return blake3::hash(whole).as_bytes() == hash;
        }
        let groups: Groups = whole.chunks(GROUP).enumerate().map(hash_of).collect();
        let verified = root(&groups, whole.len()).as_bytes() == hash;
        if verified {
            self.remember(hash, groups);
        }
        verified
    }

    fn remember(&self, hash: &[u8; 32], groups: Groups) {
        let mut held = self.0.lock();
        held.count += groups.len();
        match held.groups.insert(*hash, groups) {
            Some(same) => held.count -= same.len(),
            None => held.order.push_back(*hash),
        }
        while held.count > REMEMBERED {
            let Some(oldest) = held.order.pop_front() else {
                break;
            };
            let forgotten = held.groups.remove(&oldest);
            held.count -= forgotten.map_or(0, |groups| groups.len());
        }
    }
}

/// Returns the numbers of the groups that overlap `range`, and the bytes that these groups cover in
/// an extent of `len` bytes.
pub(super) fn around(range: Range<usize>, len: usize) -> (Range<usize>, Range<usize>) {
    let groups = range.start / GROUP..range.end.div_ceil(GROUP);
    let bytes = groups.start * GROUP..len.min(groups.end * GROUP);
    (groups, bytes)
}

/// Returns whether `bytes` match the hashes of the groups from number `first` on.
pub(super) fn are_verified(groups: &Groups, first: usize, bytes: &[u8]) -> bool {
    let mut parts = bytes.chunks(GROUP).zip(first..);
    parts.all(|(part, n)| groups.get(n) == Some(&hash_of((n, part))))
}

fn hash_of((n, group): (usize, &[u8])) -> ChainingValue {
    let mut hasher = Hasher::new();
    hasher.set_input_offset((n * GROUP) as u64).update(group);
    hasher.finalize_non_root()
}

/// Returns the BLAKE3 hash of an extent of `len` bytes, which has more than one group.
fn root(groups: &[ChainingValue], len: usize) -> blake3::Hash {
    let (left, right) = children(groups, len);
    merge_subtrees_root(&left, &right, Mode::Hash)
}

fn children(groups: &[ChainingValue], len: usize) -> (ChainingValue, ChainingValue) {
    // The left subtree has a power of two bytes, at least half of all, and so whole groups.
    let left = left_subtree_len(len as u64) as usize;
    let (first, rest) = groups.split_at(left / GROUP);
    (subtree(first, left), subtree(rest, len - left))
}

fn subtree(groups: &[ChainingValue], len: usize) -> ChainingValue {
    match groups {
        [one] => *one,
        _ => {
            let (left, right) = children(groups, len);
            merge_subtrees_non_root(&left, &right, Mode::Hash)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn noise(len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        Hasher::new().finalize_xof().fill(&mut bytes);
        bytes
    }

    fn length() -> impl Strategy<Value = usize> {
        prop_oneof![
            1..GROUP * 70,
            (1..40_usize, 0..3_usize).prop_map(|(n, more)| n * GROUP + more - 1),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn a_part_is_verified_by_the_hash_of_the_whole(len in length(), from in 0.0..1.0, share in 0.0..1.0, bit in 0..8_u8) {
            let mut whole = noise(len);
            let hash = *blake3::hash(&whole).as_bytes();
            let known = Remembered::default();
            prop_assert!(!known.verify(&whole, &[7; 32]));
            prop_assert!(known.get(&[7; 32]).is_none());
            prop_assert!(known.verify(&whole, &hash));
            prop_assert!(known.verify(&whole, &hash), "and again");
            let Some(groups) = known.get(&hash) else {
                prop_assert!(len <= GROUP);
                return Ok(());
            };
            let start = (len as f64 * from) as usize;
            let end = (start + 1 + ((len - start) as f64 * share) as usize).min(len);
            let (numbers, bytes) = around(start..end, len);
            prop_assert!(bytes.start <= start && end <= bytes.end);
            prop_assert!(are_verified(&groups, numbers.start, &whole[bytes.clone()]));
            // A flipped bit is found in the groups that hold it, and in no others.
            whole[start] ^= 1_u8 << bit;
            prop_assert!(!are_verified(&groups, numbers.start, &whole[bytes.clone()]));
            prop_assert!(!known.verify(&whole, &hash));
            if numbers.start > 0 {
                prop_assert!(are_verified(&groups, 0, &whole[..bytes.start]));
            }
        }
    }

    #[test]
    fn group_hashes_are_bounded_and_evicted_oldest_first() {
        let known = Remembered::default();
        for n in 0..5_u8 {
            let groups = vec![[n; 32]; REMEMBERED / 2];
            known.remember(&[n; 32], groups.clone().into());
            known.remember(&[n; 32], groups.into());
        }
        assert!(known.get(&[2; 32]).is_none());
        assert!(known.get(&[4; 32]).is_some());
        assert_eq!(known.0.lock().count, REMEMBERED);
    }
}
