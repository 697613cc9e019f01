//! Tests of spilling, reading, sharing and verifying content.

use super::*;
use crate::disk::LocalDisk;
use crate::disk::sim::{Faults, Handle, SimDisk};
use crate::tinyfs::ops::CHUNK;
use crate::tinyfs::{ContentId, Entries, Extent, Extents};
use parking_lot::Mutex;
use std::fs;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

const C: ContentId = ContentId(7);

fn inline(pieces: &[(u64, usize)]) -> Entries<Extents> {
    let piece = |&(start, len): &(u64, usize)| {
        let bytes: Vec<u8> = (start..start + len as u64)
            .map(|n| (n % 251) as u8)
            .collect();
        ((C, start), Some(Extent::Inline(Bytes::from(bytes))))
    };
    pieces.iter().map(piece).collect()
}

fn open(disk: Arc<dyn Disk>, dir: &Path) -> Result<Content, ContentError> {
    Content::open(disk, dir, &Limits::default())
}

/// Returns the runs of bytes in `extents`, with the file offset of each.
fn bytes_of(content: &Content, extents: &Entries<Extents>) -> Vec<(u64, Vec<u8>)> {
    let mut found: Vec<(u64, Vec<u8>)> = Vec::new();
    for ((_, start), extent) in extents {
        let bytes = match extent {
            None => continue,
            Some(Extent::Inline(bytes)) => bytes.clone(),
            Some(Extent::Stored(run)) => content.read(run).unwrap(),
        };
        match found.last_mut() {
            Some((at, run)) if *at + run.len() as u64 == *start => run.extend_from_slice(&bytes),
            _ => found.push((*start, bytes.to_vec())),
        }
    }
    found
}

#[test]
fn spill_keeps_keys_and_bytes_of_extents() {
    let dir = tempfile::tempdir().unwrap();
    let content = open(Arc::new(LocalDisk), dir.path()).unwrap();
    let chunk = CHUNK as usize;
    for pieces in [
        vec![(0, 100)],
        vec![(0, 100), (100, 50), (200, 10)],
        vec![(0, 3000), (3000, 3000)],
        vec![(0, chunk), (CHUNK, chunk), (2 * CHUNK, 10)],
        vec![(CHUNK - 10, 10), (CHUNK, 10)],
    ] {
        let before = inline(&pieces);
        let after = content.settle(&before, &|_| None).unwrap();
        assert_eq!(
            bytes_of(&content, &before),
            bytes_of(&content, &after),
            "{pieces:?}"
        );
        assert!(before.keys().eq(after.keys()));
    }
    content.sync().unwrap();
}

#[test]
fn a_flipped_bit_is_an_error_and_never_returned() {
    let dir = tempfile::tempdir().unwrap();
    let content = open(Arc::new(LocalDisk), dir.path()).unwrap();
    let settled = content.settle(&inline(&[(0, 10_000)]), &|_| None).unwrap();
    content.sync().unwrap();
    let Some(Some(Extent::Stored(run))) = settled.values().next() else {
        panic!("10,000 bytes do not stay inline")
    };
    let path = dir.path().join("0000000000000001.seg");
    let mut bytes = fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x10;
    fs::write(&path, &bytes).unwrap();
    let fresh = open(Arc::new(LocalDisk), dir.path()).unwrap();
    assert!(matches!(fresh.read(run), Err(ContentError::Corrupt { .. })));
    fs::write(&path, &bytes[..middle]).unwrap();
    let fresh = open(Arc::new(LocalDisk), dir.path()).unwrap();
    assert!(matches!(fresh.read(run), Err(ContentError::Corrupt { .. })));
}

#[test]
fn a_segment_of_an_earlier_run_is_never_appended_to() {
    let dir = tempfile::tempdir().unwrap();
    for _ in 0..2 {
        let content = open(Arc::new(LocalDisk), dir.path()).unwrap();
        content.settle(&inline(&[(0, 10_000)]), &|_| None).unwrap();
    }
    let mut sizes: Vec<u64> = fs::read_dir(dir.path())
        .unwrap()
        .map(|entry| entry.unwrap().metadata().unwrap().len())
        .collect();
    sizes.sort();
    assert!(matches!(sizes[..], [a, b] if a == b), "{sizes:?}");
}

#[test]
fn equal_bytes_are_stored_once_unless_they_are_damaged_there() {
    let dir = tempfile::tempdir().unwrap();
    let content = open(Arc::new(LocalDisk), dir.path()).unwrap();
    let mut noise = vec![0; 50_000];
    blake3::Hasher::new().finalize_xof().fill(&mut noise);
    let extents = |start| {
        Entries::<Extents>::from([((C, start), Some(Extent::Inline(Bytes::from(noise.clone()))))])
    };
    let stored = |content: &Content, start, known: &Known<'_>| {
        let settled = content.settle(&extents(start), known).unwrap();
        match settled.into_values().next() {
            Some(Some(Extent::Stored(run))) => run,
            other => panic!("not stored: {other:?}"),
        }
    };
    let first = stored(&content, 0, &|_| None);
    assert_eq!(stored(&content, 90_000, &|_| None), first);
    content.sync().unwrap();
    drop(content);
    // Extents that an earlier run stored are found through the index.
    let content = open(Arc::new(LocalDisk), dir.path()).unwrap();
    let known = |hash: &[u8; 32]| (*hash == first.hash).then_some(first);
    assert_eq!(stored(&content, 0, &known), first);
    drop(content);
    let path = dir.path().join("0000000000000001.seg");
    let mut bytes = fs::read(&path).unwrap();
    bytes[1_000] ^= 1;
    fs::write(&path, &bytes).unwrap();
    let content = open(Arc::new(LocalDisk), dir.path()).unwrap();
    let again = stored(&content, 0, &known);
    assert_ne!((again.segment, again.offset), (first.segment, first.offset));
    assert_eq!(content.read(&again).unwrap(), noise);
}

#[test]
fn a_small_read_of_a_verified_extent_verifies_only_its_groups() {
    let dir = tempfile::tempdir().unwrap();
    let mut noise = vec![0; 300_000];
    blake3::Hasher::new().finalize_xof().fill(&mut noise);
    let content = open(Arc::new(LocalDisk), dir.path()).unwrap();
    let extent = Some(Extent::Inline(Bytes::from(noise.clone())));
    let settled = content.settle(&[((C, 0), extent)].into(), &|_| None);
    content.sync().unwrap();
    let Some(Some(Extent::Stored(run))) = settled.unwrap().into_values().next() else {
        panic!("not stored")
    };
    let part = |skip, len| Stored { skip, len, ..run };
    let read = |run| content.read(&run);
    assert_eq!(read(part(1_000, 10)).unwrap(), noise[1_000..1_010]);
    // Evicts the extent from the cache.
    for n in 0..20 {
        let filler = Some(Extent::Inline(Bytes::from(vec![n; 1 << 20])));
        let filled = content.settle(&[((C, 0), filler)].into(), &|_| None);
        for extent in filled.unwrap().into_values().flatten() {
            let Extent::Stored(run) = extent else {
                continue;
            };
            content.read(&run).unwrap();
        }
    }
    let path = dir.path().join("0000000000000001.seg");
    let mut bytes = fs::read(&path).unwrap();
    bytes[200_000] ^= 1;
    fs::write(&path, &bytes).unwrap();
    for (skip, len) in [(0, 1), (16_383, 2), (100_000, 60_000), (299_999, 1)] {
        let expected = &noise[skip as usize..(skip + len) as usize];
        assert_eq!(read(part(skip, len)).unwrap(), expected, "{skip} {len}");
    }
    for (skip, len) in [(200_000, 1), (199_000, 10), (190_000, 20_000), (0, 300_000)] {
        let error = read(part(skip, len));
        assert!(
            matches!(error, Err(ContentError::Corrupt { .. })),
            "{skip} {len}"
        );
    }
    assert!(read(part(299_999, 2)).is_err(), "beyond the end");
}

/// Returns a simulated disk whose faults a test sets, and content on it.
fn simulated(seed: u64) -> (Arc<SimDisk>, Arc<Content>) {
    let disk = SimDisk::new(seed);
    let handle: Arc<dyn Disk> = Arc::new(Handle(disk.clone()));
    handle.make_dir(Path::new("/segments")).unwrap();
    handle.sync_dir(Path::new("/")).unwrap();
    let content = open(handle, Path::new("/segments")).unwrap();
    (disk, Arc::new(content))
}

type Said = Result<(), String>;

/// Runs a sync, and a second one on another thread while the first waits for the disk. Returns both
/// results, and the second one's if it returned before the first was done.
fn two_syncs(disk: &SimDisk, content: &Arc<Content>) -> (Said, Said, Option<Said>) {
    let said = |synced: Result<(), ContentError>| synced.map_err(|error| error.to_string());
    let (second, early) = (Arc::new(Mutex::new(None)), Arc::new(Mutex::new(None)));
    let (beside, slot, early_slot) = (content.clone(), second.clone(), early.clone());
    disk.on_sync(move |_| {
        if slot.lock().is_some() {
            return;
        }
        let (content, (done, answer)) = (beside.clone(), mpsc::channel());
        *slot.lock() = Some(thread::spawn(move || {
            let synced = said(content.sync());
            done.send(synced.clone()).ok();
            synced
        }));
        // The second sync must wait for the first one, so this times out.
        *early_slot.lock() = answer.recv_timeout(Duration::from_millis(200)).ok();
    });
    let first = said(content.sync());
    let second = second.lock().take().unwrap().join().unwrap();
    let early = early.lock().take();
    (first, second, early)
}

#[test]
fn a_sync_beside_another_waits_until_the_bytes_are_durable() {
    let (disk, content) = simulated(1);
    content.settle(&inline(&[(0, 9_000)]), &|_| None).unwrap();
    let (first, second, early) = two_syncs(&disk, &content);
    assert_eq!(early, None, "it returned while the bytes were not durable");
    assert_eq!((first, second), (Ok(()), Ok(())));
}

#[test]
fn a_failed_sync_fails_every_sync_that_waited_for_it() {
    let (disk, content) = simulated(2);
    content.settle(&inline(&[(0, 9_000)]), &|_| None).unwrap();
    disk.set_faults(Faults {
        syncs: 1_000,
        ..Faults::default()
    });
    let (first, second, early) = two_syncs(&disk, &content);
    assert_eq!(early, None);
    assert!(first.is_err() && second.is_err(), "{first:?} {second:?}");
    disk.set_faults(Faults::default());
    assert!(content.sync().is_err(), "a failed sync was made good");
}

#[test]
fn a_sync_that_could_not_begin_is_made_by_the_next_one() {
    let (disk, content) = simulated(3);
    let settled = content.settle(&inline(&[(0, 9_000)]), &|_| None).unwrap();
    disk.set_faults(Faults {
        descriptors: 1_000,
        ..Faults::default()
    });
    assert!(content.sync().is_err());
    disk.set_faults(Faults::default());
    // Bytes that come between the two syncs, and a segment that ends there.
    content.end_segment();
    let more: Entries<Extents> = (inline(&[(9_000, 9_000)]).into_iter()).collect();
    let more = content.settle(&more, &|_| None).unwrap();
    content.sync().unwrap();
    disk.power_up();
    let handle: Arc<dyn Disk> = Arc::new(Handle(disk));
    let content = open(handle, Path::new("/segments")).unwrap();
    assert_eq!(bytes_of(&content, &settled)[0].1.len(), 9_000);
    assert_eq!(bytes_of(&content, &more)[0].1.len(), 9_000);
}
