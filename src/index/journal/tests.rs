//! The content of the journal after a crash, a failed write, and damage.

use super::*;
use crate::disk::sim::{Faults, Handle, SimDisk};
use crate::index::memtables::Memtables;
use crate::tinyfs::{AttrName, Attrs, Changes, NodeId};
use bytes::Bytes;

const POND: Uuid = Uuid::from_u128(5);
const DIR: &str = "/journal";

fn key(n: u64) -> (NodeId, AttrName) {
    (NodeId(n), AttrName::new(b"user.n").unwrap())
}

/// Returns a memtable that sets one attribute of node `n`.
fn memtable(generation: u64, n: u64) -> ImmutableMemtable {
    let mut changes = Changes::default();
    changes.set::<Attrs>(key(n), Some(Bytes::from(vec![n as u8; 5_000])));
    let mut memtables = Memtables::recovered(100, generation, Vec::new());
    memtables.apply(changes, None);
    memtables.freeze();
    memtables.unjournaled().remove(0)
}

fn open(disk: &Arc<SimDisk>) -> Journal {
    Journal::open(Arc::new(Handle(disk.clone())), Path::new(DIR), POND).unwrap()
}

/// Returns the nodes whose memtables are loaded, and whether there is damage.
fn found(journal: &Journal, committed: u64) -> (Vec<u64>, bool) {
    let loaded = journal.load(committed).unwrap();
    let nodes = loaded
        .generations
        .iter()
        .flat_map(|(_, changes)| &changes.attrs);
    let nodes = nodes.map(|((id, _), _)| id.0).collect();
    (nodes, loaded.damage.is_some())
}

fn write(journal: &Journal, generation: u64, n: u64) -> Result<(), IndexError> {
    journal.write(generation, &[memtable(generation, n)], 100, Version(n))
}

#[test]
fn what_was_written_comes_back_and_what_was_committed_does_not() {
    let disk = SimDisk::new(1);
    let journal = open(&disk);
    assert_eq!(found(&journal, 0), (vec![], false));
    for (generation, n) in [(1, 1), (1, 2), (2, 3), (3, 4)] {
        write(&journal, generation, n).unwrap();
    }
    journal.forget(1);
    let again = open(&disk);
    assert_eq!(again.known().unwrap(), Version(4));
    assert_eq!(found(&again, 1), (vec![3, 4], false));
    assert_eq!(found(&open(&disk), 2), (vec![4], false));
    // It continues in a file of its own.
    let again = open(&disk);
    found(&again, 2);
    write(&again, 3, 5).unwrap();
    assert_eq!(found(&open(&disk), 2), (vec![4, 5], false));
}

#[test]
fn a_power_cut_leaves_all_that_was_synced_and_is_no_damage() {
    for seed in 0..300 {
        let disk = SimDisk::new(seed);
        let journal = open(&disk);
        found(&journal, 0);
        let mut rng = crate::disk::sim::Rng(seed);
        disk.cut_after(1 + rng.below(12));
        let mut written = 0;
        for n in 1..=5 {
            match write(&journal, 1 + n / 4, n) {
                Ok(()) => written = n,
                Err(_) => break,
            }
        }
        disk.power_up();
        let (nodes, damaged) = found(&open(&disk), 0);
        assert!(!damaged, "seed {seed}");
        let expected: Vec<u64> = (1..=nodes.len() as u64).collect();
        assert_eq!(nodes, expected, "seed {seed}");
        assert!(
            nodes.len() as u64 >= written,
            "seed {seed}: {written} were synced"
        );
    }
}

#[test]
fn a_failed_write_is_made_anew_and_leaves_no_damage() {
    for seed in 0..200 {
        let disk = SimDisk::new(seed);
        let journal = open(&disk);
        found(&journal, 0);
        let faults = Faults {
            writes: 400,
            ..Faults::default()
        };
        disk.set_faults(faults);
        for n in 1..=5 {
            while let Err(error) = write(&journal, 1, n) {
                assert!(matches!(error, IndexError::Journal { .. }), "{error}");
            }
        }
        assert_eq!(
            found(&open(&disk), 0),
            (vec![1, 2, 3, 4, 5], false),
            "seed {seed}"
        );
    }
}

#[test]
fn every_flipped_bit_is_damage_or_harmless_and_the_rest_can_be_kept() {
    let make = || {
        let disk = SimDisk::new(1);
        let journal = open(&disk);
        found(&journal, 0);
        for (generation, n) in [(1, 1), (1, 2), (2, 3)] {
            write(&journal, generation, n).unwrap();
        }
        disk
    };
    let (mut harmful, mut harmless) = (0, 0);
    for generation in [1, 2] {
        let file = path(Path::new(DIR), (generation, 0));
        let whole = Handle(make()).open(&file).unwrap();
        let len = whole.size().unwrap();
        let mut bytes = vec![0; len as usize];
        whole.read_at(&mut bytes, 0).unwrap();
        let end = bytes.iter().rposition(|byte| *byte != 0).unwrap() as u64;
        for offset in (0..len).step_by(37) {
            let disk = make();
            disk.flip(&file, offset, (offset % 8) as u8);
            let journal = open(&disk);
            let loaded = journal.load(0).unwrap();
            let Some(damage) = loaded.damage else {
                // The byte holds no data: it is after the records, or a stamp.
                harmless += 1;
                assert_eq!(
                    found(&open(&disk), 0),
                    (vec![1, 2, 3], false),
                    "at {offset}"
                );
                continue;
            };
            assert!(offset <= end, "{damage}, at {offset} behind {end}");
            harmful += 1;
            assert!(damage.to_string().contains(".jnl"), "{damage}");
            journal.set_aside(&damage).unwrap();
            let (nodes, damaged) = found(&open(&disk), 0);
            assert!(!damaged && nodes.len() < 3, "at {offset}: {nodes:?}");
        }
    }
    assert!(harmful > 10 && harmless > 10, "{harmful} {harmless}");
}

#[test]
fn a_missing_file_is_missed() {
    let disk = SimDisk::new(1);
    let journal = open(&disk);
    found(&journal, 0);
    for (generation, n) in [(1, 1), (2, 2), (3, 3)] {
        write(&journal, generation, n).unwrap();
    }
    Handle(disk.clone())
        .remove(&path(Path::new(DIR), (2, 0)))
        .unwrap();
    assert_eq!(found(&open(&disk), 0), (vec![1], true));
    assert_eq!(found(&open(&disk), 2), (vec![3], false));
}

#[test]
fn after_a_failed_sync_nothing_more_is_written() {
    let disk = SimDisk::new(1);
    let journal = open(&disk);
    found(&journal, 0);
    disk.set_faults(Faults {
        syncs: 1000,
        ..Faults::default()
    });
    assert!(matches!(
        write(&journal, 1, 1),
        Err(IndexError::JournalSync { .. })
    ));
    disk.set_faults(Faults::default());
    assert!(matches!(
        write(&journal, 1, 1),
        Err(IndexError::JournalSync { .. })
    ));
}

#[test]
fn a_record_whose_folder_could_not_be_synced_is_followed_by_the_next_one() {
    let disk = SimDisk::new(1);
    let journal = open(&disk);
    found(&journal, 0);
    write(&journal, 1, 1).unwrap();
    // A generation has a file of its own, and its name has to be synced.
    let file = path(Path::new(DIR), (2, 0));
    let mut failed = 0;
    for _ in 0..200 {
        disk.set_faults(Faults {
            descriptors: 500,
            ..Faults::default()
        });
        let written = write(&journal, 2, 2);
        disk.set_faults(Faults::default());
        match written {
            Err(IndexError::Journal { .. }) => {
                failed += u64::from(Handle(disk.clone()).look(&file).is_ok())
            }
            written => {
                written.unwrap();
                break;
            }
        }
    }
    write(&journal, 2, 3).unwrap();
    assert_eq!(
        found(&open(&disk), 0),
        (vec![1, 2, 3], false),
        "{failed} failed"
    );
}

#[test]
fn files_under_other_names_are_ignored_and_numbers_in_names_do_not_overflow() {
    let disk = SimDisk::new(1);
    let journal = open(&disk);
    found(&journal, 0);
    write(&journal, 1, 1).unwrap();
    let handle = Handle(disk.clone());
    for stray in [
        "1-0.jnl",
        "+000000000000001-0000.jnl",
        "0000000000000001-00000.jnl",
        "0000000000000001-4294967296.jnl",
        "9223372036854775808-0000.jnl",
        "18446744073709551615-0000.jnl",
        "x.jnl",
    ] {
        handle.create(&Path::new(DIR).join(stray)).unwrap();
    }
    let journal = open(&disk);
    assert_eq!(found(&journal, 0), (vec![1], false));
    write(&journal, 1, 2).unwrap();
    assert_eq!(found(&open(&disk), 0), (vec![1, 2], false));
    // The last part that a name can have.
    handle.create(&path(Path::new(DIR), (1, u32::MAX))).unwrap();
    let journal = open(&disk);
    assert_eq!(found(&journal, 0), (vec![1, 2], false));
    let error = write(&journal, 1, 3).unwrap_err();
    assert!(matches!(error, IndexError::Journal { .. }), "{error}");
}

#[test]
fn numbers_that_a_reader_refuses_are_not_written() {
    let disk = SimDisk::new(1);
    let journal = open(&disk);
    found(&journal, 0);
    let most = i64::MAX as u64;
    for generation in [most + 1, u64::MAX] {
        let error = write(&journal, generation, 1).unwrap_err();
        assert!(matches!(error, IndexError::Journal { .. }), "{error}");
    }
    journal.tail.lock().sequence = most;
    write(&journal, most, 1).unwrap();
    let error = write(&journal, most, 2).unwrap_err();
    assert!(matches!(error, IndexError::Journal { .. }), "{error}");
    let journal = open(&disk);
    assert_eq!(found(&journal, 0), (vec![1], false));
    assert_eq!(journal.tail.lock().sequence, most + 1);
}

/// Writes a file of generation 1 with one record of this payload, whose checksums are right.
fn forge(payload: &[u8]) -> Arc<SimDisk> {
    let disk = SimDisk::new(1);
    open(&disk);
    let header = record::Header {
        pond: POND,
        generation: 1,
        sequence: 0,
    };
    let record = [&record::head_of(&header, payload), payload, &[0xFF]].concat();
    let handle = Handle(disk.clone());
    let file = handle.create(&path(Path::new(DIR), (1, 0))).unwrap();
    file.write_at(&sectors::stamped(&record, 0), 0).unwrap();
    file.sync_data().unwrap();
    handle.sync_dir(Path::new(DIR)).unwrap();
    disk
}

#[test]
fn a_record_with_ids_that_no_pond_has_is_damage_and_can_be_set_aside() {
    let known = 1u64.to_le_bytes();
    let entry = |id: u64| {
        let key = [&id.to_be_bytes()[..], b"name"].concat();
        let len = u32::try_from(key.len()).unwrap().to_le_bytes();
        [&[crate::tinyfs::MapId::Names as u8, 0], &len[..], &key].concat()
    };
    let sound = [&9u64.to_le_bytes()[..], &known, &entry(8)].concat();
    assert_eq!(open(&forge(&sound)).load(0).unwrap().damage, None);
    let limit = crate::tinyfs::ID_LIMIT;
    let forged = [
        [&u64::MAX.to_le_bytes()[..], &known, &entry(8)].concat(),
        [&(limit + 1).to_le_bytes()[..], &known].concat(),
        [&9u64.to_le_bytes()[..], &[0xFF; 8]].concat(),
        [&9u64.to_le_bytes()[..], &known, &entry(0)].concat(),
        [&9u64.to_le_bytes()[..], &known, &entry(limit)].concat(),
        [&9u64.to_le_bytes()[..], &known, &entry(u64::MAX)].concat(),
    ];
    for payload in forged {
        let disk = forge(&payload);
        let journal = open(&disk);
        let loaded = journal.load(0).unwrap();
        assert!(loaded.generations.is_empty() && loaded.next_id == 0);
        journal.set_aside(&loaded.damage.unwrap()).unwrap();
        assert_eq!(found(&open(&disk), 0), (vec![], false));
    }
}

#[test]
fn a_length_that_no_record_has_is_damage() {
    let header = record::Header {
        pond: POND,
        generation: 1,
        sequence: 0,
    };
    let mut head = record::head_of(&header, b"");
    head[24..32].copy_from_slice(&(record::MAX_PAYLOAD + 1).to_le_bytes());
    let checksum = blake3::hash(&head[..80]);
    head[80..].copy_from_slice(&checksum.as_bytes()[..16]);
    let why = record::header(&head, POND).unwrap_err();
    assert!(why.contains("longer"), "{why}");
}
