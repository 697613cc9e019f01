//! Opening: append, truncate, exclusive creation, files without a name, and what may not be opened.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt, symlink};

use mount_tests::place::{file, folder, on_both};
use mount_tests::sys::refused;
use rustix::io::Errno;

#[test]
fn append_always_writes_at_the_end() {
    on_both(|root| {
        let path = file(root, "log", "start\n");
        let mut first = OpenOptions::new().append(true).open(&path).unwrap();
        let mut second = OpenOptions::new().append(true).open(&path).unwrap();
        for round in 0..50 {
            first.seek(SeekFrom::Start(0)).unwrap();
            writeln!(first, "a{round}").unwrap();
            writeln!(second, "b{round}").unwrap();
        }
        let text = fs::read_to_string(&path).unwrap();
        assert!(
            text.starts_with("start\na0\nb0\na1\n") && text.ends_with("a49\nb49\n"),
            "{text}"
        );
    });
}

#[test]
fn concurrent_appends_lose_nothing() {
    on_both(|root| {
        let path = file(root, "log", "");
        std::thread::scope(|scope| {
            for writer in 0..4 {
                let mut log = OpenOptions::new().append(true).open(&path).unwrap();
                scope.spawn(move || {
                    (0..200).for_each(|n| {
                        log.write_all(format!("{writer}:{n:04}\n").as_bytes())
                            .unwrap()
                    })
                });
            }
        });
        let text = fs::read_to_string(&path).unwrap();
        let mut lines: Vec<_> = text.lines().collect();
        lines.sort_unstable();
        lines.dedup();
        assert_eq!((lines.len(), text.len()), (800, 800 * 7));
        fs::write(&path, lines.join("\n")).unwrap();
    });
}

#[test]
fn truncate_on_open_empties_the_file_for_those_who_have_it_open() {
    on_both(|root| {
        let path = file(root, "f", "a long text");
        let mut reader = File::open(&path).unwrap();
        File::create(&path).unwrap();
        assert_eq!(reader.metadata().unwrap().len(), 0);
        fs::write(&path, "new").unwrap();
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        assert_eq!(text, "new");
    });
}

#[test]
fn exclusive_creation_happens_once() {
    on_both(|root| {
        let path = root.join("once");
        let winners = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8)
                .map(|_| scope.spawn(|| File::create_new(&path).is_ok()))
                .collect();
            threads
                .into_iter()
                .filter_map(|thread| thread.join().ok())
                .filter(|won| *won)
                .count()
        });
        assert_eq!(winners, 1);
        symlink("nowhere", root.join("dangling")).unwrap();
        refused(File::create_new(root.join("dangling")), Errno::EXIST);
    });
}

#[test]
fn an_unlinked_file_lives_as_long_as_it_is_open() {
    on_both(|root| {
        let path = file(root, "f", "before");
        let open = OpenOptions::new()
            .read(true)
            .write(true)
            .open(&path)
            .unwrap();
        fs::remove_file(&path).unwrap();
        refused(File::open(&path), Errno::NOENT);
        open.write_all_at(b"after", 6).unwrap();
        open.set_len(9).unwrap();
        let meta = open.metadata().unwrap();
        assert_eq!((meta.nlink(), meta.len()), (0, 9));
        let mut text = [0; 9];
        open.read_exact_at(&mut text, 0).unwrap();
        assert_eq!(&text, b"beforeaft");
        open.sync_all().unwrap();
        // The name is free for another file meanwhile.
        file(root, "f", "another");
        open.read_exact_at(&mut text, 0).unwrap();
        assert_eq!(&text, b"beforeaft");
    });
}

#[test]
fn what_an_unlinked_file_has_lost_does_not_come_back() {
    on_both(|root| {
        const PIECE: usize = 8192;
        let open = File::create_new(root.join("f")).unwrap();
        // Two runs that touch, kept apart until they are flushed because the later one came first.
        open.write_all_at(&[2; PIECE], PIECE as u64).unwrap();
        open.write_all_at(&[1; PIECE], 0).unwrap();
        let path = root.join("f");
        let reader = File::open(&path).unwrap();
        fs::remove_file(&path).unwrap();
        open.set_len(PIECE as u64).unwrap();
        open.set_len(2 * PIECE as u64).unwrap();
        open.sync_all().unwrap();
        let mut found = [9; 2 * PIECE];
        reader.read_exact_at(&mut found, 0).unwrap();
        assert!(found[..PIECE].iter().all(|byte| *byte == 1));
        assert!(found[PIECE..].iter().all(|byte| *byte == 0));
        // Nor is room given back twice.
        open.set_len(100).unwrap();
        open.set_len(10).unwrap();
    });
}

#[test]
fn a_replaced_file_lives_as_long_as_it_is_open() {
    on_both(|root| {
        let path = file(root, "f", "old");
        let mut open = File::open(&path).unwrap();
        fs::rename(file(root, "g", "new"), &path).unwrap();
        let mut text = String::new();
        open.read_to_string(&mut text).unwrap();
        assert_eq!(
            (text.as_str(), open.metadata().unwrap().nlink()),
            ("old", 0)
        );
        assert_eq!(fs::read_to_string(&path).unwrap(), "new");
    });
}

#[test]
fn a_file_opened_for_writing_only_is_not_read_and_the_reverse() {
    on_both(|root| {
        let path = file(root, "f", "text");
        let mut writer = OpenOptions::new().write(true).open(&path).unwrap();
        refused(writer.read(&mut [0; 4]), Errno::BADF);
        refused(File::open(&path).unwrap().write(b"x"), Errno::BADF);
        refused(File::open(&path).unwrap().set_len(0), Errno::INVAL);
        writer.write_all(b"T").unwrap();
    });
}

#[test]
fn kinds_are_not_confused() {
    on_both(|root| {
        let (dir, path) = (folder(root, "dir"), file(root, "f", "x"));
        symlink("loop", root.join("loop")).unwrap();
        let directory_only = |path| {
            OpenOptions::new()
                .read(true)
                .custom_flags(libc::O_DIRECTORY)
                .open(path)
        };
        directory_only(&dir).unwrap();
        refused(directory_only(&path), Errno::NOTDIR);
        refused(File::open(path.join("below")), Errno::NOTDIR);
        refused(File::create(&dir), Errno::ISDIR);
        refused(fs::read_dir(&path), Errno::NOTDIR);
        refused(fs::remove_dir(&path), Errno::NOTDIR);
        refused(fs::remove_file(&dir), Errno::ISDIR);
        refused(fs::create_dir(&path), Errno::EXIST);
        refused(File::open(root.join("missing")), Errno::NOENT);
        refused(File::open(root.join("loop")), Errno::LOOP);
        let no_follow = OpenOptions::new()
            .read(true)
            .custom_flags(libc::O_NOFOLLOW)
            .open(root.join("loop"));
        refused(no_follow, Errno::LOOP);
    });
}
