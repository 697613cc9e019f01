//! Fuzz tests of tables with right checksums: reading ends with entries or an error, in bounded
//! memory.

use super::records::all_changes;
use super::*;
use crate::fuzz_tests::{config, peak, slow_config};
use crate::oplog::payload::{absorb, rows_of};
use crate::oplog::schema::Row;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index as At;

/// Bytes that decoding a row may allocate, besides [`TIMES`] the length of its payload.
const BASE: usize = 1 << 20;
const TIMES: usize = 64;

/// A change of some bytes. `Number` overwrites an aligned integer, as a length or an offset is.
#[derive(Clone, Debug)]
enum Harm {
    Bytes(At, Vec<u8>),
    Number(At, u64, bool),
    Cut(At),
    Twice(At, At),
}

fn harms() -> impl Strategy<Value = Vec<Harm>> {
    let number = prop_oneof![
        any::<u64>(),
        Just(u64::MAX),
        Just(1 << 31),
        1 << 30..1u64 << 40,
        0..9u64,
    ];
    let harm = prop_oneof![
        2 => (any::<At>(), vec(any::<u8>(), 1..30)).prop_map(|(at, bytes)| Harm::Bytes(at, bytes)),
        4 => (any::<At>(), number, any::<bool>()).prop_map(|(at, n, wide)| Harm::Number(at, n, wide)),
        1 => any::<At>().prop_map(Harm::Cut),
        1 => (any::<At>(), any::<At>()).prop_map(|(from, to)| Harm::Twice(from, to)),
    ];
    vec(harm, 1..6)
}

fn harmed(bytes: &[u8], harms: &[Harm]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    let put = |bytes: &mut [u8], at: usize, new: &[u8]| {
        for (old, new) in bytes[at..].iter_mut().zip(new) {
            *old = *new;
        }
    };
    for harm in harms {
        let index = |at: &At| at.index(bytes.len() + 1);
        match harm {
            Harm::Bytes(at, new) => {
                let at = index(at);
                put(&mut bytes, at, new);
            }
            // Lengths and offsets are at multiples of four.
            Harm::Number(at, number, wide) => {
                let (at, number) = (index(at) / 4 * 4, number.to_le_bytes());
                put(&mut bytes, at, &number[..if *wide { 8 } else { 4 }]);
            }
            Harm::Cut(at) => {
                let at = index(at);
                bytes.truncate(at);
            }
            Harm::Twice(from, to) => {
                let (from, to) = (index(from).min(index(to)), index(from).max(index(to)));
                let part = bytes[from..to].to_vec();
                bytes.splice(to..to, part);
            }
        }
    }
    bytes
}

/// Decodes a row with this payload, and the checksum of it.
fn take_in(mut row: Row, payload: Vec<u8>) -> Result<(), TestCaseError> {
    let len = payload.len();
    row.checksum = *blake3::hash(&payload).as_bytes();
    row.payload = payload.into();
    let (_, most) = peak(|| absorb(&row, 0, "file", &mut Changes::default()));
    prop_assert!(most < BASE + TIMES * len, "{most} bytes for {len}");
    Ok(())
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn fuzz_payloads_that_were_sound_once(
        changes in all_changes(), which: At, harms in harms(),
        rows in prop_oneof![Just(None), any::<u32>().prop_map(Some)],
    ) {
        let parts = rows_of(&changes, Version(9), time(9)).unwrap();
        let all: Vec<&Row> = parts.values().flatten().collect();
        if !all.is_empty() {
            let mut row = which.get(&all).to_owned().clone();
            row.rows = rows.unwrap_or(row.rows);
            let payload = harmed(&row.payload, &harms);
            take_in(row, payload)?;
        }
    }

    #[test]
    fn fuzz_payloads_of_any_bytes(
        mark: bool, length: u32, bytes in vec(any::<u8>(), 0..600),
        record in "(attr|extent|name|node)/[0-2]", rows: u32,
    ) {
        let begin = if mark { &[0xff; 4][..] } else { &[] };
        let payload = [begin, &length.to_le_bytes(), &bytes].concat();
        let row = Row {
            version: 9,
            committed: 0,
            clock: Some(0),
            record,
            first_node: 1,
            last_node: 1,
            rows,
            checksum: [0; 32],
            payload: Bytes::new(),
        };
        take_in(row, payload)?;
    }
}

proptest! {
    #![proptest_config(slow_config())]

    /// A data file that was changed, and that a commit names under a name without a hash.
    #[test]
    fn fuzz_replay_of_harmed_data_files(harms in harms(), version in 1..3u64) {
        let dir = tempfile::tempdir().unwrap();
        make(dir.path());
        extend(&mut open(dir.path()).oplog, 1..=2);
        let log = commit_file(dir.path(), version);
        let text = std::fs::read_to_string(&log).unwrap();
        let mut lines: Vec<serde_json::Value> =
            text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let add = lines.iter_mut().find_map(|line| line.get_mut("add")).unwrap();
        let file = dir.path().join(add["path"].as_str().unwrap());
        let bytes = harmed(&std::fs::read(file).unwrap(), &harms);
        let path = "node_part=0/forged.parquet";
        add["path"] = path.into();
        add["size"] = bytes.len().into();
        std::fs::write(dir.path().join(path), &bytes).unwrap();
        let lines: Vec<String> = lines.iter().map(ToString::to_string).collect();
        std::fs::write(&log, lines.join("\n")).unwrap();
        let (read, most) = peak(|| {
            let opened = Oplog::open(&disk(), dir.path(), POND, Version(0))?;
            replayed(&opened.oplog, None)
        });
        prop_assert!(most < 256 << 20, "{most} bytes");
        if let Err(error) = read {
            prop_assert!(!error.to_string().is_empty());
        }
    }
}
