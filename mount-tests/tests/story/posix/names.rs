//! Names are bytes: anything but `/` and NUL, up to 255 of them.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use mount_tests::place::{file, folder, on_both};
use mount_tests::sys::refused;
use rustix::io::Errno;

#[test]
fn names_end_at_255_bytes() {
    on_both(|root| {
        let (fits, too_long) = ("n".repeat(255), "n".repeat(256));
        let path = file(root, &fits, "x");
        assert_eq!(fs::read_to_string(&path).unwrap(), "x");
        refused(fs::write(root.join(&too_long), "x"), Errno::NAMETOOLONG);
        refused(fs::create_dir(root.join(&too_long)), Errno::NAMETOOLONG);
        refused(fs::rename(&path, root.join(&too_long)), Errno::NAMETOOLONG);
        refused(fs::metadata(root.join(&too_long)), Errno::NAMETOOLONG);
        // 85 characters of three bytes each.
        folder(root, &"€".repeat(85));
        refused(
            fs::create_dir(root.join("€".repeat(86))),
            Errno::NAMETOOLONG,
        );
    });
}

#[test]
fn names_need_not_be_text() {
    on_both(|root| {
        let mut all: Vec<PathBuf> = Vec::new();
        for byte in (1..=255u8).filter(|byte| *byte != b'/') {
            all.push(root.join(OsStr::from_bytes(&[b'x', byte, b'y'])));
        }
        for path in &all {
            fs::write(path, path.as_os_str().as_bytes()).unwrap();
        }
        let mut listed: Vec<_> = fs::read_dir(root)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        listed.sort();
        assert_eq!(listed, all);
        for path in &all {
            assert_eq!(fs::read(path).unwrap(), path.as_os_str().as_bytes());
            // The content names the place, which differs between the two that are compared.
            fs::write(path, "x").unwrap();
        }
    });
}

#[test]
fn upper_and_lower_case_and_unicode_forms_are_different_names() {
    on_both(|root| {
        for name in [
            "a", "A", "\u{e9}", "e\u{301}", " ", "  ", "...", "-rf", "*", "~", "version",
        ] {
            assert!(!root.join(name).exists(), "{name:?} exists already");
            file(root, name, name);
        }
        assert_eq!(fs::read_to_string(root.join("A")).unwrap(), "A");
    });
}

#[test]
fn deep_trees_work() {
    on_both(|root| {
        let mut path = root.to_path_buf();
        for level in 0..200 {
            path = folder(&path, &format!("level{level}"));
        }
        fs::write(path.join("f"), "deep").unwrap();
        assert_eq!(fs::read_to_string(path.join("f")).unwrap(), "deep");
        fs::rename(root.join("level0/level1"), root.join("moved")).unwrap();
        refused(fs::metadata(path.join("f")), Errno::NOENT);
    });
}
