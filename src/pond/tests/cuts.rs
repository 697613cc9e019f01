//! Large parts of files are cut off or punched concurrently with other operations.

use super::*;
use crate::tinyfs::ops::{self, extents_in};
use std::sync::atomic::{AtomicBool, Ordering};

#[test]
fn a_large_truncation_beside_writes_and_flushes_of_the_file_is_whole_and_loses_none() {
    const KEPT: u64 = 1 << 20;
    let (_dir, pond) = new_pond();
    let file = make(&pond, Kind::File, NodeId::ROOT, "f");
    pond.write(&CALLER, file, KEPT - 1, b"!").unwrap();
    let done = AtomicBool::new(false);
    let last = std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let mut n = 0_u64;
            while !done.load(Ordering::Relaxed) || n < 100 {
                n += 1;
                pond.write(&CALLER, file, n % 7 * 8, &n.to_le_bytes())
                    .unwrap();
                if n.is_multiple_of(16) {
                    pond.fsync().unwrap();
                }
            }
            n
        });
        for n in 0..60_u64 {
            for at in 0..20 {
                let offset = KEPT + (at << 20) + n;
                pond.write(&CALLER, file, offset, b"to be removed").unwrap();
            }
            let node = match n % 2 {
                0 => pond.truncate(&CALLER, file, KEPT).unwrap(),
                _ => {
                    pond.zero(&CALLER, file, KEPT..u64::MAX >> 1, 0).unwrap();
                    pond.truncate(&CALLER, file, KEPT).unwrap()
                }
            };
            assert_eq!(node.size, KEPT);
            let content = node.content.unwrap();
            let left = extents_in(&pond.index, Version::NOW, content, KEPT..u64::MAX).unwrap();
            assert!(left.is_empty(), "round {n}: {} extents", left.len());
        }
        done.store(true, Ordering::Relaxed);
        writer.join().unwrap()
    });
    let expected = |pond: &Pond| {
        let bytes = get(pond, Version::NOW, "f").unwrap();
        assert_eq!(bytes.len() as u64, KEPT);
        for n in last - 6..=last {
            let at = (n % 7 * 8) as usize;
            assert_eq!(bytes[at..at + 8], n.to_le_bytes());
        }
    };
    expected(&pond);
    sound(&pond);
    pond.sync().unwrap();
    let (_copy, pond_after) = crash(&pond);
    expected(&pond_after);
    sound(&pond_after);
    pond_after.close().unwrap();
    pond.close().unwrap();
}

/// Prints how long another operation waits while a file of 200,000 extents is shortened: under
/// the change lock, and prepared concurrently with other operations.
#[test]
#[ignore = "measures time; run it on a quiet machine"]
fn operations_beside_the_truncation_of_a_huge_file() {
    for is_prepared in [false, true] {
        let (_dir, pond) = new_pond();
        let file = make(&pond, Kind::File, NodeId::ROOT, "huge");
        for n in 0..200_000_u64 {
            pond.write(&CALLER, file, n * 8_192, &[n as u8; 100])
                .unwrap();
        }
        pond.sync().unwrap();
        let done = AtomicBool::new(false);
        let (worst, shortened) = std::thread::scope(|scope| {
            let beside = scope.spawn(|| {
                let mut worst = Duration::ZERO;
                let other = make(&pond, Kind::File, NodeId::ROOT, "other");
                while !done.load(Ordering::Relaxed) {
                    let start = std::time::Instant::now();
                    pond.write(&CALLER, other, 0, b"x").unwrap();
                    worst = worst.max(start.elapsed());
                    std::thread::sleep(Duration::from_micros(200));
                }
                worst
            });
            std::thread::sleep(Duration::from_millis(300));
            let start = std::time::Instant::now();
            match is_prepared {
                true => pond.truncate(&CALLER, file, 8_192),
                false => pond.change(|tx| ops::truncate(tx, &CALLER, file, 8_192)),
            }
            .unwrap();
            let shortened = start.elapsed();
            done.store(true, Ordering::Relaxed);
            (beside.join().unwrap(), shortened)
        });
        println!("prepared: {is_prepared}; {shortened:?}; a write beside it waits {worst:?}");
        sound(&pond);
        pond.close().unwrap();
    }
}
