//! Fuzz tests of journal files: loading ends in bounded memory, and the journal can be written to.

use super::*;
use crate::disk::LocalDisk;
use crate::disk::sim::{Handle, SimDisk};
use crate::fuzz_tests::{config, peak};
use crate::index::memtables::Memtables;
use crate::tinyfs::{AttrName, Attrs, Changes, Name, Names, NodeId};
use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index as At;
use record::{HEADER, Header, head_of};
use std::os::unix::fs::FileExt;

const POND: Uuid = Uuid::from_u128(5);
const DIR: &str = "/journal";

/// Bytes that loading may allocate, besides some times the length of the files.
const BASE: usize = 4 << 20;

/// Returns the entries of one record.
fn entries(n: u64, len: usize) -> Changes {
    let mut changes = Changes::default();
    let name = AttrName::new(b"user.n").unwrap();
    changes.set::<Attrs>((NodeId(n), name), Some(Bytes::from(vec![n as u8; len])));
    changes.set::<Names>((NodeId(n), Name::new(b"name").unwrap()), None);
    changes
}

fn memtable(generation: u64, changes: Changes) -> ImmutableMemtable {
    let mut memtables = Memtables::recovered(100, generation, Vec::new());
    memtables.apply(changes, None);
    memtables.freeze();
    memtables.unjournaled().remove(0)
}

fn open(disk: &Arc<SimDisk>) -> Result<Journal, IndexError> {
    Journal::open(Arc::new(Handle(disk.clone())), Path::new(DIR), POND)
}

/// Opens and loads a journal, and writes to it. An error or damage is a valid outcome.
fn read_and_go_on(disk: &Arc<SimDisk>, len: usize) -> Result<(), TestCaseError> {
    let (read, most) = peak(|| {
        let journal = open(disk)?;
        journal.known()?;
        journal.load(0).map(|loaded| (journal, loaded))
    });
    prop_assert!(most < BASE + 32 * len, "{most} bytes for {len}");
    let Ok((journal, loaded)) = read else {
        return Ok(());
    };
    let newest = loaded.generations.last().map_or(1, |(newest, _)| *newest);
    let before = loaded.generations.iter().map(|(_, changes)| changes.len());
    let before: usize = before.sum();
    if let Some(damage) = &loaded.damage {
        prop_assert!(!damage.to_string().is_empty());
        journal.set_aside(damage).unwrap();
        return Ok(());
    }
    let more = memtable(newest, entries(7, 10));
    let written = journal.write(newest, &[more], 100, Version(9));
    prop_assert!(written.is_ok(), "{written:?}");
    let again = open(disk).unwrap().load(0).unwrap();
    prop_assert_eq!(again.damage, None);
    let after = again.generations.iter().map(|(_, changes)| changes.len());
    prop_assert!(after.sum::<usize>() >= before);
    Ok(())
}

/// A change of some bytes of a file.
#[derive(Clone, Debug)]
enum Harm {
    Bytes(At, Vec<u8>),
    Number(At, u64),
    Cut(At),
    Zeros(usize),
}

fn harm() -> impl Strategy<Value = Harm> {
    let number = prop_oneof![any::<u64>(), Just(u64::MAX), 1 << 30..1u64 << 40, Just(0)];
    prop_oneof![
        (any::<At>(), vec(any::<u8>(), 1..20)).prop_map(|(at, bytes)| Harm::Bytes(at, bytes)),
        (any::<At>(), number).prop_map(|(at, number)| Harm::Number(at, number)),
        any::<At>().prop_map(Harm::Cut),
        (0..3_000usize).prop_map(Harm::Zeros),
    ]
}

fn harmed(mut bytes: Vec<u8>, harms: &[Harm]) -> Vec<u8> {
    let put = |bytes: &mut Vec<u8>, at: &At, new: &[u8]| {
        let at = at.index(bytes.len() + 1);
        for (old, new) in bytes[at..].iter_mut().zip(new) {
            *old = *new;
        }
    };
    for harm in harms {
        match harm {
            Harm::Bytes(at, new) => put(&mut bytes, at, new),
            Harm::Number(at, number) => put(&mut bytes, at, &number.to_le_bytes()),
            Harm::Cut(at) => bytes.truncate(at.index(bytes.len() + 1)),
            Harm::Zeros(len) => bytes.resize(bytes.len() + len, 0),
        }
    }
    bytes
}

/// Returns the payload of one record.
fn payload(n: u64, len: usize) -> Vec<u8> {
    let header = Header {
        pond: POND,
        generation: 1,
        sequence: 0,
    };
    let changes = entries(n, len);
    let record = record::encode(&header, 100, Version(n), [&changes].into_iter());
    record[HEADER..record.len() - 1].to_vec()
}

fn put_file(disk: &Arc<SimDisk>, name: &str, bytes: &[u8]) {
    let handle = Handle(disk.clone());
    crate::disk::make_dirs(&handle, Path::new(DIR)).unwrap();
    let file = handle.create(&Path::new(DIR).join(name)).unwrap();
    file.write_at(bytes, 0).unwrap();
    file.sync_data().unwrap();
    handle.sync_dir(Path::new(DIR)).unwrap();
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn fuzz_journal_files_with_harmed_bytes(
        lens in vec(0..4_000usize, 1..4), harms in vec(harm(), 1..4),
    ) {
        let disk = SimDisk::new(1);
        let journal = open(&disk).unwrap();
        for (n, len) in (1..).zip(&lens) {
            journal.write(1, &[memtable(1, entries(n, *len))], 100, Version(n)).unwrap();
        }
        let file = Handle(disk.clone()).open(&path(Path::new(DIR), (1, 0))).unwrap();
        let mut bytes = vec![0; file.size().unwrap() as usize];
        file.read_at(&mut bytes, 0).unwrap();
        let bytes = harmed(bytes, &harms);
        let disk = SimDisk::new(1);
        put_file(&disk, "0000000000000001-0000.jnl", &bytes);
        read_and_go_on(&disk, bytes.len())?;
    }

    /// Forged records: any entries and any numbers, with right checksums.
    #[test]
    fn fuzz_journal_records_with_right_checksums(
        records in vec((
            prop_oneof![0..3u64, any::<u64>(), Just(u64::MAX)],
            prop_oneof![0..3u64, any::<u64>(), Just(u64::MAX)],
            0..300usize,
            vec(harm(), 0..3),
        ), 1..4),
    ) {
        let mut bytes = Vec::new();
        for (n, (generation, sequence, len, harms)) in (1..).zip(&records) {
            let header = Header { pond: POND, generation: *generation, sequence: *sequence };
            let payload = harmed(payload(n, *len), harms);
            let record = [head_of(&header, &payload), payload, vec![sectors::STAMP]].concat();
            let place = sectors::place(bytes.len() as u64);
            prop_assert!(place >= bytes.len() as u64);
            bytes.extend(record);
        }
        let raw = sectors::stamped(&bytes, 0);
        let disk = SimDisk::new(1);
        put_file(&disk, "0000000000000001-0000.jnl", &raw);
        read_and_go_on(&disk, raw.len())?;
    }

    /// Files in the folder of the journal, with names like those of the journal.
    #[test]
    fn fuzz_names_of_journal_files(
        names in vec("(0{15}[0-3]|[0-9]{1,22}|-?[a-z0-9+]{0,5})-(000[0-2]|[0-9]{1,12}|\\+1)\\.jnl(\\.damaged)?", 1..5),
    ) {
        let disk = SimDisk::new(1);
        for name in &names {
            let handle = Handle(disk.clone());
            if handle.look(&Path::new(DIR).join(name)).is_err() {
                put_file(&disk, name, b"");
            }
        }
        read_and_go_on(&disk, 0)?;
    }

    #[test]
    fn fuzz_payloads_of_records(harms in vec(harm(), 0..6), len in 0..2_000usize) {
        let bytes = harmed(payload(3, len), &harms);
        let (_, most) = peak(|| record::payload(&bytes).is_ok());
        prop_assert!(most < BASE + 32 * bytes.len(), "{most} bytes for {}", bytes.len());
    }
}

/// A sparse file does not make the reader allocate the length that a header claims.
#[test]
fn length_of_a_record_in_a_sparse_file_is_not_allocated() {
    for zeros in [1 << 20, 64 << 20] {
        let header = Header {
            pond: POND,
            generation: 1,
            sequence: 0,
        };
        // Only the header is written, without the payload.
        let head = head_of(&header, &vec![0; zeros]);
        let dir = tempfile::tempdir().unwrap();
        let file = std::fs::File::create(path(dir.path(), (1, 0))).unwrap();
        file.write_all_at(&head, 0).unwrap();
        file.write_all_at(&[1], 2 * zeros as u64).unwrap();
        let (loaded, most) = peak(|| {
            let journal = Journal::open(Arc::new(LocalDisk), dir.path(), POND).unwrap();
            journal.load(0).unwrap()
        });
        assert!(loaded.damage.is_none() && loaded.generations.is_empty());
        assert!(most < BASE, "{most} bytes for {zeros}");
    }
}
