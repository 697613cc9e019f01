//! Directories: listings that are complete while things change, going back, and removing thousands.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt;

use mount_tests::place::{file, folder, on_both};
use mount_tests::pond::names;
use mount_tests::run::tool;
use mount_tests::sys::{lstat, refused};
use rustix::fs::{Dir, FileType, Mode, OFlags};
use rustix::io::Errno;

const MANY: usize = 5000;

#[test]
fn thousands_of_entries_are_listed_once_each_and_removed() {
    on_both(|root| {
        let dir = folder(root, "dir");
        for n in 0..MANY {
            file(&dir, &format!("file-{n:05}"), "");
        }
        let listed = names(&dir);
        assert_eq!(listed.len(), MANY);
        assert_eq!(
            listed.iter().collect::<BTreeSet<_>>().len(),
            MANY,
            "an entry is listed twice"
        );
        tool("rm").arg("-rf").arg(&dir).ok();
        refused(fs::metadata(&dir), Errno::NOENT);
    });
}

#[test]
fn what_stays_is_listed_while_the_rest_is_deleted() {
    on_both(|root| {
        let dir = folder(root, "dir");
        for n in 0..2000 {
            file(
                &dir,
                &format!("{}{n}", if n % 2 == 0 { "stay" } else { "go" }),
                "",
            );
        }
        let mut seen = Vec::new();
        for entry in fs::read_dir(&dir).unwrap() {
            let entry = entry.unwrap();
            let name = entry.file_name().into_string().unwrap();
            if name.starts_with("go") {
                fs::remove_file(entry.path()).unwrap();
            } else {
                seen.push(name);
            }
        }
        seen.sort();
        assert_eq!(seen, names(&dir), "neither lost nor doubled");
        assert_eq!(seen.len(), 1000);
    });
}

#[test]
fn rewinding_shows_what_has_come_and_seeking_goes_back_to_a_place() {
    on_both(|root| {
        let dir = folder(root, "dir");
        for n in 0..500 {
            file(&dir, &format!("f{n}"), "");
        }
        let fd = rustix::fs::open(&dir, OFlags::DIRECTORY, Mode::empty()).unwrap();
        let mut list = Dir::read_from(&fd).unwrap();
        let all = |list: &mut Dir| {
            list.map(|entry| entry.unwrap().file_name().to_owned())
                .collect::<Vec<_>>()
        };
        assert_eq!(all(&mut list).len(), 502);
        file(&dir, "late", "");
        list.rewind();
        let again = all(&mut list);
        assert_eq!(again.len(), 503);
        list.rewind();
        for _ in 0..100 {
            list.read().unwrap().unwrap();
        }
        let place = list.read().unwrap().unwrap().offset();
        let rest = all(&mut list);
        list.seek(place as i64).unwrap();
        assert_eq!(all(&mut list), rest, "from the place of entry 100 on");
    });
}

#[test]
fn entries_tell_kind_and_inode_and_dots_are_there() {
    on_both(|root| {
        let dir = folder(root, "dir");
        folder(&dir, "sub");
        file(&dir, "f", "x");
        std::os::unix::fs::symlink("f", dir.join("s")).unwrap();
        let fd = rustix::fs::open(&dir, OFlags::DIRECTORY, Mode::empty()).unwrap();
        let mut found = BTreeSet::new();
        for entry in Dir::read_from(&fd).unwrap() {
            let entry = entry.unwrap();
            let name = entry.file_name().to_str().unwrap().to_string();
            if name != ".." {
                assert_eq!(
                    entry.ino(),
                    lstat(dir.join(&name)).ino(),
                    "inode number of {name}"
                );
            }
            found.insert((name, format!("{:?}", entry.file_type())));
        }
        let kinds = [
            (".", FileType::Directory),
            ("..", FileType::Directory),
            ("f", FileType::RegularFile),
        ];
        let more = [("s", FileType::Symlink), ("sub", FileType::Directory)];
        let expected = kinds
            .into_iter()
            .chain(more)
            .map(|(name, kind)| (name.to_string(), format!("{kind:?}")));
        assert_eq!(found, expected.collect());
    });
}

#[test]
fn a_directory_that_is_somebodys_home_can_be_removed() {
    on_both(|root| {
        let dir = folder(root, "dir");
        let fd = rustix::fs::open(&dir, OFlags::DIRECTORY, Mode::empty()).unwrap();
        fs::remove_dir(&dir).unwrap();
        let create = rustix::fs::openat(&fd, "f", OFlags::CREATE | OFlags::WRONLY, Mode::RUSR);
        refused(create, Errno::NOENT);
        refused(rustix::fs::mkdirat(&fd, "d", Mode::RWXU), Errno::NOENT);
        assert_eq!(rustix::fs::fstat(&fd).unwrap().st_nlink, 0);
    });
}

#[test]
fn link_counts_of_directories_count_subdirectories() {
    on_both(|root| {
        let dir = folder(root, "dir");
        assert_eq!(lstat(&dir).nlink(), 2);
        folder(&dir, "a");
        let b = folder(&dir, "b");
        file(&dir, "f", "x");
        assert_eq!(lstat(&dir).nlink(), 4);
        fs::rename(&b, root.join("b")).unwrap();
        assert_eq!(lstat(&dir).nlink(), 3);
        fs::remove_dir(dir.join("a")).unwrap();
        assert_eq!(lstat(&dir).nlink(), 2);
    });
}

#[test]
fn a_directory_can_be_fsynced() {
    on_both(|root| {
        let dir = folder(root, "dir");
        file(&dir, "f", "x");
        fs::File::open(&dir).unwrap().sync_all().unwrap();
        fs::File::open(&dir).unwrap().sync_data().unwrap();
    });
}
