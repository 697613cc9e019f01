//! Bytes: overwriting, truncating, mapping, sparse files, and all of it against a model.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use mount_tests::place::{file, on_both};
use mount_tests::rng::Rng;
use mount_tests::sys::Mapping;
use rustix::fs::copy_file_range;

fn open(path: &Path) -> File {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)
        .unwrap()
}

#[test]
fn truncating_down_and_up_leaves_zeros() {
    on_both(|root| {
        let path = file(root, "f", vec![b'x'; 10_000]);
        let f = open(&path);
        for len in [4097, 4096, 4095, 1, 0, 5000] {
            f.set_len(len).unwrap();
            assert_eq!(f.metadata().unwrap().len(), len);
        }
        assert!(
            fs::read(&path).unwrap().iter().all(|byte| *byte == 0),
            "bytes that were cut off came back"
        );
        f.set_len(3).unwrap();
        f.write_all_at(b"yy", 6000).unwrap();
        let bytes = fs::read(&path).unwrap();
        assert!(bytes[..6000].iter().all(|byte| *byte == 0) && bytes[6000..] == *b"yy");
    });
}

#[test]
fn random_writes_truncations_and_reads_agree_with_a_model() {
    let seed = Rng::for_test("random writes").number();
    on_both(|root| {
        let (mut rng, mut model) = (Rng::new(seed), Vec::new());
        let path = root.join("f");
        let mut f = open(&path);
        for step in 0..600 {
            let offset = rng.below(300_000);
            match rng.below(10) {
                0..5 => {
                    let len = *rng.pick(&[1, 100, 4096, 70_000]);
                    let bytes = rng.bytes(len);
                    model.resize(model.len().max(offset + len), 0);
                    model[offset..offset + len].copy_from_slice(&bytes);
                    f.write_all_at(&bytes, offset as u64).unwrap();
                }
                5 => {
                    model.resize(offset, 0);
                    f.set_len(offset as u64).unwrap();
                }
                6 => f.sync_all().unwrap(),
                7 => f = open(&path),
                _ => {
                    let mut bytes = vec![0; 20_000];
                    let read = f.read_at(&mut bytes, offset as u64).unwrap();
                    let expected = model
                        .get(offset..)
                        .map_or(&[][..], |rest| &rest[..rest.len().min(20_000)]);
                    assert!(
                        bytes[..read] == *expected,
                        "step {step}: a read at {offset} differs"
                    );
                }
            }
            assert_eq!(
                f.metadata().unwrap().len(),
                model.len() as u64,
                "step {step}"
            );
        }
        assert!(
            fs::read(&path).unwrap() == model,
            "the file differs from the model at the end"
        );
    });
}

#[test]
fn a_large_file_is_written_and_read_whole() {
    on_both(|root| {
        let (path, mut rng) = (root.join("large"), Rng::new(1));
        let bytes = rng.bytes(20_000_001);
        fs::write(&path, &bytes).unwrap();
        assert!(fs::read(&path).unwrap() == bytes);
        open(&path).write_all_at(b"middle", 10_000_000).unwrap();
        let mut piece = [0; 8];
        open(&path).read_exact_at(&mut piece, 9_999_999).unwrap();
        assert_eq!(piece[1..7], *b"middle");
        assert_eq!((piece[0], piece[7]), (bytes[9_999_999], bytes[10_000_006]));
    });
}

#[test]
fn shared_mappings_are_written_back_and_seen_by_readers() {
    on_both(|root| {
        let path = file(root, "f", vec![b'.'; 20_000]);
        let f = open(&path);
        let (mut one, mut two) = (
            Mapping::new(&f, 20_000).unwrap(),
            Mapping::new(&f, 20_000).unwrap(),
        );
        one.bytes()[5000..5005].copy_from_slice(b"hello");
        assert_eq!(
            &two.bytes()[5000..5005],
            b"hello",
            "two mappings of one file"
        );
        one.sync().unwrap();
        let mut seen = [0; 5];
        File::open(&path)
            .unwrap()
            .read_exact_at(&mut seen, 5000)
            .unwrap();
        assert_eq!(&seen, b"hello");
        f.write_all_at(b"world", 100).unwrap();
        assert_eq!(
            &two.bytes()[100..105],
            b"world",
            "write(2) shows in a mapping"
        );
        two.bytes()[19_999] = b'!';
        drop((one, two, f));
        assert_eq!(
            fs::read(&path).unwrap()[19_999],
            b'!',
            "written back without msync when all let go"
        );
    });
}

#[test]
fn an_executable_runs_from_the_tree() {
    on_both(|root| {
        let path = root.join("true");
        fs::copy(mount_tests::run::need("true"), &path).unwrap();
        mount_tests::run::Run::new(&path).ok();
    });
}

#[test]
fn ranges_are_copied_within_the_file_system() {
    on_both(|root| {
        let bytes = Rng::new(2).bytes(1_500_000);
        let (from, to) = (file(root, "from", &bytes), file(root, "to", "0123456789"));
        let (source, target) = (File::open(&from).unwrap(), open(&to));
        let (mut read, mut write) = (100_000, 5);
        while read < 1_100_000 {
            let left = 1_100_000 - read as usize;
            let copied = copy_file_range(&source, Some(&mut read), &target, Some(&mut write), left);
            assert!(copied.unwrap() > 0, "stopped at {read}");
        }
        let copy = fs::read(&to).unwrap();
        assert!(copy[..5] == *b"01234" && copy[5..] == bytes[100_000..1_100_000]);
        fs::write(&from, "the source changes").unwrap();
        assert!(fs::read(&to).unwrap() == copy, "the copy does not");
    });
}

#[test]
fn scattered_and_unaligned_writes_past_the_end_make_one_file() {
    on_both(|root| {
        let path = root.join("f");
        let f = open(&path);
        for block in (0..100u64).rev() {
            f.write_all_at(&[block as u8 + 1; 777], block * 1000)
                .unwrap();
        }
        let bytes = fs::read(&path).unwrap();
        for (block, piece) in bytes.chunks(1000).enumerate() {
            let filled = piece.iter().take(777).all(|byte| *byte == block as u8 + 1);
            assert!(
                filled && piece.iter().skip(777).all(|byte| *byte == 0),
                "block {block}"
            );
        }
    });
}

#[test]
fn what_is_read_while_it_is_flushed_is_what_was_written() {
    const PIECE: usize = 4096;
    const PIECES: usize = 32;
    on_both(|root| {
        let file = open(&root.join("f"));
        let rounds: u8 = mount_tests::setting("POND_TEST_FLUSHES", 250);
        let written = AtomicBool::new(false);
        // Backwards, so that each piece is an extent of its own until it is flushed.
        let write = |round: u8| {
            for piece in (0..PIECES).rev() {
                let at = (piece * PIECE) as u64;
                file.write_all_at(&[round; PIECE], at).unwrap();
            }
            file.sync_data().unwrap();
        };
        write(1);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                (2..=rounds).for_each(write);
                written.store(true, Ordering::Relaxed);
            });
            let mut rng = Rng::for_test("reads during flushes");
            let mut found = vec![0; PIECE];
            while !written.load(Ordering::Relaxed) {
                // From the file system, not from the cache.
                rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed).unwrap();
                let at = (rng.below(PIECES) * PIECE) as u64;
                file.read_exact_at(&mut found, at).unwrap();
                let zeros = found.iter().filter(|byte| **byte == 0).count();
                assert_eq!(zeros, 0, "zeros in the piece at {at}");
            }
        });
    });
}
