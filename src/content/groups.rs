//! Verifying a part of a stored extent without the rest of it.
//!
//! Role: a small read at a random place fetches and hashes 16 KiB, and not a piece of 128. In: stored extents as they
//! are verified for the first time. Out: whether a part of one is what it was. Holds always: what is said of a part
//! follows from the hash of the whole, since BLAKE3 is a tree: the hashes of its groups of chunks were merged, and gave
//! the hash that the record names. They are kept in memory by that hash, so that they are of no place and cannot be old.
//!
//! See the section on subtrees in the documentation of `blake3::hazmat`; "chunk groups" are bao's word.

use blake3::Hasher;
use blake3::hazmat::{
    ChainingValue, HasherExt, Mode, left_subtree_len, merge_subtrees_non_root, merge_subtrees_root,
};
use parking_lot::Mutex;
use std::collections::{HashMap, VecDeque};
use std::ops::Range;
use std::sync::Arc;

/// Bytes of a group: a power of two times the chunk of 1 KiB.
const GROUP: usize = 16 << 10;
/// Groups that are remembered: of 4 GiB, in 8 MiB.
const REMEMBERED: usize = 1 << 18;

/// The hashes of the groups of one stored extent, in order.
pub(super) type Groups = Arc<[ChainingValue]>;

/// Groups by the hash of the whole; first in, first out.
#[derive(Default)]
pub(super) struct Remembered(Mutex<Held>);

#[derive(Default)]
struct Held {
    groups: HashMap<[u8; 32], Groups>,
    order: VecDeque<[u8; 32]>,
    count: usize,
}

impl Remembered {
    /// The groups of the stored extent with `hash`, if they are known.
    pub(super) fn get(&self, hash: &[u8; 32]) -> Option<Groups> {
        self.0.lock().groups.get(hash).cloned()
    }

    /// Whether `whole` has `hash`. Remembers its groups if it has.
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

/// The groups that hold the bytes of `range`, and where they begin and end in an extent of `len` bytes.
pub(super) fn around(range: Range<usize>, len: usize) -> (Range<usize>, Range<usize>) {
    let groups = range.start / GROUP..range.end.div_ceil(GROUP);
    let bytes = groups.start * GROUP..len.min(groups.end * GROUP);
    (groups, bytes)
}

/// Whether `bytes` are those of the groups from number `first` on.
pub(super) fn are_verified(groups: &Groups, first: usize, bytes: &[u8]) -> bool {
    let mut parts = bytes.chunks(GROUP).zip(first..);
    parts.all(|(part, n)| groups.get(n) == Some(&hash_of((n, part))))
}

fn hash_of((n, group): (usize, &[u8])) -> ChainingValue {
    let mut hasher = Hasher::new();
    hasher.set_input_offset((n * GROUP) as u64).update(group);
    hasher.finalize_non_root()
}

/// The hash of `len` bytes, more than one group of them.
fn root(groups: &[ChainingValue], len: usize) -> blake3::Hash {
    let (left, right) = children(groups, len);
    merge_subtrees_root(&left, &right, Mode::Hash)
}

fn children(groups: &[ChainingValue], len: usize) -> (ChainingValue, ChainingValue) {
    // A power of two above the half, and so of whole groups.
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
            // Any bit in it, and none elsewhere.
            whole[start] ^= 1_u8 << bit;
            prop_assert!(!are_verified(&groups, numbers.start, &whole[bytes.clone()]));
            prop_assert!(!known.verify(&whole, &hash));
            if numbers.start > 0 {
                prop_assert!(are_verified(&groups, 0, &whole[..bytes.start]));
            }
        }
    }

    #[test]
    fn no_more_is_remembered_than_has_room() {
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
