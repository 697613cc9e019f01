//! Hard links, symbolic links, fifos and sockets.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::{FileTypeExt, MetadataExt, symlink};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;

use mount_tests::place::{file, folder, on_both};
use mount_tests::sys::{lstat, mode, refused};
use rustix::fs::{CWD, Mode, mkfifoat};
use rustix::io::Errno;

#[test]
fn hard_links_are_one_file_with_a_count() {
    on_both(|root| {
        let dir = folder(root, "dir");
        let first = file(root, "first", "text");
        let second = dir.join("second");
        fs::hard_link(&first, &second).unwrap();
        assert_eq!(
            (lstat(&first).nlink(), lstat(&first).ino()),
            (2, lstat(&second).ino())
        );
        fs::write(&second, "written by the other name").unwrap();
        assert_eq!(
            fs::read_to_string(&first).unwrap(),
            "written by the other name"
        );
        for n in 0..50 {
            fs::hard_link(&second, dir.join(format!("n{n}"))).unwrap();
        }
        assert_eq!(lstat(&first).nlink(), 52);
        fs::remove_file(&first).unwrap();
        assert_eq!(lstat(&second).nlink(), 51);
        refused(fs::hard_link(&second, dir.join("n0")), Errno::EXIST);
        refused(fs::hard_link(&dir, root.join("d2")), Errno::PERM);
        refused(
            fs::hard_link(root.join("missing"), root.join("x")),
            Errno::NOENT,
        );
    });
}

#[test]
fn replacing_one_name_leaves_the_others() {
    on_both(|root| {
        let (f, g) = (file(root, "f", "kept"), root.join("g"));
        fs::hard_link(&f, &g).unwrap();
        fs::rename(file(root, "new", "new"), &f).unwrap();
        assert_eq!(
            (lstat(&g).nlink(), fs::read_to_string(&g).unwrap().as_str()),
            (1, "kept")
        );
    });
}

#[test]
fn symlinks_keep_their_text_whatever_it_is() {
    on_both(|root| {
        file(root, "target", "x");
        for (name, text) in [
            ("good", "target"),
            ("dangling", "no/such"),
            ("absolute", "/etc/hosts"),
            ("odd", "a b\n\\"),
        ] {
            let path = root.join(name);
            symlink(text, &path).unwrap();
            assert_eq!(fs::read_link(&path).unwrap(), Path::new(text));
            assert_eq!(
                (lstat(&path).len(), mode(&path)),
                (text.len() as u64, 0o777)
            );
        }
        let long = "x/".repeat(2000);
        symlink(&long, root.join("long")).unwrap();
        assert_eq!(fs::read_link(root.join("long")).unwrap(), Path::new(&long));
        assert_eq!(fs::read_to_string(root.join("good")).unwrap(), "x");
        refused(fs::read_link(root.join("target")), Errno::INVAL);
        refused(symlink("x", root.join("good")), Errno::EXIST);
        refused(symlink("", root.join("empty")), Errno::NOENT);
    });
}

#[test]
fn a_symlink_can_have_a_second_name_and_an_owner() {
    on_both(|root| {
        let link = root.join("link");
        symlink("target", &link).unwrap();
        fs::hard_link(&link, root.join("same")).unwrap();
        assert_eq!(
            (lstat(&link).nlink(), lstat(&link).ino()),
            (2, lstat(root.join("same")).ino())
        );
        std::os::unix::fs::lchown(&link, None, Some(rustix::process::getegid().as_raw())).unwrap();
    });
}

#[test]
fn a_fifo_carries_bytes_between_processes() {
    on_both(|root| {
        let fifo = root.join("fifo");
        mkfifoat(CWD, &fifo, Mode::from_raw_mode(0o640)).unwrap();
        assert!(lstat(&fifo).file_type().is_fifo());
        let text = std::thread::scope(|scope| {
            scope.spawn(|| fs::write(&fifo, "through the pipe").unwrap());
            fs::read_to_string(&fifo).unwrap()
        });
        assert_eq!(text, "through the pipe");
    });
}

#[test]
fn a_socket_can_be_bound_and_connected_to() {
    on_both(|root| {
        // By a short path: socket addresses end at 108 bytes.
        let dir = rustix::fs::open(root, rustix::fs::OFlags::PATH, Mode::empty()).unwrap();
        let path = format!(
            "/proc/self/fd/{}/socket",
            std::os::fd::AsRawFd::as_raw_fd(&dir)
        );
        let listener = UnixListener::bind(&path).unwrap();
        assert!(lstat(root.join("socket")).file_type().is_socket());
        UnixStream::connect(&path)
            .unwrap()
            .write_all(b"hello")
            .unwrap();
        let mut text = String::new();
        listener
            .accept()
            .unwrap()
            .0
            .read_to_string(&mut text)
            .unwrap();
        assert_eq!(text, "hello");
    });
}
