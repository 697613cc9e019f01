//! What the kernel keeps of a file is what the file has.

use std::fs::{self, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Barrier;

use mount_tests::place::file;
use mount_tests::pond::Pond;
use mount_tests::rng::Rng;
use mount_tests::sys::truncate;

/// How many requests of a kind the mount has answered.
fn answered(mount: &Path, kind: &str) -> u64 {
    let metrics = fs::read_to_string(mount.join(".pond/metrics")).unwrap();
    let line = format!("pondmount_request_seconds_count{{op=\"{kind}\"}} ");
    let found = metrics.lines().find_map(|found| found.strip_prefix(&line));
    found.map_or(0, |count| count.parse().unwrap())
}

#[test]
fn a_small_file_is_opened_and_needs_no_more_questions() {
    let pond = Pond::new();
    let mount = pond.mount();
    for n in 0..200 {
        file(
            mount.path(),
            &format!("f{n}"),
            vec![b'a' + (n % 26) as u8; 100 * n],
        );
    }
    let mount = mount.remount();
    let before = answered(mount.path(), "read");
    for n in 0..200 {
        let bytes = fs::read(mount.join(format!("f{n}"))).unwrap();
        assert_eq!(bytes, vec![b'a' + (n % 26) as u8; 100 * n]);
    }
    let asked = answered(mount.path(), "read") - before;
    assert!(
        asked < 50,
        "{asked} questions for the bytes of 200 small files"
    );
    let before = answered(mount.path(), "getattr");
    for n in 0..200 {
        assert_eq!(
            fs::metadata(mount.join(format!("f{n}"))).unwrap().len(),
            100 * n
        );
    }
    let asked = answered(mount.path(), "getattr") - before;
    assert!(
        asked < 50,
        "{asked} questions for the attributes of 200 small files"
    );
}

#[test]
fn what_is_read_while_others_write_is_never_kept_when_it_is_old() {
    // Each is given once in a round at most, and everybody comes by it at the same time.
    const FILES: usize = 150;
    let mut rng = Rng::for_test("kept");
    let pond = Pond::new();
    let mut mount = pond.mount();
    for n in 0..FILES {
        file(mount.path(), &format!("f{n}"), vec![b'-'; 20_000]);
    }
    for round in 0..12 {
        // The kernel knows nothing of the files.
        mount = mount.remount();
        let root = mount.path();
        let together = Barrier::new(8);
        std::thread::scope(|scope| {
            let together = &together;
            for _ in 0..4 {
                let mut own = Rng::new(rng.number());
                scope.spawn(move || {
                    for n in 0..FILES {
                        together.wait();
                        change(&root.join(format!("f{n}")), &mut own);
                    }
                });
                scope.spawn(move || {
                    for n in 0..FILES {
                        together.wait();
                        // Between two names of a replacement there is always one.
                        fs::read(root.join(format!("f{n}"))).unwrap();
                    }
                });
            }
        });
        for n in 0..FILES {
            let path = root.join(format!("f{n}"));
            let mut kept = Vec::new();
            let direct = rustix::fs::OFlags::DIRECT.bits() as i32;
            let stored = OpenOptions::new()
                .read(true)
                .custom_flags(direct)
                .open(&path);
            stored.unwrap().read_to_end(&mut kept).unwrap();
            let seen = fs::read(&path).unwrap();
            assert_eq!(seen.len() as u64, fs::metadata(&path).unwrap().len());
            assert!(
                seen == kept,
                "round {round}: the kernel keeps what f{n} was"
            );
        }
    }
}

/// Some change of a file, by one of the ways that there are.
fn change(path: &Path, rng: &mut Rng) {
    let bytes = vec![b'a' + rng.below(26) as u8; rng.below(40_000)];
    let open = |options: &mut OpenOptions| options.open(path).unwrap();
    match rng.below(8) {
        0 => fs::write(path, bytes).unwrap(),
        1 => open(OpenOptions::new().append(true))
            .write_all(&bytes[..bytes.len() / 8])
            .unwrap(),
        2 => truncate(path, rng.below(40_000) as u64).unwrap(),
        3..=6 => open(OpenOptions::new().write(true))
            .write_all(&bytes[..bytes.len() / 2])
            .unwrap(),
        _ => {
            let new = path.with_extension(format!("{}", rng.number()));
            fs::write(&new, bytes).unwrap();
            fs::rename(new, path).unwrap();
        }
    }
}
