//! Large files keep their bytes through any sequence of writes, cuts, packing and sharing.

use super::*;
use crate::tinyfs::AttrName;
use crate::tinyfs::ops::SetXattr;
use proptest::prelude::*;
use std::sync::atomic::{AtomicBool, Ordering};

/// One operation on one of two files.
#[derive(Clone, Debug)]
enum Step {
    Append {
        file: usize,
        seed: u8,
        len: usize,
    },
    Write {
        file: usize,
        at: f64,
        seed: u8,
        len: usize,
    },
    Truncate {
        file: usize,
        to: f64,
    },
    Punch {
        file: usize,
        at: f64,
        len: u64,
    },
    Copy {
        from: usize,
        at: f64,
        to_at: f64,
        len: u64,
    },
    Freeze,
    Settle,
    Fsync,
    Sync,
    Reopen,
}

/// Returns bytes that recur at other positions, and are compressible in part.
fn data(seed: u8, len: usize) -> Vec<u8> {
    let mut noise = vec![0; len];
    blake3::Hasher::new()
        .update(&[seed % 5])
        .finalize_xof()
        .fill(&mut noise);
    for (n, byte) in noise.iter_mut().enumerate() {
        if (n / 7_000) % 2 == 0 {
            *byte &= 0x03;
        }
    }
    noise
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let file = || 0..2usize;
    let len = || prop_oneof![1..200usize, 1_000..90_000usize, 100_000..900_000usize];
    let step = prop_oneof![
        4 => (file(), any::<u8>(), len()).prop_map(|(file, seed, len)| Step::Append { file, seed, len }),
        3 => (file(), 0.0..1.0f64, any::<u8>(), len())
            .prop_map(|(file, at, seed, len)| Step::Write { file, at, seed, len }),
        1 => (file(), 0.0..1.2f64).prop_map(|(file, to)| Step::Truncate { file, to }),
        1 => (file(), 0.0..1.0f64, 1..400_000u64).prop_map(|(file, at, len)| Step::Punch { file, at, len }),
        1 => (file(), 0.0..1.0f64, 0.0..1.0f64, 1..600_000u64)
            .prop_map(|(from, at, to_at, len)| Step::Copy { from, at, to_at, len }),
        3 => Just(Step::Freeze),
        2 => Just(Step::Settle),
        1 => Just(Step::Fsync),
        2 => Just(Step::Sync),
        1 => Just(Step::Reopen),
    ];
    proptest::collection::vec(step, 1..40)
}

fn place(file: &[u8], at: f64) -> usize {
    (file.len() as f64 * at) as usize
}

fn write(file: &mut Vec<u8>, at: usize, bytes: &[u8]) {
    let end = at + bytes.len();
    file.resize(file.len().max(end), 0);
    file[at..end].copy_from_slice(bytes);
}

fn live(steps: Vec<Step>) {
    let (dir, mut pond) = new_pond();
    let names = ["a", "b"];
    let ids = names.map(|text| make(&pond, Kind::File, NodeId::ROOT, text));
    let mut files = [Vec::new(), Vec::new()];
    let mut versions: Vec<(Version, [Vec<u8>; 2])> = Vec::new();
    for step in steps {
        match step {
            Step::Append { file, seed, len } => {
                let (at, bytes) = (files[file].len(), data(seed, len));
                // In pieces, as a program writes.
                for (n, piece) in bytes.chunks(100_000).enumerate() {
                    let at = (at + n * 100_000) as u64;
                    pond.write(&CALLER, ids[file], at, piece).unwrap();
                }
                write(&mut files[file], at, &bytes);
            }
            Step::Write {
                file,
                at,
                seed,
                len,
            } => {
                let (at, bytes) = (place(&files[file], at), data(seed, len));
                pond.write(&CALLER, ids[file], at as u64, &bytes).unwrap();
                write(&mut files[file], at, &bytes);
            }
            Step::Truncate { file, to } => {
                let to = place(&files[file], to);
                pond.truncate(&CALLER, ids[file], to as u64).unwrap();
                files[file].resize(to, 0);
            }
            Step::Punch { file, at, len } => {
                let at = place(&files[file], at);
                let end = files[file].len().min(at + len as usize);
                let range = at as u64..at as u64 + len;
                let size = files[file].len() as u64;
                pond.zero(&CALLER, ids[file], range, size).unwrap();
                files[file][at..end].fill(0);
            }
            Step::Copy {
                from,
                at,
                to_at,
                len,
            } => {
                let (at, to) = (place(&files[from], at), 1 - from);
                let to_at = place(&files[to], to_at);
                let end = files[from].len().min(at + len as usize);
                let bytes = files[from][at..end].to_vec();
                let (source, target) = ((ids[from], at as u64), (ids[to], to_at as u64));
                let done = pond.copy_range(&CALLER, source, target, len).unwrap();
                assert_eq!(done, bytes.len() as u64);
                if !bytes.is_empty() {
                    write(&mut files[to], to_at, &bytes);
                }
            }
            Step::Freeze => pond.index.freeze(),
            Step::Settle => {
                let _settling = pond.flusher.settling.lock();
                pond.settle().unwrap();
            }
            Step::Fsync => {
                pond.fsync().unwrap();
                let (_copy, found) = crash(&pond);
                for (text, file) in names.iter().zip(&files) {
                    assert_eq!(
                        get(&found, Version::NOW, text).as_ref(),
                        Some(file),
                        "after a crash"
                    );
                }
                found.close().unwrap();
            }
            Step::Sync => versions.push((pond.sync().unwrap(), files.clone())),
            Step::Reopen => {
                pond.close().unwrap();
                drop(pond);
                pond = reopen(&dir);
            }
        }
        for (text, file) in names.iter().zip(&files) {
            assert!(
                get(&pond, Version::NOW, text).as_ref() == Some(file),
                "now, {text}"
            );
        }
    }
    versions.push((pond.sync().unwrap(), files));
    for (version, files) in &versions {
        for (text, file) in names.iter().zip(files) {
            assert!(
                get(&pond, *version, text).as_ref() == Some(file),
                "{version}, {text}"
            );
        }
    }
    sound(&pond);
    pond.close().unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(
        std::env::var("POND_CONTENT_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(24)
    ))]

    #[test]
    fn files_have_the_bytes_that_were_written(steps in steps()) {
        live(steps);
    }
}

/// Returns the bytes of all segments.
fn stored(pond: &Pond) -> u64 {
    let segments = fs::read_dir(pond.path().join("segments")).unwrap();
    segments
        .map(|entry| entry.unwrap().metadata().unwrap().len())
        .sum()
}

#[test]
fn a_rewritten_file_shares_what_did_not_change() {
    let (_dir, pond) = new_pond();
    let mut noise = vec![0; 20 << 20];
    blake3::Hasher::new().finalize_xof().fill(&mut noise);
    let rewrite = |bytes: &[u8]| {
        let id = put(&pond, "f", &[]);
        for (n, piece) in bytes.chunks(128 << 10).enumerate() {
            pond.write(&CALLER, id, (n * (128 << 10)) as u64, piece)
                .unwrap();
        }
        pond.sync().unwrap();
    };
    rewrite(&noise);
    let once = stored(&pond);
    for n in 0..5 {
        let at = 1_000_000 + n * 3_000_000;
        noise.splice(at..at, *b"one line more\n");
        rewrite(&noise);
    }
    assert_eq!(get(&pond, Version::NOW, "f"), Some(noise));
    let more = stored(&pond) - once;
    assert!(more < 5 * (1 << 20), "{more} bytes for five lines");
    sound(&pond);
    pond.close().unwrap();
}

#[test]
fn what_is_cut_anew_is_not_changed_by_an_operation_under_way() {
    let (_dir, pond) = new_pond();
    let id = make(&pond, Kind::File, NodeId::ROOT, "f");
    let done = AtomicBool::new(false);
    let mut expected = Vec::new();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                let _settling = pond.flusher.settling.lock();
                pond.freeze_and_settle().unwrap();
            }
        });
        let mut state = 7u64;
        let mut below = |n: u64| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            (state >> 33) % n
        };
        for _ in 0..6_000 {
            let (at, len) = (below(900_000) as usize, 1 + below(150_000) as usize);
            if below(4) == 0 {
                let (at, end) = (at.min(expected.len()), expected.len().min(at + len));
                let range = at as u64..at.max(end) as u64;
                pond.zero(&CALLER, id, range, 0).unwrap();
                expected[at..at.max(end)].fill(0);
            } else {
                let bytes = data(below(256) as u8, len);
                pond.write(&CALLER, id, at as u64, &bytes).unwrap();
                write(&mut expected, at, &bytes);
            }
        }
        done.store(true, Ordering::Relaxed);
    });
    assert!(get(&pond, Version::NOW, "f").as_ref() == Some(&expected));
    sound(&pond);
    pond.close().unwrap();
}

#[test]
fn names_targets_and_values_of_attributes_count_as_bytes_of_the_open_version() {
    let (_dir, pond) = new_pond();
    let added = |op: &dyn Fn()| {
        let before = pond.status().dirty.bytes as i64;
        op();
        pond.status().dirty.bytes as i64 - before
    };
    let id = make(&pond, Kind::File, NodeId::ROOT, "f");
    let other = make(&pond, Kind::File, NodeId::ROOT, "g");
    let attr = AttrName::new(b"user.a").unwrap();
    let set = |id, len| {
        let value = vec![7; len];
        pond.set_xattr(&CALLER, id, &attr, &value, SetXattr::Any)
            .unwrap();
    };
    assert!((60_000..61_000).contains(&added(&|| set(id, 60_000))));
    assert_eq!(added(&|| set(id, 50_000)), -10_000);
    let removed = added(&|| pond.remove_xattr(&CALLER, id, &attr).unwrap());
    assert_eq!(removed, -50_000);
    let named = added(&|| {
        make(&pond, Kind::File, NodeId::ROOT, &"n".repeat(250));
    });
    assert!(named >= 250);
    // The content of a removed file that is kept while it is open goes with it.
    set(other, 40_000);
    pond.pin(other);
    pond.unlink(&CALLER, NodeId::ROOT, &name("g")).unwrap();
    assert!(added(&|| pond.unpin(other, 1)) <= -40_000);
}
