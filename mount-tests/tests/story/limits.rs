//! How much there may be of everything. Where ext4 has the same limit, the test runs there too.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;
use std::time::{Duration, Instant};

use mount_tests::place::{file, folder, on_both, on_mount, plain_only};
use mount_tests::pond::Pond;
use mount_tests::rng::Rng;
use mount_tests::setting;
use mount_tests::sys::{instant, lstat, refused, set_times};
use rustix::fs::{Mode, OFlags, SeekFrom};
use rustix::io::Errno;

const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

#[test]
fn a_directory_holds_a_hundred_thousand_entries_and_more() {
    let entries: usize = setting("POND_TEST_ENTRIES", 10_000);
    on_mount(|root, _| {
        for part in [4, 2, 1] {
            let (count, dir) = (entries / part, folder(root, &format!("part{part}")));
            let name = |n: usize| dir.join(format!("entry-{n}"));
            let made = timed(|| (0..count).for_each(|n| drop(File::create_new(name(n)).unwrap())));
            let listed = timed(|| assert_eq!(fs::read_dir(&dir).unwrap().count(), count));
            let removed = timed(|| (0..count).for_each(|n| fs::remove_file(name(n)).unwrap()));
            assert_eq!(fs::read_dir(&dir).unwrap().count(), 0);
            println!(
                "{count} entries: made in {made:?}, listed in {listed:?}, removed in {removed:?}"
            );
        }
    });
}

fn timed(act: impl FnOnce()) -> Duration {
    let start = Instant::now();
    act();
    start.elapsed()
}

#[test]
fn a_directory_counts_as_many_subdirectories_as_it_has() {
    // ext4 stops counting at 65,000.
    let count = setting("POND_TEST_ENTRIES", 10_000).min(66_000);
    on_mount(|root, _| {
        (0..count).for_each(|n| drop(folder(root, &format!("d{n}"))));
        assert_eq!(lstat(root).nlink(), count as u64 + 2);
    });
}

#[test]
fn a_file_has_up_to_65000_names() {
    on_both(|root| {
        let first = file(root, "f", "x");
        for n in 1..65_000 {
            fs::hard_link(&first, root.join(format!("link{n}"))).unwrap();
        }
        assert_eq!(lstat(&first).nlink(), 65_000);
        refused(fs::hard_link(&first, root.join("more")), Errno::MLINK);
        // Enough of them; the trees that are compared need not hold so many.
        (2..65_000).for_each(|n| fs::remove_file(root.join(format!("link{n}"))).unwrap());
        assert_eq!(lstat(&first).nlink(), 2);
    });
}

#[test]
fn paths_have_up_to_4095_bytes() {
    on_both(|root| {
        let mut path = root.to_path_buf();
        while path.as_os_str().len() < 4_095 - 256 {
            path = folder(&path, &"d".repeat(200));
        }
        let rest = 4_095 - path.as_os_str().len() - 1;
        let (fits, too_long) = ("f".repeat(rest), "f".repeat(rest + 1));
        assert_eq!(path.join(&fits).as_os_str().len(), 4_095);
        file(&path, &fits, "deep");
        assert_eq!(fs::read_to_string(path.join(&fits)).unwrap(), "deep");
        refused(fs::read(path.join(too_long)), Errno::NAMETOOLONG);
        // The two roots are not of one length, nor then are the names.
        fs::remove_dir_all(root.join("d".repeat(200))).unwrap();
    });
}

#[test]
fn a_tree_of_ten_thousand_levels_is_compared_to_its_end() {
    let levels: usize = setting("POND_TEST_LEVELS", 10_000);
    let pond = Pond::new();
    let mount = pond.mount();
    let top = folder(mount.path(), "top");
    let mut dir = rustix::fs::open(&top, OFlags::PATH, Mode::empty()).unwrap();
    for _ in 1..levels {
        rustix::fs::mkdirat(&dir, "d", Mode::RWXU).unwrap();
        dir = rustix::fs::openat(&dir, "d", OFlags::PATH, Mode::empty()).unwrap();
    }
    drop(dir);
    let full = mount.sync().to_string();
    fs::rename(&top, mount.join("new")).unwrap();
    let moved = mount.sync().to_string();
    // Added, removed, and moved: a line for each level, in order, whatever the pages.
    for (from, to, first) in [
        ("0", &*full, "top"),
        (&full, "0", "top"),
        (&full, &moved, "new"),
    ] {
        let diff = pond.run(["diff", "--name-only", from, to, "--pond"]);
        let text = diff.arg(mount.path()).ok().text();
        let lines = text.lines();
        let deepest = lines.enumerate().map(|(level, line)| {
            assert!(line.starts_with(first) && line.len() == first.len() + 2 * level);
            level
        });
        assert_eq!(deepest.last(), Some(levels - 1), "from {from} to {to}");
    }
    mount.unmount();
}

#[test]
fn a_file_may_be_as_long_as_an_offset_can_say() {
    if plain_only() {
        // 16 TiB, on ext4.
        return;
    }
    on_mount(|root, _| {
        const END: u64 = i64::MAX as u64;
        let path = root.join("f");
        let file = open(&path);
        file.set_len(END).unwrap();
        assert_eq!((lstat(&path).size(), lstat(&path).blocks()), (END, 0));
        file.write_all_at(b"the end", END - 7).unwrap();
        assert_eq!(lstat(&path).blocks(), 1);
        let mut end = [0; 9];
        file.read_exact_at(&mut end, END - 9).unwrap();
        assert_eq!(&end, b"\0\0the end");
        let data = rustix::fs::seek(&file, SeekFrom::Data(0)).unwrap();
        assert!((END - 4096..=END - 7).contains(&data), "{data}");
        // The kernel's own answer: these offsets cannot be said.
        refused(file.write_at(b"more", END), Errno::INVAL);
        refused(file.write_at(b"more", END - 2), Errno::INVAL);
        file.set_len(3).unwrap();
        assert_eq!(fs::read(&path).unwrap(), [0; 3]);
    });
}

/// By default with holes; `POND_TEST_GIGABYTES` says how much of it is written.
#[test]
fn a_file_of_20_gib_is_read_as_it_was_written() {
    on_mount(|root, _| {
        let written = setting("POND_TEST_GIGABYTES", 0);
        let path = root.join("f");
        let file = open(&path);
        let places = || (0..20 * GIB / MIB).filter(|n| n * MIB / GIB < written || n % 1024 == 1023);
        let content = |n| Rng::new(n).bytes(MIB as usize);
        for n in places() {
            file.write_all_at(&content(n), n * MIB).unwrap();
        }
        assert_eq!(lstat(&path).size(), 20 * GIB);
        assert_eq!(lstat(&path).blocks() * 512, places().count() as u64 * MIB);
        file.sync_all().unwrap();
        rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed).unwrap();
        let mut found = vec![0; MIB as usize];
        for n in places() {
            file.read_exact_at(&mut found, n * MIB).unwrap();
            assert!(
                found == content(n),
                "the mebibyte {n} is not what was written"
            );
        }
    });
}

#[test]
fn the_earliest_and_the_latest_time_are_kept() {
    let pond = Pond::new();
    let mount = pond.mount();
    let times = [i64::MIN, i64::MIN + 1, i64::MAX];
    for (n, seconds) in times.into_iter().enumerate() {
        let path = file(mount.path(), &format!("f{n}"), "x");
        set_times(&path, instant(seconds, 0), instant(seconds, 0)).unwrap();
        assert_eq!(
            (lstat(&path).atime(), lstat(&path).mtime()),
            (seconds, seconds)
        );
    }
    let mount = mount.remount_without_index();
    for (n, seconds) in times.into_iter().enumerate() {
        assert_eq!(lstat(mount.join(format!("f{n}"))).mtime(), seconds);
    }
}

fn open(path: &Path) -> File {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create_new(true);
    options.open(path).unwrap()
}
