//! Holes and allocation: sparse files, SEEK_DATA and SEEK_HOLE, fallocate, statfs.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::Path;

use mount_tests::place::{file, on_both};
use mount_tests::sys::refused;
use rustix::fs::{FallocateFlags, SeekFrom, fallocate, seek, statvfs};
use rustix::io::Errno;

const MIB: u64 = 1 << 20;

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
fn sparse_files_are_large_and_cost_little() {
    on_both(|root| {
        let path = root.join("sparse");
        let f = open(&path);
        let end = 1 << 40;
        f.set_len(end).unwrap();
        f.write_all_at(b"end", end - 3).unwrap();
        let mut bytes = [1; 4096];
        f.read_exact_at(&mut bytes, end / 2).unwrap();
        assert_eq!(bytes, [0; 4096]);
        f.read_exact_at(&mut bytes[..3], end - 3).unwrap();
        assert_eq!(&bytes[..3], b"end");
        let blocks = std::os::unix::fs::MetadataExt::blocks(&f.metadata().unwrap());
        assert!(blocks * 512 < MIB, "{blocks} blocks for three bytes");
        // A terabyte of zeros takes too long to compare afterwards.
        f.set_len(1000).unwrap();
    });
}

#[test]
fn holes_and_data_can_be_found() {
    on_both(|root| {
        let f = open(&root.join("f"));
        f.write_all_at(&[1; 65536], MIB).unwrap();
        f.set_len(4 * MIB).unwrap();
        assert_eq!(seek(&f, SeekFrom::Data(0)), Ok(MIB));
        assert_eq!(seek(&f, SeekFrom::Hole(0)), Ok(0));
        assert_eq!(seek(&f, SeekFrom::Hole(MIB + 1)), Ok(MIB + 65536));
        assert_eq!(seek(&f, SeekFrom::Data(MIB + 5)), Ok(MIB + 5));
        refused(seek(&f, SeekFrom::Data(2 * MIB)), Errno::NXIO);
        refused(seek(&f, SeekFrom::Hole(4 * MIB)), Errno::NXIO);
        let full = File::open(file(root, "full", [1; 5000])).unwrap();
        assert_eq!(
            seek(&full, SeekFrom::Hole(0)),
            Ok(5000),
            "the end counts as a hole"
        );
    });
}

#[test]
fn fallocate_extends_keeps_the_size_or_zeroes() {
    on_both(|root| {
        let path = file(root, "f", vec![b'x'; 100_000]);
        let f = open(&path);
        fallocate(&f, FallocateFlags::KEEP_SIZE, 0, MIB).unwrap();
        assert_eq!(f.metadata().unwrap().len(), 100_000);
        fallocate(&f, FallocateFlags::empty(), 0, 200_000).unwrap();
        assert_eq!(f.metadata().unwrap().len(), 200_000);
        fallocate(
            &f,
            FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE,
            1000,
            50_000,
        )
        .unwrap();
        fallocate(&f, FallocateFlags::ZERO_RANGE, 60_000, 10_000).unwrap();
        let bytes = fs::read(&path).unwrap();
        let zero = |byte: usize| {
            (1000..51_000).contains(&byte) || (60_000..70_000).contains(&byte) || byte >= 100_000
        };
        assert_eq!(bytes.len(), 200_000);
        let wrong = bytes
            .iter()
            .enumerate()
            .find(|(at, byte)| **byte != if zero(*at) { 0 } else { b'x' });
        assert_eq!(wrong, None);
        refused(fallocate(&f, FallocateFlags::empty(), 0, 0), Errno::INVAL);
        refused(
            fallocate(File::open(&path).unwrap(), FallocateFlags::empty(), 0, 1),
            Errno::BADF,
        );
    });
}

#[test]
fn a_hole_punched_into_a_large_file_reads_as_zeros_and_the_rest_stays() {
    on_both(|root| {
        let path = file(root, "f", vec![7; 5 << 20]);
        let f = open(&path);
        fallocate(
            &f,
            FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE,
            MIB,
            2 * MIB,
        )
        .unwrap();
        assert_eq!(seek(&f, SeekFrom::Hole(0)), Ok(MIB));
        assert_eq!(seek(&f, SeekFrom::Data(MIB)), Ok(3 * MIB));
        f.write_all_at(b"island", 2 * MIB).unwrap();
        let bytes = fs::read(&path).unwrap();
        let zeros = bytes.iter().filter(|byte| **byte == 0).count();
        assert_eq!((bytes.len(), zeros), (5 << 20, (2 << 20) - 6));
    });
}

#[test]
fn statfs_gives_numbers_one_can_believe() {
    on_both(|root| {
        let seen = statvfs(root).unwrap();
        let (blocks, free, available) = (seen.f_blocks, seen.f_bfree, seen.f_bavail);
        assert!(
            seen.f_bsize >= 512 && seen.f_namemax == 255,
            "{} {}",
            seen.f_bsize,
            seen.f_namemax
        );
        assert!(
            blocks > 0 && available <= free && free <= blocks,
            "{blocks} {free} {available}"
        );
        let free = (available * seen.f_frsize) as f64;
        let disk = statvfs(std::env::temp_dir()).unwrap();
        let real = (disk.f_bavail * disk.f_frsize) as f64;
        assert!(
            (free / real - 1.0).abs() < 0.2,
            "free {free} on a disk with {real}"
        );
    });
}
