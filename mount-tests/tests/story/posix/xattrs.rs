//! Extended attributes in the `user.` namespace.

use std::fs;
use std::os::unix::fs::symlink;

use mount_tests::place::{file, folder, on_both};
use mount_tests::sys::{get_xattr, list_xattrs, refused, remove_xattr, set_xattr};
use rustix::fs::XattrFlags;
use rustix::io::Errno;

const ANY: XattrFlags = XattrFlags::empty();

#[test]
fn values_are_set_replaced_listed_and_removed() {
    on_both(|root| {
        for path in [file(root, "f", "x"), folder(root, "dir")] {
            set_xattr(&path, "user.one", b"1", ANY).unwrap();
            set_xattr(&path, "user.two", &[0, 255, 0], ANY).unwrap();
            set_xattr(&path, "user.empty", b"", ANY).unwrap();
            assert_eq!(get_xattr(&path, "user.two").unwrap(), [0, 255, 0]);
            assert!(get_xattr(&path, "user.empty").unwrap().is_empty());
            assert_eq!(
                list_xattrs(&path).unwrap(),
                ["user.empty", "user.one", "user.two"]
            );
            set_xattr(&path, "user.one", b"a longer value", ANY).unwrap();
            assert_eq!(get_xattr(&path, "user.one").unwrap(), b"a longer value");
            remove_xattr(&path, "user.two").unwrap();
            assert_eq!(list_xattrs(&path).unwrap(), ["user.empty", "user.one"]);
            refused(get_xattr(&path, "user.two"), Errno::NODATA);
            refused(remove_xattr(&path, "user.two"), Errno::NODATA);
        }
    });
}

#[test]
fn create_and_replace_are_told_apart() {
    on_both(|root| {
        let f = file(root, "f", "x");
        refused(
            set_xattr(&f, "user.a", b"1", XattrFlags::REPLACE),
            Errno::NODATA,
        );
        set_xattr(&f, "user.a", b"1", XattrFlags::CREATE).unwrap();
        refused(
            set_xattr(&f, "user.a", b"2", XattrFlags::CREATE),
            Errno::EXIST,
        );
        set_xattr(&f, "user.a", b"3", XattrFlags::REPLACE).unwrap();
        assert_eq!(get_xattr(&f, "user.a").unwrap(), b"3");
    });
}

#[test]
fn a_buffer_that_is_too_small_is_refused() {
    on_both(|root| {
        let f = file(root, "f", "x");
        set_xattr(&f, "user.a", &[1; 1000], ANY).unwrap();
        let mut small = [0; 10];
        refused(
            rustix::fs::lgetxattr(&f, "user.a", &mut small),
            Errno::RANGE,
        );
        let mut tiny = [0; 3];
        refused(rustix::fs::llistxattr(&f, &mut tiny), Errno::RANGE);
    });
}

#[test]
fn attributes_belong_to_the_file_not_to_a_name() {
    on_both(|root| {
        let (f, g) = (file(root, "f", "x"), root.join("g"));
        set_xattr(&f, "user.a", b"1", ANY).unwrap();
        fs::hard_link(&f, &g).unwrap();
        assert_eq!(get_xattr(&g, "user.a").unwrap(), b"1");
        fs::rename(&f, root.join("h")).unwrap();
        assert_eq!(get_xattr(&root.join("h"), "user.a").unwrap(), b"1");
        symlink("h", root.join("s")).unwrap();
        refused(set_xattr(&root.join("s"), "user.a", b"1", ANY), Errno::PERM);
    });
}

#[test]
fn many_attributes_and_large_ones_fit() {
    on_both(|root| {
        let f = file(root, "f", "x");
        for n in 0..30 {
            set_xattr(&f, &format!("user.name{n:02}"), &[n; 60], ANY).unwrap();
        }
        assert_eq!(list_xattrs(&f).unwrap().len(), 30);
        let g = file(root, "g", "x");
        set_xattr(&g, "user.large", &[9; 3000], ANY).unwrap();
        assert_eq!(get_xattr(&g, "user.large").unwrap(), [9; 3000]);
        refused(
            set_xattr(&g, &format!("user.{}", "n".repeat(251)), b"", ANY),
            Errno::RANGE,
        );
    });
}
