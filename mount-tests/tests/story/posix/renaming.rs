//! Renaming: over what exists, never over what must not be lost, both at once, and not into oneself.

use std::fs;

use mount_tests::place::{file, folder, on_both};
use mount_tests::pond::names;
use mount_tests::sys::{lstat, refused, rename_with};
use rustix::fs::RenameFlags;
use rustix::io::Errno;

#[test]
fn rename_replaces_a_file_at_once() {
    on_both(|root| {
        let (old, new) = (file(root, "old", "old"), file(root, "new", "new"));
        fs::rename(&new, &old).unwrap();
        assert_eq!(fs::read_to_string(&old).unwrap(), "new");
        refused(fs::metadata(&new), Errno::NOENT);
        // Whoever looks always finds one of the two, whole.
        let (a, b) = ("a".repeat(5000), "b".repeat(5000));
        std::thread::scope(|scope| {
            let writer = scope.spawn(|| {
                for round in 0..200 {
                    file(root, "next", if round % 2 == 0 { &a } else { &b });
                    fs::rename(root.join("next"), &old).unwrap();
                }
            });
            while !writer.is_finished() {
                let seen = fs::read_to_string(&old).unwrap();
                assert!(
                    seen == a || seen == b || seen == "new",
                    "{} bytes of neither",
                    seen.len()
                );
            }
        });
    });
}

#[test]
fn rename_keeps_the_file_and_its_times() {
    on_both(|root| {
        use std::os::unix::fs::MetadataExt;
        let (dir, path) = (folder(root, "dir"), file(root, "f", "x"));
        let before = lstat(&path);
        fs::rename(&path, dir.join("g")).unwrap();
        let after = lstat(dir.join("g"));
        assert_eq!(
            (before.ino(), before.mtime(), before.mtime_nsec()),
            (after.ino(), after.mtime(), after.mtime_nsec())
        );
    });
}

#[test]
fn noreplace_refuses_and_exchange_swaps() {
    on_both(|root| {
        let (f, g) = (file(root, "f", "f"), file(root, "g", "g"));
        refused(rename_with(&f, &g, RenameFlags::NOREPLACE), Errno::EXIST);
        rename_with(&f, &root.join("h"), RenameFlags::NOREPLACE).unwrap();
        rename_with(&root.join("h"), &g, RenameFlags::EXCHANGE).unwrap();
        assert_eq!(fs::read_to_string(&g).unwrap(), "f");
        refused(
            rename_with(&g, &root.join("missing"), RenameFlags::EXCHANGE),
            Errno::NOENT,
        );
        // A file and a directory with something in it change places.
        let dir = folder(root, "dir");
        file(&dir, "inside", "x");
        rename_with(&g, &dir, RenameFlags::EXCHANGE).unwrap();
        assert!(lstat(&g).is_dir() && lstat(&dir).is_file());
        assert_eq!(names(&g), ["inside"]);
    });
}

#[test]
fn a_directory_does_not_move_into_itself() {
    on_both(|root| {
        let dir = folder(root, "a");
        let child = folder(&dir, "b");
        refused(fs::rename(&dir, child.join("c")), Errno::INVAL);
        refused(fs::rename(&dir, dir.join("c")), Errno::INVAL);
        refused(
            rename_with(&dir, &child, RenameFlags::EXCHANGE),
            Errno::INVAL,
        );
        refused(fs::rename(&child, &dir), Errno::NOTEMPTY);
    });
}

#[test]
fn directories_replace_empty_directories_only() {
    on_both(|root| {
        let (dir, full, empty) = (
            folder(root, "dir"),
            folder(root, "full"),
            folder(root, "empty"),
        );
        file(&full, "f", "x");
        let f = file(root, "f", "x");
        refused(fs::rename(&dir, &full), Errno::NOTEMPTY);
        refused(fs::rename(&dir, &f), Errno::NOTDIR);
        refused(fs::rename(&f, &dir), Errno::ISDIR);
        refused(fs::remove_dir(&full), Errno::NOTEMPTY);
        fs::rename(&full, &empty).unwrap();
        assert_eq!(names(&empty), ["f"]);
        // `..` follows the move.
        fs::rename(&empty, dir.join("moved")).unwrap();
        assert_eq!(
            fs::read_to_string(dir.join("moved/../moved/f")).unwrap(),
            "x"
        );
    });
}

#[test]
fn rename_between_names_of_one_file_does_nothing() {
    on_both(|root| {
        let f = file(root, "f", "x");
        fs::hard_link(&f, root.join("g")).unwrap();
        fs::rename(&f, root.join("g")).unwrap();
        assert_eq!(names(root), ["f", "g"]);
        fs::rename(&f, &f).unwrap();
    });
}

#[test]
fn names_that_cannot_be_renamed() {
    on_both(|root| {
        refused(
            fs::rename(root.join("missing"), root.join("x")),
            Errno::NOENT,
        );
        let f = file(root, "f", "x");
        refused(fs::rename(&f, root.join("missing/x")), Errno::NOENT);
        refused(fs::rename(&f, f.join("x")), Errno::NOTDIR);
        let dir = folder(root, "d");
        refused(fs::rename(dir.join("."), root.join("x")), Errno::BUSY);
    });
}
